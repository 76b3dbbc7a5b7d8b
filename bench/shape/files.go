package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/l4fwd/l4fwd/bench/gocode"
)

// The limits for product code, in lines.
const maxFunction, maxFile = 45, 300

// shape is what is counted file by file.
type shape struct {
	mains       int   // files of package main in cmd/l4fwd
	functions   []int // lines of each
	uncommented int
	code, tests int // lines
	longestFile int

	linked  map[string]bool // directories of the packages that the program is made of
	support int             // lines of code in other directories: simulators and browsers of tests

	readmeLines, readmeWidth int

	places []string // over the limits
}

// isProduct reports whether the file belongs to the forwarder rather than to its tools.
func isProduct(path string) bool {
	top, _, _ := strings.Cut(path, "/")
	return slices.Contains([]string{"cmd", "eip", "health", "proxy"}, top)
}

// readFiles counts everything that needs no types.
func readFiles() (*shape, error) {
	paths, err := tracked("*.go")
	if err != nil {
		return nil, err
	}
	s := &shape{}
	if s.linked, err = linked(); err != nil {
		return nil, err
	}
	for _, path := range paths {
		if !isProduct(path) {
			continue
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // deleted, and git not told yet
			continue
		} else if err != nil {
			return nil, err
		}
		if err := s.file(path, text); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile("README.md")
	s.readme(string(text))
	return s, err
}

// linked returns the directories of this module's packages that the program is made of.
func linked() (map[string]bool, error) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.ImportPath}}{{end}}{{end}}", "./cmd/l4fwd").Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages of ./cmd/l4fwd: %w", err)
	}
	all := map[string]bool{}
	for _, pkg := range strings.Fields(string(out)) {
		all[strings.TrimPrefix(pkg, "github.com/l4fwd/l4fwd/")] = true
	}
	return all, nil
}

// file counts one file of product code or of its tests.
func (s *shape) file(path string, text []byte) error {
	lines := bytes.Count(text, []byte("\n"))
	if strings.HasSuffix(path, "_test.go") {
		s.tests += lines
		return nil
	}
	s.code += lines
	if !s.linked[filepath.Dir(path)] {
		s.support += lines
	}
	s.longestFile = max(s.longestFile, lines)
	if lines > maxFile {
		s.places = append(s.places, fmt.Sprintf("%s has %d lines", path, lines))
	}
	if rest, ok := strings.CutPrefix(path, "cmd/l4fwd/"); ok && !strings.Contains(rest, "/") {
		s.mains++
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			s.function(fset, path, f)
		}
	}
	return nil
}

// obvious are names that say all there is to say.
var obvious = []string{"main", "init", "String", "Error", "Unwrap", "Len", "Less", "Swap", "Close", "Read", "Write"}

func (s *shape) function(fset *token.FileSet, path string, f *ast.FuncDecl) {
	at := fset.Position(f.Pos())
	n := fset.Position(f.End()).Line - at.Line + 1
	s.functions = append(s.functions, n)
	if n > maxFunction {
		s.places = append(s.places, fmt.Sprintf("%s:%d: %s has %d lines", path, at.Line, gocode.FunctionName(f), n))
	}
	if f.Doc == nil && !slices.Contains(obvious, f.Name.Name) {
		s.uncommented++
		s.places = append(s.places, fmt.Sprintf("%s:%d: %s has no comment", path, at.Line, gocode.FunctionName(f)))
	}
}

func (s *shape) readme(text string) {
	for line := range strings.Lines(text) {
		s.readmeLines++
		s.readmeWidth = max(s.readmeWidth, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")))
	}
}

// rows returns the figures in the order in which they are shown.
func (s *shape) rows() []row {
	slices.Sort(s.functions)
	at := func(percent int) int { return s.functions[(len(s.functions)-1)*percent/100] }
	return []row{
		{"function lines: median, 90 of 100, longest", fmt.Sprintf("%d / %d / %d", at(50), at(90), at(100)), "≤ 9 / 22 / 45"},
		{"lines of the longest file", fmt.Sprint(s.longestFile), "≤ 300"},
		{fmt.Sprintf("tests ÷ code (%d ÷ %d lines)", s.tests, s.code), fmt.Sprintf("%.2f", float64(s.tests)/float64(s.code)), "≥ 1.10"},
		{fmt.Sprintf("the same, code that only tests import being theirs (%d ÷ %d)", s.tests+s.support, s.code-s.support),
			fmt.Sprintf("%.2f", float64(s.tests+s.support)/float64(s.code-s.support)), "–"},
		{"README lines", fmt.Sprint(s.readmeLines), "≤ 120"},
		{"README width", fmt.Sprint(s.readmeWidth), "≤ 140"},
		{fmt.Sprintf("functions without comments, of %d", len(s.functions)), fmt.Sprint(s.uncommented), "0 non-obvious"},
	}
}

func (s *shape) showPlaces(w io.Writer) {
	for _, p := range s.places {
		fmt.Fprintln(w, p)
	}
}
