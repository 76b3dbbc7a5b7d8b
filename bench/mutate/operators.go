package main

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strconv"
)

// inverse and boundary are the comparisons that replace a comparison.
var (
	inverse = map[token.Token]token.Token{
		token.EQL: token.NEQ, token.NEQ: token.EQL, token.LSS: token.GEQ, token.GEQ: token.LSS, token.GTR: token.LEQ, token.LEQ: token.GTR,
	}
	boundary = map[token.Token]token.Token{
		token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	}
	arithmetic = map[token.Token]token.Token{
		token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL, token.REM: token.MUL,
		token.SHL: token.SHR, token.SHR: token.SHL, token.AND: token.OR, token.OR: token.AND,
	}
)

// binary negates comparisons and shifts their boundaries, leaves out either side of && and ||, and exchanges arithmetic.
func (f *finder) binary(n *ast.BinaryExpr) {
	if to, ok := inverse[n.Op]; ok {
		f.operator("condition negated", n, to)
	}
	if to, ok := boundary[n.Op]; ok && !f.isDuration(n.X) {
		f.operator("boundary shifted", n, to)
	}
	switch n.Op {
	case token.LAND, token.LOR:
		neutral := map[token.Token]string{token.LAND: "true || ", token.LOR: "false && "}[n.Op]
		for _, side := range []ast.Expr{n.X, n.Y} {
			f.add("clause removed", side, side, "("+neutral+"(%s))")
		}
		return
	}
	if to, ok := arithmetic[n.Op]; ok && f.numeric(n) {
		f.operator("arithmetic exchanged", n, to)
	}
}

// isDuration reports whether the expression is a time.Duration. No test meets the boundary of one, nor does the world.
func (f *finder) isDuration(e ast.Expr) bool {
	t := f.p.Info.Types[e].Type
	return t != nil && t.String() == "time.Duration"
}

func (f *finder) operator(kind string, n *ast.BinaryExpr, to token.Token) {
	text := f.code(n.X) + " " + to.String() + " " + f.code(n.Y)
	f.replace(kind, n, text, oneLine(text))
}

func (f *finder) numeric(e ast.Expr) bool {
	t := f.p.Info.Types[e].Type
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsNumeric != 0
}

// negate negates a condition that is no comparison: those are for binary.
func (f *finder) negate(cond ast.Expr) {
	switch c := ast.Unparen(cond).(type) {
	case *ast.BinaryExpr:
	case *ast.UnaryExpr:
		f.add("condition negated", cond, c.X, "%s")
	default:
		f.add("condition negated", cond, cond, "!(%s)")
	}
}

// cases negates the conditions of a switch without a tag.
func (f *finder) cases(n *ast.SwitchStmt) {
	if n.Tag != nil {
		return
	}
	for _, clause := range n.Body.List {
		for _, cond := range clause.(*ast.CaseClause).List {
			f.add("guard removed", cond, cond, "false && (%s)")
			f.negate(cond)
		}
	}
}

// literal scales a number: 0 becomes 1, 1 becomes 2, others four times as much.
func (f *finder) literal(n *ast.BasicLit) {
	if n.Kind != token.INT && n.Kind != token.FLOAT {
		return
	}
	text := "(" + n.Value + " * 4)"
	switch v, _ := strconv.ParseFloat(n.Value, 64); v {
	case 0:
		text = "1"
	case 1:
		text = "2"
	}
	f.replace("constant scaled", n, text, text)
}

// duration scales a named duration that no literal stands before, such as time.Second: four times as much.
func (f *finder) duration(n *ast.SelectorExpr) {
	v := f.p.Info.Types[n]
	if v.Value == nil || !f.isDuration(n) || f.code(n.X) != "time" {
		return
	}
	if before := f.p.Fset.Position(n.Pos()).Offset; before >= 2 && f.p.Source[f.file][before-2] == '*' {
		return
	}
	f.add("constant scaled", n, n, "(4 * %s)")
}

// statements removes each statement that can be left out. What it uses stays used, so that the rest compiles.
func (f *finder) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); ok && (f.isLog(call) || isPanic(call)) {
				continue
			}
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
		case *ast.IncDecStmt, *ast.DeferStmt, *ast.GoStmt, *ast.SendStmt:
		case *ast.BranchStmt:
			if s.Tok != token.CONTINUE && s.Tok != token.BREAK {
				continue
			}
		default:
			continue
		}
		f.replace("statement removed", s, "if false { "+f.code(s)+" }", "")
	}
}

func isPanic(call *ast.CallExpr) bool {
	id, ok := call.Fun.(*ast.Ident)
	return ok && id.Name == "panic"
}

// returns alters each value that is returned: a condition is negated, anything else becomes the zero value of its type.
func (f *finder) returns(n *ast.ReturnStmt) {
	if f.results == nil || len(n.Results) != f.results.Len() {
		return
	}
	for i, e := range n.Results {
		v, want := f.p.Info.Types[e], f.results.At(i).Type()
		switch {
		case v.Type == nil || v.IsNil() || isZero(v.Value) || isEmpty(e):
		case v.Value != nil && v.Value.Kind() == constant.Bool:
			f.add("return altered", e, nil, map[bool]string{true: "false", false: "true"}[constant.BoolVal(v.Value)])
		case isBool(want):
			f.add("return altered", e, e, "!(%s)")
		case v.Value != nil && f.numeric(e):
			f.replace("return altered", e, "0", "0")
		case v.Value == nil && types.Identical(v.Type, want):
			f.replace("return altered", e, zeroOf+"("+f.code(e)+")", "zero value")
		case types.IsInterface(want):
			f.replace("return altered", e, "nil", "nil")
		}
	}
}

// zeroOf is a function that the overlay adds to the package.
const zeroOf = "zeroForMutation"

func isZero(v constant.Value) bool {
	return v != nil && v.Kind() == constant.Int && constant.Sign(v) == 0
}

// isEmpty reports whether the expression is T{}, which is the zero value of a struct already.
func isEmpty(e ast.Expr) bool {
	c, ok := e.(*ast.CompositeLit)
	return ok && len(c.Elts) == 0
}

func isBool(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsBoolean != 0
}
