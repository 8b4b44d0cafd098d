package check

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
)

// An argument is one of the things in the parentheses of a target.
type argument struct {
	expr ast.Expr
	at   token.Pos
	text string
}

// argument checks one argument of a target in a directive of f, which stands for the
// parameter want of a cached function: a parameter, the receiver or a result of f,
// fields of those, or a literal.
func (p calls) argument(f *facts.Function, c *facts.Cache, want *facts.Param, x argument, arg directive.Arg) *facts.Operand {
	if value := p.literal(f, x.expr); value != nil {
		if !representable(value, want.Type()) {
			p.addf(x.at, diag.Target, "cannot use %s as %s (%s) of %s", x.text, want.Source(), p.TypeName(want.Type()), c.Name()).
				Hintf("write a value of type %s", p.TypeName(want.Type()))
			return nil
		}
		return &facts.Operand{Root: facts.Literal, Literal: x.text, Type: want.Type()}
	}
	names, ok := dotted(x.expr, arg)
	if !ok {
		p.addf(x.at, diag.Target, "%s cannot be used as an argument of a target", x.text).
			Hintf("arguments are parameters, results, their fields, integers, strings, true and false")
		return nil
	}
	o := p.resolve(f, names, true, diag.Target)
	if o == nil {
		return nil
	}
	if !p.assignable(o.Type, want.Type()) {
		d := p.addf(x.at, diag.Target, "cannot use %s (%s) as %s (%s) of %s", x.text, p.TypeName(o.Type), want.Source(), p.TypeName(want.Type()), c.Name())
		if s, ok := o.Type.Underlying().(*types.Slice); ok && p.assignable(s.Elem(), want.Type()) {
			d.Hintf("for the entries of all elements, write %s...", x.text)
		} else {
			d.Hintf("use something of type %s", p.TypeName(want.Type()))
		}
		return nil
	}
	return o
}

// assignable is [types.AssignableTo] for types that may come from two loads, in which a
// type of another package is not identical to itself.
func (p calls) assignable(from, to types.Type) bool {
	return types.AssignableTo(from, to) || types.TypeString(from, nil) == types.TypeString(to, nil)
}

// literal is the value of a literal; nil if x is none.
func (p calls) literal(f *facts.Function, x ast.Expr) constant.Value {
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
		for _, v := range append(slices.Clone(f.Params), f.Results...) {
			if v.Source() == x.Name {
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
	f := facts.Basics[b.Kind()]
	bits := f.Bits
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
			return f.Basic != "" && constant.Sign(value) >= 0 && constant.BitLen(value) <= bits
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
