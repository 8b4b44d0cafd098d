package check

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
)

// calls reads targets and finds the cached functions that they are about.
type calls struct{ resolver }

// A call is a target as it is written: FindUser(id).
type call struct {
	callee facts.Path
	args   []argument
	spread bool // the last argument ends in ...
}

// call reads a positional argument of a directive of f that names a cached function. The
// call is nil if something was reported, here or about that function.
func (p calls) call(f *facts.Function, arg directive.Arg, what string) (*call, *facts.Cache) {
	if at := comment(arg.Text); at >= 0 {
		p.addf(arg.TextPos()+token.Pos(at), diag.Syntax, "a target cannot contain a comment").
			Hintf("put the comment on a line of its own, above the directive")
		return nil, nil
	}
	expr, err := parser.ParseExpr(arg.Text)
	written, isCall := expr.(*ast.CallExpr)
	callee, isName := dotted(expr, arg)
	if isCall && err == nil {
		callee, isName = dotted(written.Fun, arg)
	}
	if err != nil || !isName || len(callee.Names) > 3 {
		p.addf(arg.Pos, diag.Target, "%q is not a target", arg.Text).
			Hintf("a target is a cached function with %s", what)
		return nil, nil
	}
	c := p.targetCache(f, callee)
	if c == nil {
		return nil, nil
	}
	if c.Broken || c.In != p.Package && c.In.Broken {
		p.Broken = true // the problem is reported there
		if c.In.Context {
			p.addf(callee.Pos(0), diag.Target, "package %s has problems", c.In.Path).Hintf("run cachegen for it too: cachegen %s", c.In.Path)
		}
		return nil, nil
	}
	want := signature(c)
	if !isCall {
		p.addf(arg.Pos, diag.Target, "%s needs the arguments of its key", callee).Hintf("write %s(%s)", callee, want)
		return nil, nil
	}
	if len(written.Args) != len(c.KeyParams) {
		p.addf(callee.Pos(0), diag.Target, "%s takes %s, not %d", callee, count(len(c.KeyParams)), len(written.Args)).
			Hintf("write %s(%s)", callee, want)
		return nil, nil
	}
	if c.Generic() && (c.Recv == nil || c.Recv != f.Recv) {
		p.addf(callee.Pos(0), diag.Target, "%s is generic, and a target here cannot say which of its caches is meant", callee).
			Hintf("name it in a method of the same type, or invalidate by a tag")
		return nil, nil
	}
	found := &call{callee: callee, spread: written.Ellipsis.IsValid()}
	for _, x := range written.Args {
		found.args = append(found.args, argument{x, arg.TextPos() + x.Pos() - 1, arg.Text[x.Pos()-1 : x.End()-1]})
	}
	return found, c
}

// comment is the offset of the first comment in Go source; -1 if there is none.
func comment(text string) int {
	file := token.NewFileSet().AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), nil, scanner.ScanComments)
	for {
		switch pos, tok, _ := s.Scan(); tok {
		case token.COMMENT:
			return file.Offset(pos)
		case token.EOF:
			return -1
		}
	}
}

// signature is what is written in the parentheses of a target of c.
func signature(c *facts.Cache) string {
	var names []string
	for _, v := range c.KeyParams {
		names = append(names, v.Source())
	}
	return strings.Join(names, ", ")
}

func count(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

// dotted reads a name or names joined by dots.
func dotted(expr ast.Expr, arg directive.Arg) (facts.Path, bool) {
	at := facts.Path{Start: arg.TextPos()}
	for {
		switch x := expr.(type) {
		case *ast.Ident:
			at.Names = append(at.Names, key.Name{Text: x.Name, Offset: int(x.Pos()) - 1})
			slices.Reverse(at.Names)
			return at, true
		case *ast.SelectorExpr:
			at.Names = append(at.Names, key.Name{Text: x.Sel.Name, Offset: int(x.Sel.Pos()) - 1})
			expr = x.X
		default:
			return facts.Path{}, false
		}
	}
}

// fieldsOf turns arguments, which stand for parameters of the cached function c, into
// values of its key's fields. f is the function that has the arguments.
func (p calls) fieldsOf(f *facts.Function, c *facts.Cache, args []*facts.Operand, callee facts.Path) ([]*facts.Operand, bool) {
	var list []*facts.Operand
	for _, field := range c.Fields {
		if field.Root == facts.Receiver {
			if f.Home() != c.Recv {
				p.addf(callee.Pos(0), diag.Target, "the key of %s contains recv.%s, which only methods of %s have",
					callee, strings.Join(field.Path, "."), c.Recv.Object.Name()).
					Hintf("invalidate by a tag, or in a method of %s", c.Recv.Object.Name())
				return nil, false
			}
			list = append(list, field.Operand)
			continue
		}
		arg := *args[slices.Index(c.KeyParams, field.Of)]
		arg.Path = append(slices.Clone(arg.Path), field.Path...)
		list = append(list, &arg)
	}
	return list, true
}
