package value

import (
	"fmt"
	"go/types"
	"hash/fnv"
	"strings"

	"golang.org/x/tools/go/types/typeutil"
)

// codecVersion changes when the same type is written in another way.
const codecVersion = 2

// Fingerprint is a hash of how values of type t are written: of the kinds, fields,
// names and options of all that it is made of, but not of what named types are
// called or where they are declared. Of types that encode themselves it takes the name,
// and what they are made of in memory: with that, their bytes are likely to change. Of
// those of the standard library it takes the name alone, because Go's releases change
// their insides, but not their bytes. pkg is the package that the fingerprint is for.
//
// A named type is described once, however often it is met: types that refer to each other
// have more ways through them than anyone can follow.
func Fingerprint(t types.Type, pkg *types.Package) uint64 {
	d := describer{pkg: pkg}
	fmt.Fprintf(&d.text, "cachegen %d ", codecVersion)
	d.describe(t)
	h := fnv.New64a()
	h.Write([]byte(d.text.String()))
	return h.Sum64()
}

type describer struct {
	pkg  *types.Package
	text strings.Builder
	met  [2]typeutil.Map // the named types described so far, with their numbers, in each of the ways
}

// The ways in which a type is described.
const (
	asWritten = iota
	asInMemory
)

// again writes the number of a named type that was described before in the same way, and
// reports whether it was. An unnamed type ends where the source that writes it ends.
func (d *describer) again(t types.Type, way int) bool {
	named, ok := t.(*types.Named)
	if !ok {
		return false
	}
	met := &d.met[way]
	if n, ok := met.At(named).(int); ok {
		fmt.Fprintf(&d.text, "^%d", n)
		return true
	}
	met.Set(named, met.Len())
	return false
}

func (d *describer) describe(t types.Type) {
	t = types.Unalias(t)
	if isTime(t) {
		d.text.WriteString("time")
		return
	}
	if _, ok := t.Underlying().(*types.Basic); !ok && d.again(t, asWritten) {
		return
	}
	if isURL(t) {
		d.text.WriteString("url")
		return
	}
	if w := wayOf(t); w.kind != 0 {
		fmt.Fprintf(&d.text, "%s ", pairs[w.kind].marshal)
		d.memory(t)
		return
	}
	d.constants(t)
	d.parts(t, d.describe, d.fields)
}

// constants describes what the numbers of a type mean that has a text of its own for them:
// they are stored as numbers, and a deploy may number them in another way.
func (d *describer) constants(t types.Type) {
	named, ok := t.(*types.Named)
	if _, basic := t.Underlying().(*types.Basic); !ok || !basic {
		return
	}
	for _, pair := range pairs[byBinary:] {
		if _, ok := find(t, pair.marshal); ok {
			fmt.Fprintf(&d.text, "%q", constantsOf(named))
			return
		}
	}
}

// parts describes what t is made of, its elements and the fields of structs in the
// given ways.
func (d *describer) parts(t types.Type, elem func(types.Type), fields func(*types.Struct)) {
	switch u := t.Underlying().(type) {
	case *types.Basic:
		d.text.WriteString(types.Typ[u.Kind()].Name()) // uint8 for byte
	case *types.Pointer:
		d.text.WriteByte('*')
		elem(u.Elem())
	case *types.Slice:
		d.text.WriteString("[]")
		elem(u.Elem())
	case *types.Array:
		fmt.Fprintf(&d.text, "[%d]", u.Len())
		elem(u.Elem())
	case *types.Map:
		d.text.WriteString("map[")
		elem(u.Key())
		d.text.WriteByte(']')
		elem(u.Elem())
	case *types.Struct:
		fields(u)
	default:
		d.text.WriteString("?")
	}
}

// memory describes a type that encodes itself, and what is behind that.
func (d *describer) memory(t types.Type) {
	t = types.Unalias(t)
	if named, ok := t.(*types.Named); ok {
		obj := named.Obj()
		if obj.Pkg() == nil {
			d.text.WriteString(obj.Name()) // error
			return
		}
		d.text.WriteString(obj.Pkg().Path() + "." + obj.Name())
		if d.standard(obj.Pkg()) {
			for arg := range named.TypeArgs().Types() {
				d.text.WriteByte(' ')
				d.memory(arg)
			}
			return
		}
		d.text.WriteByte(' ')
		if d.again(t, asInMemory) {
			return
		}
	}
	d.parts(t, d.memory, func(s *types.Struct) {
		d.text.WriteByte('{')
		for f := range s.Fields() {
			d.text.WriteString(f.Name() + " ")
			d.memory(f.Type())
			d.text.WriteByte(';')
		}
		d.text.WriteByte('}')
	})
}

// standard reports whether pkg is of the standard library. Its paths have no dot in
// front; a module that has none either shares its first word with its own packages.
func (d *describer) standard(pkg *types.Package) bool {
	first, _, _ := strings.Cut(pkg.Path(), "/")
	own, _, _ := strings.Cut(d.pkg.Path(), "/")
	return !strings.Contains(first, ".") && first != own
}

func (d *describer) fields(s *types.Struct) {
	list, asArray := written(s)
	if asArray {
		d.text.WriteString("as_array")
	}
	d.text.WriteByte('{')
	for _, f := range list {
		for _, v := range f.path {
			d.text.WriteString("." + v.Name())
			if v != f.Var && isPointer(v.Type()) {
				d.text.WriteByte('*')
			}
		}
		fmt.Fprintf(&d.text, " %q", f.name)
		for _, alias := range f.aliases {
			fmt.Fprintf(&d.text, " alias %q", alias)
		}
		if f.omitEmpty {
			d.text.WriteString(" omitempty")
		}
		d.text.WriteByte(' ')
		d.describe(f.Type())
		d.text.WriteByte(';')
	}
	d.text.WriteByte('}')
}
