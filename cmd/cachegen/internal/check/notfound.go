package check

import (
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
)

// notFoundRule reads how loaders say that there is no value.
type notFoundRule struct{ *pass }

func (p notFoundRule) check() {
	for _, c := range p.Caches {
		p.readNotFound(c)
	}
}

// readNotFound reads notfound= of a cached function, and checks that notfoundttl
// belongs to something. A function with a bool result says by that whether there is a value,
// and a nil pointer is none, with notfound=nil or without.
func (p notFoundRule) readNotFound(c *facts.Cache) {
	own := true
	for _, d := range c.Levels() {
		if arg, ok := d.Option("notfound"); ok {
			p.notFoundOption(c, arg, own)
			break
		}
		own = false
	}
	if arg, ok := c.Directive.Option("notfoundttl"); ok && c.NotFound.None() && !c.HasOK() && !c.Broken && !nilIsNone(c.Value()) {
		p.addf(arg.Pos, diag.Option, "nothing says when there is no value, so %s has no effect", arg.Text).
			Hintf("%s", p.missingNotFoundHint(c))
	}
}

// missingNotFoundHint is the hint where notfoundttl= stands alone.
func (p notFoundRule) missingNotFoundHint(c *facts.Cache) string {
	hint := fmt.Sprintf("add notfound= with the error that %s returns then, such as sql.ErrNoRows", c.Name())
	if gotype.CanBeNil(c.Value()) {
		hint += ", or notfound=nil"
	}
	return hint
}

// nilIsNone reports whether the nil of a type says by itself that there is no value, and is not
// an empty list.
func nilIsNone(t types.Type) bool {
	switch types.Unalias(t).Underlying().(type) {
	case *types.Pointer:
		return true
	case *types.Interface:
		_, param := types.Unalias(t).(*types.TypeParam)
		return !param
	}
	return false
}

// notFoundOption reads one option. own says that it is the function's, not its type's.
func (p notFoundRule) notFoundOption(c *facts.Cache, arg directive.Arg, own bool) {
	switch {
	case c.HasOK():
		if own {
			p.addf(arg.Pos, diag.Option, "the bool result of %s already says whether there is a value", c.Name()).
				Hintf("remove notfound; notfoundttl works without it")
		}
		return
	case arg.Value == "nil":
		switch {
		case gotype.CanBeNil(c.Value()):
			c.NotFound.NilValue = true
		case own:
			p.addf(arg.ValuePos, diag.Option, "%s is never nil", p.TypeName(c.Value())).
				Hintf("name the error that %s returns when there is nothing, such as notfound=sql.ErrNoRows", c.Name())
		}
		return
	}
	c.NotFound.Sentinel = p.sentinel(c, arg)
	c.Broken = c.Broken || c.NotFound.Sentinel == nil
}

// sentinel finds the error that an option names: one of this package, or of one that the
// package imports. It is nil if there is none.
func (p notFoundRule) sentinel(c *facts.Cache, arg directive.Arg) types.Object {
	names := strings.Split(arg.Value, ".")
	if len(names) > 2 || slices.ContainsFunc(names, func(n string) bool { return !token.IsIdentifier(n) }) {
		d := p.addf(arg.ValuePos, diag.Option, "%q is not the name of an error", arg.Value)
		if strings.HasPrefix(arg.Value, "*") {
			d.Hintf("%s", p.sentinelHint(c))
		} else {
			d.Hintf("write nil, or the name of an error, such as sql.ErrNoRows or ErrNotFound")
		}
		return nil
	}
	scope, at := p.Types.Scope(), arg.ValuePos
	if len(names) == 2 {
		imported := p.Imported(c.File, names[0])
		if len(imported) == 0 {
			p.addf(at, diag.Option, "no file of this package imports a package %s", names[0]).
				Hintf("import it: where nothing else needs it, as _")
			return nil
		}
		fit := slices.DeleteFunc(slices.Clone(imported), func(pkg *types.Package) bool { return pkg.Scope().Lookup(names[1]) == nil })
		if len(fit) > 1 {
			p.addf(at, diag.Option, "%s is ambiguous: files of this package import %s and %s as %s", arg.Value, fit[0].Path(), fit[1].Path(), names[0]).
				Hintf("import one of the two by another name")
			return nil
		}
		scope, at = append(fit, imported...)[0].Scope(), at+token.Pos(len(names[0])+1)
	}
	name := names[len(names)-1]
	obj := scope.Lookup(name)
	if obj == nil && len(names) == 1 {
		obj = p.DotImported(c.File, name)
	}
	switch obj.(type) {
	case nil:
	case *types.Var, *types.Const:
		if !types.AssignableTo(obj.Type(), types.Universe.Lookup("error").Type()) {
			p.addf(at, diag.Option, "%s has type %s, which is not an error", arg.Value, p.TypeName(obj.Type())).
				Hintf("name the error that %s returns when there is nothing", c.Name())
			return nil
		}
		if obj.Pkg() == p.Types || obj.Exported() {
			return obj
		}
	default:
		p.addf(at, diag.Option, "%s is neither a variable nor a constant", arg.Value).
			Hintf("%s", p.sentinelHint(c))
		return nil
	}
	var errs []string
	for _, n := range scope.Names() {
		if v, ok := scope.Lookup(n).(*types.Var); ok && gotype.IsError(v.Type()) && (v.Exported() || v.Pkg() == p.Types) {
			errs = append(errs, n)
		}
	}
	p.addf(at, diag.Option, "there is no error %s", arg.Value).Choose(name, errs, "name the error that "+c.Name()+" returns when there is nothing")
	return nil
}

// sentinelHint is the hint where notfound= names a type of errors, or a function, instead of an error.
func (p notFoundRule) sentinelHint(c *facts.Cache) string {
	return fmt.Sprintf("name a sentinel, an error that errors.Is finds in what %s returns; "+
		"if it returns none, let it return (%s, bool, error), with false when there is nothing", c.Name(), p.TypeName(c.Value()))
}
