package value

import (
	"go/types"

	"golang.org/x/tools/go/types/typeutil"

	"github.com/cachegen/cachegen/templates"
)

// A Builder makes the shapes of a package's values. A type has one shape, however
// many values it is in.
type Builder struct {
	Package *types.Package
	Text    func(types.Type) templates.Type
	// Namable reports whether the package can write a type.
	Namable func(types.Type) bool
	// Func chooses what the names of the functions for a named type end with.
	Func func(*types.Named) string

	shapes typeutil.Map
	fresh  []fresh
}

// A fresh shape is one of which it is not known yet whether it is cyclic.
type fresh struct {
	shape *templates.Shape
	typ   types.Type
}

// Shape returns the shape of t, which [Check] has found nothing wrong with. copied
// says that values have to be copied, and [Copy] has found nothing wrong either.
func (b *Builder) Shape(t types.Type, copied bool) *templates.Shape {
	s := b.shape(t)
	for _, f := range b.fresh {
		f.shape.Cyclic = reaches(f.shape, f.shape)
		named, ok := f.typ.(*types.Named)
		if ok && !f.shape.ByReflection && (f.shape.Cyclic || f.shape.Kind == templates.Struct) {
			f.shape.Func = b.Func(named)
		}
	}
	b.fresh = nil
	needCodec(s)
	needSize(s)
	if copied {
		needCopy(s)
	}
	return s
}

// needCodec marks what takes part in encoding and decoding s, needCopy in copying it,
// and needSize in measuring it.
func needCodec(s *templates.Shape) {
	if s.NeedCodec || s.Marshal != templates.ByStructure || s.ByReflection {
		return
	}
	s.NeedCodec = true
	for _, part := range []*templates.Shape{s.Key, s.Elem} {
		if part != nil {
			needCodec(part)
		}
	}
	for _, f := range s.Fields {
		needCodec(f.Shape)
	}
}

func needCopy(s *templates.Shape) {
	if s.NeedCopy || !s.Shares || s.Clone.Method != "" || s.ByReflection {
		return
	}
	s.NeedCopy = true
	if s.Elem != nil {
		needCopy(s.Elem)
	}
	for _, m := range s.Members {
		needCopy(m.Shape)
	}
}

func needSize(s *templates.Shape) {
	if s.NeedSize || !s.Refers || s.Hidden || s.ByReflection {
		return
	}
	s.NeedSize = true
	for _, part := range []*templates.Shape{s.Key, s.Elem} {
		if part != nil {
			needSize(part)
		}
	}
	for _, m := range s.Members {
		needSize(m.Shape)
	}
}

var marshals = [len(pairs)]templates.Marshal{
	byCustom: templates.ByCustom, byMsgpack: templates.ByMsgpack, byBinary: templates.ByBinary, byGob: templates.ByGob, byText: templates.ByText,
}

func (b *Builder) shape(t types.Type) *templates.Shape {
	spelled := t // an alias may name what the package cannot name otherwise
	t = types.Unalias(t)
	if s, ok := b.shapes.At(t).(*templates.Shape); ok {
		return s
	}
	s := &templates.Shape{Shares: shares(t), Refers: refers(t)}
	b.shapes.Set(t, s)
	b.fresh = append(b.fresh, fresh{s, t})
	if s.ByReflection = !b.Namable(spelled); !s.ByReflection {
		s.Type = b.Text(spelled)
	}
	_, isNamed := t.(*types.Named)
	if w := wayOf(t); w.kind != 0 {
		s.Marshal = marshals[w.kind]
		s.NilFirst = !w.pointer && nilable(t)
	}
	if isURL(t) {
		s.Marshal = templates.ByURL
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		s.Kind, s.Basic, s.Named = templates.Basic, types.Typ[u.Kind()].Name(), isNamed
		if u.Kind() == types.UnsafePointer || u.Info()&types.IsComplex != 0 || u.Kind() == types.Uintptr {
			s.Kind = templates.Opaque
		}
	case *types.Pointer:
		s.Kind, s.Elem = templates.Pointer, b.shape(u.Elem())
	case *types.Slice:
		if s.Kind = templates.Slice; isByte(u.Elem()) {
			s.Kind, s.Named = templates.Bytes, !types.Identical(types.Unalias(u.Elem()), types.Typ[types.Byte])
		}
		s.Elem = b.shape(u.Elem())
	case *types.Array:
		if s.Kind = templates.Array; isByte(u.Elem()) {
			s.Kind, s.Named = templates.ByteArray, !types.Identical(types.Unalias(u.Elem()), types.Typ[types.Byte])
		}
		s.Len, s.Elem = u.Len(), b.shape(u.Elem())
	case *types.Map:
		s.Kind, s.Key, s.Elem = templates.Map, b.shape(u.Key()), b.shape(u.Elem())
	case *types.Interface:
		s.Kind = templates.Interface
	case *types.Struct:
		if isTime(t) {
			s.Kind, s.Marshal = templates.Time, templates.ByStructure
			if !isTimeItself(t) && !s.ByReflection {
				s.As = b.Text(timeOf(t))
			}
			break
		}
		s.Kind = templates.Struct
		b.structure(s, t, u)
	default:
		s.Kind = templates.Opaque
	}
	return s
}

// structure fills in the fields of a struct.
func (b *Builder) structure(s *templates.Shape, t types.Type, u *types.Struct) {
	if s.Shares && hidden(u, b.Package, shares) != nil {
		s.Clone, _ = clone(t)
	}
	s.Hidden = hidden(u, b.Package, refers) != nil
	for f := range u.Fields() {
		if seen(f, b.Package) && refers(f.Type()) && !oneOf(t, constants) {
			s.Members = append(s.Members, templates.Member{Name: f.Name(), Shape: b.shape(f.Type())})
		}
	}
	if s.Marshal != templates.ByStructure || s.ByReflection {
		return
	}
	var list []field
	list, s.AsArray = written(u)
	for _, f := range list {
		w := templates.WireField{Name: f.name, Aliases: f.aliases, OmitEmpty: f.omitEmpty, Shape: b.shape(f.Type())}
		for _, v := range f.path {
			pointer, isPointer := v.Type().Underlying().(*types.Pointer)
			if !seen(v, b.Package) || isPointer && v != f.Var && !b.Namable(pointer.Elem()) { // promoted, but not for this package
				s.ByReflection, s.Fields = true, nil
				return
			}
			w.Path = append(w.Path, v.Name())
			if isPointer && v != f.Var {
				at := append([]string(nil), w.Path...)
				w.Pointers = append(w.Pointers, templates.EmbeddedPointer{Path: at, Elem: b.Text(pointer.Elem())})
				w.OmitEmpty = false // what is left out must not make it nil
			}
		}
		s.Fields = append(s.Fields, w)
	}
}

func isByte(t types.Type) bool {
	u, ok := t.Underlying().(*types.Basic)
	return ok && u.Kind() == types.Uint8
}

func nilable(t types.Type) bool {
	switch t.Underlying().(type) {
	case *types.Slice, *types.Map, *types.Pointer:
		return true
	}
	return false
}

// Parts are the shapes that s is made of.
func Parts(s *templates.Shape) []*templates.Shape {
	var list []*templates.Shape
	for _, part := range []*templates.Shape{s.Elem, s.Key} {
		if part != nil {
			list = append(list, part)
		}
	}
	for _, f := range s.Fields {
		list = append(list, f.Shape)
	}
	for _, m := range s.Members {
		list = append(list, m.Shape)
	}
	return list
}

// reaches reports whether to is a part of s, at any depth.
func reaches(s, to *templates.Shape) bool {
	met := map[*templates.Shape]bool{}
	var walk func(*templates.Shape) bool
	walk = func(s *templates.Shape) bool {
		for _, part := range Parts(s) {
			if part == to {
				return true
			}
			if !met[part] {
				met[part] = true
				if walk(part) {
					return true
				}
			}
		}
		return false
	}
	return walk(s)
}
