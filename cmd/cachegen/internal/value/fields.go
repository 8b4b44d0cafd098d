package value

import (
	"go/types"
	"reflect"
	"slices"
	"strings"
)

// A field is a field of a struct as it is written, those of embedded structs included.
type field struct {
	*types.Var
	name      string
	aliases   []string
	path      []*types.Var // from the struct, the field last
	omitEmpty bool
}

// written lists the fields of s in msgpack's way, and says whether they are written
// without names.
func written(s *types.Struct) (list []field, asArray bool) {
	return writer{}.written(s)
}

// A writer knows the fields of structs that have been embedded: one may be embedded in many
// ways.
type writer map[*types.Struct][]field

func (w writer) embedded(s *types.Struct) []field {
	list, ok := w[s]
	if !ok {
		list, _ = w.written(s)
		w[s] = list
	}
	return list
}

func (w writer) written(s *types.Struct) (list []field, asArray bool) {
	omitEmpty := false
	taken := func(name string) bool {
		return slices.ContainsFunc(list, func(f field) bool { return f.name == name || slices.Contains(f.aliases, name) })
	}
	for i := range s.NumFields() {
		v := s.Field(i)
		tag := strings.Split(reflect.StructTag(s.Tag(i)).Get("msgpack"), ",")
		options := tag[1:]
		if tag[0] == "-" {
			continue
		}
		if v.Name() == "_msgpack" {
			asArray = slices.Contains(options, "as_array") || slices.Contains(options, "asArray")
			omitEmpty = omitEmpty || slices.Contains(options, "omitempty")
		}
		if !v.Exported() && !v.Embedded() {
			continue
		}
		f := field{Var: v, name: tag[0], path: []*types.Var{v}, omitEmpty: omitEmpty || slices.Contains(options, "omitempty")}
		if f.name == "" {
			f.name = v.Name()
		}
		if inner := inlined(v, tag); inner != nil {
			fields := w.embedded(inner)
			if slices.Contains(options, "inline") || !slices.ContainsFunc(fields, func(f field) bool { return taken(f.name) }) {
				for _, in := range fields {
					if !taken(in.name) {
						in.path = append([]*types.Var{v}, in.path...)
						in.aliases = nil // msgpack forgets them
						list = append(list, in)
					}
				}
				continue
			}
		}
		for _, option := range options {
			if alias, ok := strings.CutPrefix(option, "alias:"); ok {
				f.aliases = append(f.aliases, alias)
			}
		}
		list = append(list, f)
	}
	return list, asArray
}

// settings reports whether a field is there only for its tag, which is about the
// struct: _msgpack struct{} `msgpack:",as_array"`.
func settings(f *types.Var) bool {
	s, ok := f.Type().Underlying().(*types.Struct)
	return f.Name() == "_msgpack" && ok && s.NumFields() == 0
}
