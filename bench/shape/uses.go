package main

import (
	"cmp"
	"fmt"
	"go/types"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"github.com/l4fwd/l4fwd/bench/gocode"
)

// coupling is how the files of one package use each other.
type coupling struct {
	pkg      string
	files    int
	all      int      // uses between files
	backward []string // those against the direction, in words
}

// measureUses returns the coupling of each package of the product, that with the most files first.
func measureUses() ([]coupling, error) {
	packages, err := gocode.Load("./cmd/...", "./eip/...", "./health/...", "./proxy/...")
	if err != nil {
		return nil, err
	}
	var all []coupling
	for _, p := range packages {
		all = append(all, couplingOf(p))
	}
	slices.SortStableFunc(all, func(a, b coupling) int { return cmp.Compare(b.files, a.files) })
	return all, nil
}

func couplingOf(p *gocode.Package) coupling {
	names, uses := usesBetween(p)
	order := bestOrder(uses)
	c := coupling{pkg: p.Short, files: len(names)}
	place := make([]int, len(order))
	for at, file := range order {
		place[file] = at
	}
	for user := range uses {
		for used, what := range uses[user] {
			c.all += len(what)
			if place[used] < place[user] {
				for name := range what {
					c.backward = append(c.backward, fmt.Sprintf("%s uses %s of %s", names[user], name, names[used]))
				}
			}
		}
	}
	return c
}

// matrix holds for each pair of files what the first uses of the second.
type matrix [][]map[string]bool

// usesBetween returns the names of the files and what they use of each other.
func usesBetween(p *gocode.Package) (names []string, uses matrix) {
	index := map[string]int{}
	for i, f := range p.Files {
		path := p.Fset.Position(f.Pos()).Filename
		index[path] = i
		names = append(names, filepath.Base(path))
		uses = append(uses, make([]map[string]bool, len(p.Files)))
	}
	for id, object := range p.Info.Uses {
		if !isShared(object, p) {
			continue
		}
		user, used := index[p.Fset.Position(id.Pos()).Filename], index[p.Fset.Position(object.Pos()).Filename]
		if user == used {
			continue
		}
		if uses[user][used] == nil {
			uses[user][used] = map[string]bool{}
		}
		uses[user][used][nameOf(object)] = true
	}
	return names, uses
}

// nameOf is the name of an identifier, for a method with the type.
func nameOf(o types.Object) string {
	f, ok := o.(*types.Func)
	if !ok || f.Signature().Recv() == nil {
		return o.Name()
	}
	return types.TypeString(f.Signature().Recv().Type(), func(*types.Package) string { return "" }) + "." + o.Name()
}

// isShared reports whether the object is a top-level identifier of the package or a method of one of its types.
func isShared(o types.Object, p *gocode.Package) bool {
	if o.Pkg() == nil || o.Pkg().Path() != p.Path {
		return false
	}
	if f, ok := o.(*types.Func); ok && f.Signature().Recv() != nil {
		return true
	}
	return o.Parent() == o.Pkg().Scope()
}

// attempts is from how many random orders the search begins.
const attempts = 30

// bestOrder returns the order of files in which the fewest uses run backwards: users first, what they use after them. With each
// attempt a file is moved to its best place until no move helps.
func bestOrder(uses matrix) []int {
	var best []int
	random := rand.New(rand.NewPCG(1, 1))
	for range attempts {
		order := random.Perm(len(uses))
		for improved := true; improved; {
			improved = false
			for i := range order {
				improved = moveOne(order, i, uses) || improved
			}
		}
		if best == nil || backwards(order, uses) < backwards(best, uses) {
			best = order
		}
	}
	return best
}

// moveOne moves the file at place i to where it saves the most, and reports whether it saves anything.
func moveOne(order []int, i int, uses matrix) bool {
	file, bestGain, to := order[i], 0, i
	// Past order[j], what that file uses of this one begins to run forwards, and the other way round.
	gain := 0
	for j := i + 1; j < len(order); j++ {
		gain += len(uses[order[j]][file]) - len(uses[file][order[j]])
		if gain > bestGain {
			bestGain, to = gain, j
		}
	}
	gain = 0
	for j := i - 1; j >= 0; j-- {
		gain += len(uses[file][order[j]]) - len(uses[order[j]][file])
		if gain > bestGain {
			bestGain, to = gain, j
		}
	}
	if to == i {
		return false
	}
	copy(order, slices.Insert(slices.Delete(slices.Clone(order), i, i+1), to, file))
	return true
}

// backwards counts the uses that run backwards in an order.
func backwards(order []int, uses matrix) int {
	n := 0
	for i, user := range order {
		for _, used := range order[:i] {
			n += len(uses[user][used])
		}
	}
	return n
}

func (c coupling) row() row {
	return row{"uses between files against the direction, " + c.pkg, fmt.Sprintf("%d of %d", len(c.backward), c.all), "≤ 10"}
}

// show prints the uses that run backwards.
func (c coupling) show(w io.Writer) {
	fmt.Fprintf(w, "%s: %d files, %d of %d uses between files run backwards\n", c.pkg, c.files, len(c.backward), c.all)
	slices.Sort(c.backward)
	for _, b := range c.backward {
		fmt.Fprintln(w, "  "+b)
	}
}
