package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"github.com/l4fwd/l4fwd/bench/gocode"
)

// fault is one change of the code: the bytes from pos to end are replaced by text.
type fault struct {
	kind     string // in words
	file     string // path
	function string // Type.Method, function, or "declaration"
	pos, end token.Pos
	line     int
	was, now string // the code before and after, on one line each, for people
	text     string
	object   types.Object // of a package-level declaration: what is declared
	around   ast.Node     // the function around; nil in a declaration

	tests   []string // those that reach it
	outcome outcome
}

// name identifies the fault as long as the function and the changed expression stay the same, wherever they move to.
func (f *fault) name() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s: %s => %s", f.function, f.kind, f.was, f.now))
}

// finder collects the faults of one function or declaration.
type finder struct {
	p        *gocode.Package
	file     string
	function string
	object   types.Object
	around   ast.Node
	results  *types.Tuple // of the innermost function around
	found    *[]*fault
}

// findFaults returns every fault that this tool knows to make in the package.
func findFaults(p *gocode.Package) []*fault {
	var all []*fault
	for _, file := range p.Files {
		for _, d := range file.Decls {
			f := finder{p: p, file: p.Fset.Position(file.Pos()).Filename, found: &all}
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Body != nil {
					f.function, f.around = gocode.FunctionName(d), d.Body
					f.results = p.Info.Defs[d.Name].Type().(*types.Signature).Results()
					f.walk(d.Body)
				}
			case *ast.GenDecl:
				f.declarations(d)
			}
		}
	}
	return all
}

// declarations looks at the values of package-level constants and variables.
func (f *finder) declarations(d *ast.GenDecl) {
	for _, s := range d.Specs {
		v, ok := s.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, value := range v.Values {
			g := *f
			g.function, g.object = v.Names[min(i, len(v.Names)-1)].Name, f.p.Info.Defs[v.Names[min(i, len(v.Names)-1)]]
			g.walk(value)
		}
	}
}

// walk visits every node below n.
func (f *finder) walk(n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			g := *f
			g.results = f.p.Info.Types[n].Type.(*types.Signature).Results()
			g.walk(n.Body)
			return false
		case *ast.ArrayType:
			return false
		case *ast.CallExpr:
			return !f.isLog(n)
		case *ast.BlockStmt:
			f.statements(n.List)
		case *ast.CommClause:
			f.statements(n.Body)
		case *ast.CaseClause:
			f.statements(n.Body)
		case *ast.SwitchStmt:
			f.cases(n)
		case *ast.IfStmt:
			f.add("guard removed", n.Cond, n.Cond, "false && (%s)")
			f.negate(n.Cond)
		case *ast.ForStmt:
			if n.Cond != nil {
				f.negate(n.Cond)
			}
		case *ast.BinaryExpr:
			f.binary(n)
		case *ast.BasicLit:
			f.literal(n)
		case *ast.SelectorExpr:
			f.duration(n)
			return true
		case *ast.ReturnStmt:
			f.returns(n)
		}
		return true
	})
}

// add notes that the code of n is replaced by format with the code of inner in it.
func (f *finder) add(kind string, n, inner ast.Node, format string) {
	text := format
	if inner != nil {
		text = fmt.Sprintf(format, f.code(inner))
	}
	f.replace(kind, n, text, oneLine(text))
}

func (f *finder) replace(kind string, n ast.Node, text, now string) {
	*f.found = append(*f.found, &fault{
		kind: kind, file: f.file, function: f.function, object: f.object, around: f.around, pos: n.Pos(), end: n.End(), line: f.p.Fset.Position(n.Pos()).Line,
		was: oneLine(f.code(n)), now: now, text: text,
	})
}

func (f *finder) code(n ast.Node) string {
	text := f.p.Source[f.file]
	return string(text[f.p.Fset.Position(n.Pos()).Offset:f.p.Fset.Position(n.End()).Offset])
}

// oneLine makes code short enough to print.
func oneLine(code string) string {
	code = strings.Join(strings.Fields(code), " ")
	if runes := []rune(code); len(runes) > 100 {
		return string(runes[:97]) + "..."
	}
	return code
}

// isLog reports whether the call is one of a logger: what is logged is not worth a test each.
func (f *finder) isLog(call *ast.CallExpr) bool {
	s, ok := call.Fun.(*ast.SelectorExpr)
	return ok && f.p.Info.Types[s.X].Type != nil && strings.HasSuffix(f.p.Info.Types[s.X].Type.String(), "zap.Logger")
}
