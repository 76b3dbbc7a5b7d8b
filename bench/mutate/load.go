package main

import (
	"bytes"
	"encoding/json"
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

// pkg is a package of the tree with its types.
type pkg struct {
	path, module, dir string
	fset              *token.FileSet
	files             []*ast.File // without tests
	source            map[string][]byte
	info              *types.Info
}

// short is the import path without the module's.
func (p *pkg) short() string { return strings.TrimPrefix(p.path, p.module+"/") }

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
	Module                  *struct{ Path string }
}

// load parses the package that the pattern names and checks its types against the compiled packages that it imports.
func load(pattern string) (*pkg, error) {
	out, err := goTool("list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly,Module", pattern)
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	var found *listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		exports[l.ImportPath] = l.Export
		if l.DepOnly {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("it matches %s and %s: name one package at a time", found.ImportPath, l.ImportPath)
		}
		found = &l
	}
	if found == nil || found.Module == nil {
		return nil, fmt.Errorf("it is no package of a module")
	}
	return parse(found, exports)
}

func parse(l *listed, exports map[string]string) (*pkg, error) {
	p := &pkg{path: l.ImportPath, module: l.Module.Path, dir: l.Dir, fset: token.NewFileSet(), source: map[string][]byte{}, info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
	}}
	for _, name := range l.GoFiles {
		path := filepath.Join(l.Dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(p.fset, path, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.files, p.source[path] = append(p.files, file), text
	}
	config := types.Config{Importer: importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })}
	if _, err := config.Check(l.ImportPath, p.fset, p.files, p.info); err != nil {
		return nil, err
	}
	return p, nil
}

// goTool runs a command of go and returns its output. The error holds what it wrote to standard error.
func goTool(args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, errors.Bytes())
	}
	return out, nil
}
