package value

import (
	"fmt"
	"go/types"
	"hash/fnv"
	"strings"

	"golang.org/x/tools/go/types/typeutil"
)

// codecVersion changes when the same type is written in another way.
const codecVersion = 1

// Fingerprint is a hash of how values of type t are written: of the kinds, fields,
// names and options of all that it is made of, but not of what named types are
// called or where they are declared, unless they encode themselves.
func Fingerprint(t types.Type) uint64 {
	d := describer{}
	fmt.Fprintf(&d.text, "cachegen %d ", codecVersion)
	d.describe(t)
	h := fnv.New64a()
	h.Write([]byte(d.text.String()))
	return h.Sum64()
}

type describer struct {
	text strings.Builder
	open typeutil.Map // the types around, with how deep they are
}

func (d *describer) describe(t types.Type) {
	t = types.Unalias(t)
	if depth, ok := d.open.At(t).(int); ok {
		fmt.Fprintf(&d.text, "^%d", d.open.Len()-depth)
		return
	}
	if named, ok := t.(*types.Named); ok && isTime(named) {
		d.text.WriteString("time")
		return
	}
	if m := encoder(t); m.kind != 0 && !isPointer(t) && !types.IsInterface(t) {
		// What the bytes are is the type's own business, so its name has to do.
		fmt.Fprintf(&d.text, "%s %s", pairs[m.kind].marshal, types.TypeString(t, nil))
		return
	}
	d.open.Set(t, d.open.Len())
	defer d.open.Delete(t)
	switch u := t.Underlying().(type) {
	case *types.Basic:
		d.text.WriteString(types.Typ[u.Kind()].Name()) // uint8 for byte
	case *types.Pointer:
		d.text.WriteByte('*')
		d.describe(u.Elem())
	case *types.Slice:
		d.text.WriteString("[]")
		d.describe(u.Elem())
	case *types.Array:
		fmt.Fprintf(&d.text, "[%d]", u.Len())
		d.describe(u.Elem())
	case *types.Map:
		d.text.WriteString("map[")
		d.describe(u.Key())
		d.text.WriteByte(']')
		d.describe(u.Elem())
	case *types.Struct:
		d.fields(u)
	default:
		d.text.WriteString("?")
	}
}

func (d *describer) fields(s *types.Struct) {
	list, asArray := written(s, nil)
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
