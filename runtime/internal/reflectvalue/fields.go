package reflectvalue

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// A Field is a field of a struct as it is written, those of embedded structs included.
type Field struct {
	Name      string
	Aliases   []string
	Index     []int // the way through embedded structs
	Type      reflect.Type
	OmitEmpty bool
}

// A Struct is what is written of a struct, without names if AsArray.
type Struct struct {
	Fields  []Field
	AsArray bool
	twice   string // a name that two fields have
}

// Find returns the field with a name, or nil.
func (s *Struct) Find(name string) *Field {
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Name == name || slices.Contains(f.Aliases, name) {
			return f
		}
	}
	return nil
}

var structs sync.Map // of reflect.Type to *Struct

// Fields lists the fields of t in msgpack's way.
func Fields(t reflect.Type) *Struct {
	if s, ok := structs.Load(t); ok {
		return s.(*Struct)
	}
	s := fieldsOf(t)
	structs.Store(t, s)
	return s
}

func fieldsOf(t reflect.Type) *Struct {
	s := &Struct{}
	omitEmpty := false
	taken := func(name string) bool {
		return slices.ContainsFunc(s.Fields, func(f Field) bool { return f.Name == name || slices.Contains(f.Aliases, name) })
	}
	clash := func(name string) {
		if taken(name) {
			s.twice = name
		}
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("msgpack"), ",")
		options := tag[1:]
		if tag[0] == "-" {
			continue
		}
		if f.Name == "_msgpack" {
			s.AsArray = slices.Contains(options, "as_array") || slices.Contains(options, "asArray")
			omitEmpty = omitEmpty || slices.Contains(options, "omitempty")
		}
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		out := Field{Name: tag[0], Index: []int{i}, Type: f.Type, OmitEmpty: omitEmpty || slices.Contains(options, "omitempty")}
		if out.Name == "" {
			out.Name = f.Name
		}
		if inner := inlined(f, options); inner != nil {
			fields := Fields(inner).Fields
			if slices.Contains(options, "inline") || !slices.ContainsFunc(fields, func(f Field) bool { return taken(f.Name) }) {
				for _, in := range fields {
					if clash(in.Name); !taken(in.Name) {
						in.Index = append([]int{i}, in.Index...)
						in.Aliases = nil // msgpack forgets them
						s.Fields = append(s.Fields, in)
					}
				}
				continue
			}
		}
		clash(out.Name)
		for _, option := range options {
			if alias, ok := strings.CutPrefix(option, "alias:"); ok {
				clash(alias)
				out.Aliases = append(out.Aliases, alias)
			}
		}
		s.Fields = append(s.Fields, out)
	}
	return s
}

// inlined is the struct of an embedded field whose fields are written as those of the
// struct around it, unless names clash; nil for other fields. A struct that embeds itself,
// at any depth, is written as a field: its fields would have no end.
func inlined(f reflect.StructField, options []string) reflect.Type {
	if !f.Anonymous || slices.Contains(options, "noinline") {
		return nil
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || WayOf(t) != Structure || embedsItself(t) {
		return nil
	}
	return t
}

func embedsItself(t reflect.Type) bool {
	met := map[reflect.Type]bool{}
	var visit func(reflect.Type) bool
	visit = func(in reflect.Type) bool {
		for i := range in.NumField() {
			f := in.Field(i)
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if !f.Anonymous || inner.Kind() != reflect.Struct || met[inner] {
				continue
			}
			if met[inner] = true; inner == t || visit(inner) {
				return true
			}
		}
		return false
	}
	return visit(t)
}
