package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with the configuration, and what would be right.
type Fault struct {
	Where   origin // who said so
	Key     string // the key it concerns, such as listeners[0].address; empty: the file as a whole
	What    string // what is wrong
	Allowed string // what is allowed, or what to do; may be empty
	Warning bool   // worth saying, but no reason to refuse
}

// fault returns an error of a value: what is wrong, formatted with args, and what is allowed. The caller knows where.
func fault(what, allowed string, args ...any) *Fault {
	return &Fault{What: fmt.Sprintf(what, args...), Allowed: allowed}
}

// Error is `origin: key: what; allowed`, on one line.
func (f *Fault) Error() string {
	var b strings.Builder
	where := f.Where.String()
	if where != "" {
		b.WriteString(where + ": ")
	}
	// A flag or variable is its key's name already.
	if f.Key != "" && (where == "" || f.Where.file != "") {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.What)
	if f.Allowed != "" {
		b.WriteString("; " + f.Allowed)
	}
	return strings.ReplaceAll(b.String(), "\n", " ")
}

// origin is where a value came from: a line of a file, a flag or a variable. The zero value is a default.
type origin struct {
	file string
	line int
	name string // flag --loops, or L4FWD_LOOPS
}

func (o origin) String() string {
	switch {
	case o.file != "" && o.line > 0:
		return fmt.Sprintf("%s:%d", o.file, o.line)
	case o.file != "":
		return o.file
	}
	return o.name
}

// Faults is every fault and every warning found.
type Faults []*Fault

// Bad reports whether any of them is more than a warning.
func (fs Faults) Bad() bool {
	return slices.ContainsFunc(fs, func(f *Fault) bool { return !f.Warning })
}

// Sorted returns them in the order of flags and variables, then of the file's lines.
func (fs Faults) Sorted() Faults {
	out := slices.Clone(fs)
	slices.SortStableFunc(out, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.Where.file, b.Where.file), cmp.Compare(a.Where.line, b.Where.line))
	})
	return out
}

// Print writes one a line, warnings marked as such. One of a file begins with its place, which editors jump to, every
// other with l4fwd, as all messages do.
func (fs Faults) Print(w io.Writer) {
	for _, f := range fs.Sorted() {
		text := f.Error()
		if f.Warning {
			text = "warning: " + text
		}
		if f.Where.file == "" {
			text = "l4fwd: " + text
		}
		fmt.Fprintln(w, text)
	}
}

// Nearest returns the candidate that was probably meant by word, or the empty string if none is close.
func Nearest(word string, candidates []string) string {
	best, bestDistance := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(word, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with the next one to get from a to b.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
