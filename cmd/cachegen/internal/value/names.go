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
	c.encoded(s, nil, func(f, other encoded) {
		c.addf(p.to(f.at), "%s and %s are both encoded as %q, so one of them is lost", other.path, f.path, f.name).
			Hint = "give one another name in its msgpack tag, or leave it out with the tag `msgpack:\"-\"`"
	})
}

// encoded lists the fields in msgpack's way, and calls clash for each that takes a name
// from one before it. within are the structs that s is embedded in.
func (c *checker) encoded(s *types.Struct, within []*types.Struct, clash func(f, other encoded)) []encoded {
	var list []encoded
	find := func(name string) int {
		return slices.IndexFunc(list, func(e encoded) bool { return e.name == name })
	}
	add := func(e encoded) {
		if i := find(e.name); i >= 0 {
			clash(e, list[i])
		}
		list = append(list, e)
	}
	within = append(within, s)
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
		if inner != nil && !slices.Contains(within, inner) {
			fields := c.encoded(inner, within, func(encoded, encoded) {}) // reported for that struct
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
// struct around it, unless names clash; nil for other fields.
func inlined(f *types.Var, tag []string) *types.Struct {
	if !f.Embedded() || slices.Contains(tag[1:], "noinline") {
		return nil
	}
	t := f.Type()
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok || encoder(t).kind != 0 || decoder(t).kind != 0 {
		return nil
	}
	return s
}
