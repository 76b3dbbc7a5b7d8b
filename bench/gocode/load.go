// Package gocode reads a package of Go with its types, for the tools that judge the code.
package gocode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Package is a package of the tree, without its tests, as this system builds it.
type Package struct {
	Path, Dir string // import path, directory
	Short     string // Path without the module's
	Fset      *token.FileSet
	Files     []*ast.File
	Source    map[string][]byte // by path of the file
	Info      *types.Info
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
	Module                  *struct{ Path string }
}

// Load returns the packages that the patterns match. It checks their types against the compiled packages that they import.
func Load(patterns ...string) ([]*Package, error) {
	out, err := Go(append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly,Module"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	var found []*listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		exports[l.ImportPath] = l.Export
		if !l.DepOnly && l.Module != nil && len(l.GoFiles) > 0 {
			found = append(found, &l)
		}
	}
	if found == nil {
		return nil, errors.New("no package of a module matches")
	}
	var all []*Package
	for _, l := range found {
		p, err := parse(l, exports)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.ImportPath, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func parse(l *listed, exports map[string]string) (*Package, error) {
	p := &Package{Path: l.ImportPath, Dir: l.Dir, Short: strings.TrimPrefix(l.ImportPath, l.Module.Path+"/"),
		Fset: token.NewFileSet(), Source: map[string][]byte{}, Info: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
		}}
	for _, name := range l.GoFiles {
		path := filepath.Join(l.Dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(p.Fset, path, text, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return nil, err
		}
		p.Files, p.Source[path] = append(p.Files, file), text
	}
	open := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	config := types.Config{Importer: importer.ForCompiler(p.Fset, "gc", open)}
	_, err := config.Check(l.ImportPath, p.Fset, p.Files, p.Info)
	return p, err
}

// Go runs a command of go and returns its output. The error holds what it wrote to standard error.
func Go(args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, complaint.Bytes())
	}
	return out, nil
}

// FunctionName is Type.Method or the name of a function.
func FunctionName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	for {
		switch u := t.(type) {
		case *ast.StarExpr:
			t = u.X
		case *ast.IndexExpr:
			t = u.X
		case *ast.IndexListExpr:
			t = u.X
		case *ast.Ident:
			return u.Name + "." + d.Name.Name
		default:
			return d.Name.Name
		}
	}
}
