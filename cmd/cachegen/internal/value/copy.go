package value

import (
	"go/types"

	"golang.org/x/tools/go/types/typeutil"
)

// Copy returns what keeps package pkg from copying values of type t, so that what one
// caller does to its copy another does not see. If shared, no copies are
// made, but a value with a lock still cannot be returned.
func Copy(t types.Type, pkg *types.Package, qualifier types.Qualifier, shared bool) []Problem {
	c := &copyChecker{checker: checker{qualifier: qualifier}, pkg: pkg}
	p := place{path: types.TypeString(t, qualifier)}
	if shared {
		c.byValue(p, t)
	} else {
		c.check(p, t)
	}
	return c.problems
}

type copyChecker struct {
	checker
	pkg  *types.Package
	seen typeutil.Map
}

const sharedHint = "write shared, if no caller changes the value"

func (c *copyChecker) check(p place, t types.Type) {
	t = types.Unalias(t)
	if c.lock(p, t, sharedHint) || !shares(t) || c.seen.Set(t, true) != nil {
		return
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		c.check(p, u.Elem())
	case *types.Slice:
		c.check(p.with("[]"), u.Elem())
	case *types.Array:
		c.check(p.with("[]"), u.Elem())
	case *types.Map:
		c.check(p.with("[]"), u.Elem())
	case *types.Struct:
		if f := hidden(u, c.pkg, shares); f != nil {
			if _, ok := clone(t); !ok {
				c.addf(p, "%s has unexported state that cannot be copied", c.name(t)).Hint = sharedHint +
					", or give " + base(t) + " a method Clone() " + base(t)
			}
			return
		}
		for f := range u.Fields() {
			if seen(f, c.pkg) {
				c.check(p.to(f), f.Type())
			}
		}
	}
}

// byValue reports a lock that is copied whenever a value of type t is returned, which is wrong even if
// the value is shared.
func (c *copyChecker) byValue(p place, t types.Type) {
	const hint = "return a pointer to it"
	if c.lock(p, t, hint) {
		return
	}
	if m, ok := t.Underlying().(*types.Map); ok {
		c.lock(p, m.Elem(), hint)
	}
}

func (c *copyChecker) lock(p place, t types.Type, hint string) bool {
	lock := locked(t)
	if lock == nil {
		return false
	}
	// The field that leads to it says more than the struct around it.
	if s, ok := t.Underlying().(*types.Struct); ok && !types.Identical(lock, t) {
		for f := range s.Fields() {
			if f.Name() != "_" && c.lock(p.to(f), f.Type(), hint) {
				return true
			}
		}
	}
	c.addf(p, "%s is a lock, which cannot be copied", c.name(lock)).Hint = hint
	return true
}
