package value

import (
	"go/types"
	"reflect"
	"slices"
	"strings"
)

// An encoded is a field as msgpack writes it: by a name, which those of embedded structs share
// with the fields beside them.
type encoded struct {
	name string
	path string // of Go's names: Base.ID
	at   *types.Var
}

// twice reports the fields of a struct that have the name of another: both would be
// written, and both read into the last.
func (c *checker) twice(p place, s *types.Struct) {
	namer{}.encoded(s, func(f, other encoded) {
		c.addf(p.to(f.at), "%s and %s are both encoded as %q, so one of them is lost", other.path, f.path, f.name).
			Hint = "give one another name in its msgpack tag, or leave it out with the tag `msgpack:\"-\"`"
	})
}

// A namer knows what has been embedded: one struct may be embedded in many ways.
type namer map[*types.Struct][]encoded

func (n namer) embedded(s *types.Struct) []encoded {
	list, ok := n[s]
	if !ok {
		list = n.encoded(s, func(encoded, encoded) {}) // reported for that struct
		n[s] = list
	}
	return list
}

// encoded lists the fields in msgpack's way, and calls clash for each that takes a name
// from one before it.
func (n namer) encoded(s *types.Struct, clash func(f, other encoded)) []encoded {
	var list []encoded
	find := func(name string) int {
		return slices.IndexFunc(list, func(e encoded) bool { return e.name == name })
	}
	add := func(e encoded) {
		if i := find(e.name); i >= 0 {
			clash(e, list[i])
			return
		}
		list = append(list, e)
	}
	for i := range s.NumFields() {
		f := s.Field(i)
		tag := strings.Split(reflect.StructTag(s.Tag(i)).Get("msgpack"), ",")
		if tag[0] == "-" || !f.Exported() && !f.Embedded() {
			continue
		}
		e := encoded{name: tag[0], path: f.Name(), at: f}
		if e.name == "" {
			e.name = f.Name()
		}
		inner := inlined(f, tag)
		if inner != nil {
			fields := n.embedded(inner)
			shadowed := slices.ContainsFunc(fields, func(e encoded) bool { return find(e.name) >= 0 })
			if !shadowed || slices.Contains(tag[1:], "inline") {
				if i := find(e.name); i >= 0 {
					clash(e, list[i])
				}
				for _, in := range fields {
					add(encoded{name: in.name, path: f.Name() + "." + in.path, at: f})
				}
				continue
			}
		}
		add(e)
		for _, option := range tag[1:] {
			alias, ok := strings.CutPrefix(option, "alias:")
			if i := find(alias); ok && i >= 0 {
				clash(encoded{name: alias, path: f.Name(), at: f}, list[i])
			}
		}
	}
	return list
}

// inlined is the struct of an embedded field whose fields are written as those of the
// struct around it, unless names clash; nil for other fields. A struct that embeds itself,
// at any depth, is written as a field: its fields would have no end.
func inlined(f *types.Var, tag []string) *types.Struct {
	if !f.Embedded() || slices.Contains(tag[1:], "noinline") {
		return nil
	}
	t := f.Type()
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok || isTime(t) || isURL(t) || wayOf(t) != (way{}) || embedsItself(s) {
		return nil
	}
	return s
}

// embedsItself reports whether a struct is embedded in itself, at any depth.
func embedsItself(s *types.Struct) bool {
	met := map[*types.Struct]bool{}
	var visit func(*types.Struct) bool
	visit = func(in *types.Struct) bool {
		for f := range in.Fields() {
			t := f.Type()
			if pointer, ok := t.Underlying().(*types.Pointer); ok {
				t = pointer.Elem()
			}
			inner, ok := t.Underlying().(*types.Struct)
			if !ok || !f.Embedded() || met[inner] {
				continue
			}
			if met[inner] = true; inner == s || visit(inner) {
				return true
			}
		}
		return false
	}
	return visit(s)
}
