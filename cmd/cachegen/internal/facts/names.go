package facts

import (
	"go/token"
	"go/types"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// BindName is the function that opens the caches of functions. That of a package's tests
// is apart from the package's own.
func (p *Package) BindName() string {
	if p.Test && !strings.HasSuffix(p.Name, "_test") {
		return "BindTestCaches"
	}
	return "BindCaches"
}

// Bound are the package's own caches that BindCaches opens. It opens handles too.
func (p *Package) Bound() []*Cache {
	var list []*Cache
	for _, c := range p.Caches {
		if c.Recv == nil {
			list = append(list, c)
		}
	}
	for _, h := range p.Handles {
		list = append(list, h.Cache)
	}
	return list
}

// ValueName is what code calls a value of type t: a *User user, a []User users. For types
// without a name it is fallback.
func (p *Package) ValueName(t types.Type, fallback string) string {
	t = types.Unalias(t)
	slice, many := t.(*types.Slice)
	if many {
		t = slice.Elem()
	}
	n := gotype.Named(t)
	if n == nil || n.Obj().Pkg() == nil {
		return fallback
	}
	name := naming.Lower(n.Obj().Name())
	if many {
		return naming.Plural(name)
	}
	return name
}

// Entity is the name under which c's values are cached, unless that is taken.
func (c *Cache) Entity() string {
	if arg, ok := c.Directive.Option("name"); ok && IsName(arg.Value) {
		return naming.SameCase(arg.Value, c.Name())
	}
	return naming.Entity(c.Name(), nounOf(c.Value()))
}

// nounOf is what a value of type t is called. A slice or map is a list of its elements, however deep;
// with a name of its own it is one thing.
func nounOf(t types.Type) (n naming.Noun) {
	for {
		switch u := types.Unalias(t).(type) {
		case *types.Pointer:
			t = u.Elem()
		case *types.Slice:
			t, n.Many = u.Elem(), true
		case *types.Map:
			t, n.Many = u.Elem(), true
		case *types.Named:
			if u.Obj().Pkg() != nil {
				n.Type = u.Obj().Name()
			}
			return n
		default:
			return n
		}
	}
}

// IsName reports whether text can name what is generated.
func IsName(text string) bool { return token.IsIdentifier(text) && text != "_" }

// Variable is what reaches the cache, or for a method its definition, if it is called name.
func (c *Cache) Variable(name string) string {
	if c.Recv != nil {
		return name + "Definition"
	}
	return naming.Lower(name) + "Cache"
}

// Field is the wrapper's field with the cache of a method, if its entity is called name. Where the method
// or its type has that name, it is followed by Cache, because the wrapper has those two as well.
func (c *Cache) Field(name string) string {
	if name == c.Name() || name == c.Recv.Object.Name() {
		return name + "Cache"
	}
	return name
}

// NamePos is where a cache got its name.
func (c *Cache) NamePos() token.Pos { return namePos(c.Directive) }

// Entity is what the name of the function that is generated for b ends with.
func (b *Batch) Entity() string {
	if arg, ok := b.Directive.Option("name"); ok && IsName(arg.Value) {
		return naming.SameCase(arg.Value, b.Name())
	}
	if len(b.Results) == 0 {
		return naming.Entity(b.Name(), naming.Noun{}) // which is reported
	}
	return naming.Entity(b.Name(), nounOf(b.Results[0].Type()))
}

// NamePos is where a batch loader got its name.
func (b *Batch) NamePos() token.Pos { return namePos(b.Directive) }

func namePos(d *directive.Directive) token.Pos {
	if arg, ok := d.Option("name"); ok {
		return arg.Pos
	}
	return d.Pos
}

// GetOrSet is what the names of functions that read through the cache begin with.
const GetOrSet = "GetOrSet"

// A Helper is a generated function for an entity: where its name goes, and what the name begins with.
// What touches the cache alone says so, and is called the same whatever else there is.
type Helper struct {
	Name   *string
	Prefix string
}

// Helpers are the generated functions for c's entity.
func (c *Cache) Helpers() []Helper {
	n := &c.Names
	return []Helper{
		{&n.GetOrSet, GetOrSet}, {&n.Get, "GetCached"}, {&n.Set, "SetCached"}, {&n.Delete, "DeleteCached"},
		{&n.Expire, "ExpireCached"}, {&n.Has, "HasCached"}, {&n.Pull, "PullCached"},
	}
}
