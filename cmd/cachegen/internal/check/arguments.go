package check

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
)

// argument checks one argument of a target, which stands for the parameter want of c:
// a parameter, the receiver or a result of the writer, fields of those, or a literal.
func (p *pack) argument(w *writer, c *cache, want *param, x ast.Expr, arg directive.Arg) *operand {
	at := arg.TextPos() + x.Pos() - 1
	source := arg.Text[x.Pos()-1 : x.End()-1]
	if value := p.literal(w, x); value != nil {
		if !representable(value, want.Type()) {
			p.addf(at, diag.Target, "cannot use %s as %s (%s) of %s", source, want.source(), p.name(want.Type()), c.name())
			return nil
		}
		return &operand{root: literal, literal: source, typ: want.Type()}
	}
	names, ok := dotted(x, arg)
	if !ok {
		p.addf(at, diag.Target, "%s cannot be an argument of a target", source).
			Hintf("arguments are parameters, results, their fields, integers, strings, true and false")
		return nil
	}
	o := p.resolve(w.function, names, true, diag.Target)
	if o == nil {
		return nil
	}
	if !types.AssignableTo(o.typ, want.Type()) {
		p.addf(at, diag.Target, "cannot use %s (%s) as %s (%s) of %s",
			source, p.name(o.typ), want.source(), p.name(want.Type()), c.name())
		return nil
	}
	return o
}

// literal is the value of a literal; nil if x is none.
func (p *pack) literal(w *writer, x ast.Expr) constant.Value {
	switch x := x.(type) {
	case *ast.BasicLit:
		if x.Kind == token.INT || x.Kind == token.STRING {
			return constant.MakeFromLiteral(x.Value, x.Kind, 0)
		}
	case *ast.UnaryExpr:
		if lit, ok := x.X.(*ast.BasicLit); ok && x.Op == token.SUB && lit.Kind == token.INT {
			return constant.UnaryOp(token.SUB, constant.MakeFromLiteral(lit.Value, lit.Kind, 0), 0)
		}
	case *ast.Ident:
		for _, v := range append(w.params, w.results...) {
			if v.source() == x.Name {
				return nil
			}
		}
		if x.Name == "true" || x.Name == "false" {
			return constant.MakeBool(x.Name == "true")
		}
	}
	return nil
}

// representable reports whether a literal can be a value of type t.
func representable(value constant.Value, t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	if !ok {
		return false
	}
	f := integers[b.Kind()]
	bits := f.bits
	if bits == 0 {
		bits = 64
	}
	switch info := b.Info(); value.Kind() {
	case constant.Bool:
		return info&types.IsBoolean != 0
	case constant.String:
		return info&types.IsString != 0
	case constant.Int:
		if info&types.IsUnsigned != 0 {
			return f.basic != "" && constant.Sign(value) >= 0 && constant.BitLen(value) <= bits
		}
		// The smallest number of n bits has n bits without its sign, and is -2^(n-1).
		if info&types.IsInteger == 0 {
			return false
		}
		if constant.Sign(value) < 0 {
			value = constant.UnaryOp(token.XOR, value, 0)
		}
		return constant.BitLen(value) < bits
	}
	return false
}
