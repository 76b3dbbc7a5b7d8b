package config

import (
	"cmp"
	"errors"
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

// asFault is err as a fault; an error that is none becomes one without advice.
func asFault(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return &Fault{What: err.Error()}
}

// origin is where a value came from: a line of a file, a flag or a variable. The zero value is a default.
type origin struct {
	file string
	line int
	name string // flag --loops, or L4FWD_LOOPS
}

// String is the place as an editor finds it: FILE:LINE, or the name of a flag or a variable.
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

// OfFlags reports whether any of them, warnings aside, is of a flag or a variable.
func (fs Faults) OfFlags() bool {
	return slices.ContainsFunc(fs, func(f *Fault) bool { return !f.Warning && f.Where.name != "" })
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

// maxFaults bounds what is kept of the faults of one configuration, and of its warnings: a file that is something else
// has a fault in every line.
const maxFaults = 1000

// report collects what is found about a configuration.
type report struct {
	faults  Faults
	bad     int               // faults, those that were not kept too
	warned  int               // warnings, in the same way
	origins map[string]origin // where each value came from, by key with indices; a default has none
	spelled map[string]string // the key as it was written, where a shorthand stood for it
}

// newReport is a report of nothing.
func newReport() *report {
	return &report{origins: map[string]origin{}, spelled: map[string]string{}}
}

// add reports a fault of a key, at the place where its value was given.
func (r *report) add(key string, err error) { r.addAt(r.origins[key], key, err) }

// addAt reports a fault at a place.
func (r *report) addAt(where origin, key string, err error) {
	f := asFault(err)
	kept := &r.bad
	if f.Warning {
		kept = &r.warned
	}
	if *kept++; *kept > maxFaults {
		return
	}
	f.Where, f.Key = where, r.spelling(key)
	r.faults = append(r.faults, f)
}

// warn reports something that is no reason to refuse the configuration.
func (r *report) warn(key, what, allowed string) { r.warnAt(r.origins[key], key, what, allowed) }

// warnAt is warn at a place.
func (r *report) warnAt(where origin, key, what, allowed string) {
	r.addAt(where, key, &Fault{What: what, Allowed: allowed, Warning: true})
}

// full reports whether no more faults are kept.
func (r *report) full() bool { return r.bad > maxFaults }

// all is every fault and warning found.
func (r *report) all() Faults {
	if r.bad <= maxFaults {
		return r.faults
	}
	return append(r.faults, fault("there are more faults than these %d", "correct these first", maxFaults))
}

// spelling is the key as it was written.
func (r *report) spelling(key string) string { return cmp.Or(r.spelled[key], key) }

// given reports whether a value was given for the key, rather than taken by default.
func (r *report) given(key string) bool {
	_, ok := r.origins[key]
	return ok
}

// complained reports whether there is a fault with a key that begins with prefix.
func (r *report) complained(prefix string) bool {
	return slices.ContainsFunc(r.faults, func(f *Fault) bool { return !f.Warning && strings.HasPrefix(f.Key, prefix) })
}

// noUpstream is the fault that there is nothing to forward to.
const noUpstream = "no upstream: name one with --upstream HOST:443, in L4FWD_UPSTREAM, or under upstreams in a file given with --config"

// WithoutUpstream returns the faults without the one that no upstream is configured, for a verb that may have something else
// to do. missing reports whether there was one.
func (fs Faults) WithoutUpstream() (rest Faults, missing bool) {
	for _, f := range fs {
		if f.What == noUpstream {
			missing = true
			continue
		}
		rest = append(rest, f)
	}
	return rest, missing
}
