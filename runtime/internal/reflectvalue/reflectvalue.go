// Package reflectvalue does by reflection, for caches without generated code, what the
// generator can know of a type beforehand: whether a value shares memory with its
// copies, how to copy it whole, how large it is, and what shape it has on the wire.
package reflectvalue

import (
	"fmt"
	"hash/fnv"
	"reflect"
	"strings"
	"time"
)

var timeType = reflect.TypeFor[time.Time]()

// Shares reports whether a copy of a value of type t by assignment can be changed
// through the original.
func Shares(t reflect.Type) bool { return shares(t, map[reflect.Type]bool{}) }

func shares(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == timeType || seen[t] {
		return false // a *Location is never changed
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return true
	case reflect.Array:
		return t.Len() > 0 && shares(t.Elem(), seen)
	case reflect.Struct:
		seen[t] = true
		for i := range t.NumField() {
			if shares(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}

// Copy returns a copy of v that shares no memory with it that exported fields,
// elements, keys and pointers reach. What unexported fields refer to stays shared:
// reflection may not write them. Pointers to one thing stay pointers to one thing,
// cycles included.
func Copy[V any](v V) V {
	var out V
	c := copier{}
	reflect.ValueOf(&out).Elem().Set(c.copy(reflect.ValueOf(&v).Elem()))
	return out
}

// CopyAny is [Copy] for a value in an any. Nil stays nil.
func CopyAny(v any) any {
	if v == nil {
		return nil
	}
	c := copier{}
	return c.copy(reflect.ValueOf(v)).Interface()
}

type copier map[visit]reflect.Value

type visit struct {
	pointer uintptr
	len     int // of a slice
	typ     reflect.Type
}

func visitOf(v reflect.Value) visit {
	at := visit{pointer: v.Pointer(), typ: v.Type()}
	if v.Kind() == reflect.Slice {
		at.len = v.Len()
	}
	return at
}

func (c copier) copy(v reflect.Value) reflect.Value {
	if !Shares(v.Type()) {
		return v
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		at := visitOf(v)
		if done, ok := c[at]; ok {
			return done
		}
		p := reflect.New(v.Type().Elem())
		if p.Type() != v.Type() {
			p = p.Convert(v.Type())
		}
		c[at] = p
		p.Elem().Set(c.copy(v.Elem()))
		return p
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type()).Elem()
		out.Set(c.copy(v.Elem()))
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		at := visitOf(v)
		if done, ok := c[at]; ok {
			return done
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		if v.Len() > 0 { // empty ones may be in one place
			c[at] = out
		}
		c.elements(out, v)
		return out
	case reflect.Array:
		out := reflect.New(v.Type()).Elem()
		c.elements(out, v)
		return out
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		at := visitOf(v)
		if done, ok := c[at]; ok {
			return done
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		c[at] = out
		for it := v.MapRange(); it.Next(); {
			out.SetMapIndex(c.copy(it.Key()), c.copy(it.Value()))
		}
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(c.copy(v.Field(i)))
			}
		}
		return out
	}
	return v
}

func (c copier) elements(out, v reflect.Value) {
	if !Shares(v.Type().Elem()) {
		reflect.Copy(out, v)
		return
	}
	for i := range v.Len() {
		out.Index(i).Set(c.copy(v.Index(i)))
	}
}

// MapSize is about how large a map of n entries is, with keys and values of so many bytes:
// eight slots or more, a power of two, of which a part is never used. What is large lies
// outside of the slots.
func MapSize(n, key, elem int) int {
	const (
		header  = 48
		group   = 8
		split   = 1024 // from here on it grows by parts
		control = 1    // a byte for each slot
		largest = 128  // bytes in a slot
	)
	slots, slot, outside := 0, 0, 0
	for _, size := range []int{key, elem} {
		if size > largest {
			outside, size = outside+size, int(reflect.TypeFor[uintptr]().Size())
		}
		slot += size
	}
	switch {
	case n == 0:
	case n <= group:
		slots = group
	case n > split*7/8:
		slots = n + n/2
	default:
		for slots = 2 * group; slots*7/8 < n; {
			slots *= 2
		}
	}
	return header + slots*(slot+control) + n*outside
}

// Size estimates how many bytes of memory v keeps alive. It does not look behind a lock,
// which it does not hold, nor deeper than MaxDepth.
func Size[V any](v V) int {
	s := newSizer()
	return int(reflect.TypeFor[V]().Size()) + s.size(reflect.ValueOf(&v).Elem())
}

// SizeAny is [Size] for a value of type t in an any, where nil is the zero value.
func SizeAny(t reflect.Type, v any) int {
	s := newSizer()
	n := int(t.Size())
	if v == nil {
		return n
	}
	r := reflect.ValueOf(v)
	if t.Kind() == reflect.Interface {
		n += int(r.Type().Size())
	}
	return n + s.size(r)
}

type sizer struct {
	met   map[visit]bool
	depth int
}

func newSizer() *sizer { return &sizer{met: make(map[visit]bool)} }

// size is what v refers to, without v's own place.
func (s *sizer) size(v reflect.Value) int {
	if k := traitsOf(v.Type()); !k.refers || k.locks || s.depth >= MaxDepth {
		return 0
	}
	if deeper(v) {
		s.depth++
		defer func() { s.depth-- }()
	}
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Pointer:
		if v.IsNil() || s.seen(v) {
			return 0
		}
		return int(v.Type().Elem().Size()) + s.size(v.Elem())
	case reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return int(v.Elem().Type().Size()) + s.size(v.Elem())
	case reflect.Slice:
		if v.IsNil() || s.seen(v) {
			return 0
		}
		return v.Cap()*int(v.Type().Elem().Size()) + s.elements(v)
	case reflect.Array:
		return s.elements(v)
	case reflect.Map:
		if v.IsNil() || s.seen(v) {
			return 0
		}
		n := MapSize(v.Len(), int(v.Type().Key().Size()), int(v.Type().Elem().Size()))
		for it := v.MapRange(); it.Next(); {
			n += s.size(it.Key()) + s.size(it.Value())
		}
		return n
	case reflect.Struct:
		n := 0
		for i := range v.NumField() {
			n += s.size(v.Field(i))
		}
		return n
	}
	return 0
}

func (s *sizer) elements(v reflect.Value) int {
	if !traitsOf(v.Type().Elem()).refers {
		return 0
	}
	n := 0
	for i := range v.Len() {
		n += s.size(v.Index(i))
	}
	return n
}

func (s *sizer) seen(v reflect.Value) bool {
	at := visitOf(v)
	if s.met[at] {
		return true
	}
	s.met[at] = true
	return false
}

// Fingerprint hashes the shape of t as it matters to who decodes it: kinds, and
// names and tags of exported fields. It does not depend on the names of types,
// on where they are declared, or on the machine.
func Fingerprint(t reflect.Type) uint64 {
	h := fnv.New64a()
	h.Write([]byte(description(t)))
	return h.Sum64()
}

// description is what Fingerprint hashes.
func description(t reflect.Type) string {
	d := describer{met: map[reflect.Type]int{}}
	d.describe(t)
	return d.text.String()
}

// A describer writes each type once, however often it is met: types that refer to each
// other have more ways through them than anyone can follow.
type describer struct {
	text strings.Builder
	met  map[reflect.Type]int // those that were written, with their numbers
}

func (d *describer) describe(t reflect.Type) {
	switch way := WayOf(t); way {
	case Structure:
	case Time:
		d.text.WriteString("time")
		return
	case URL:
		d.text.WriteString("url")
		return
	default:
		// What the bytes are is the type's own business, so its name has to do.
		d.text.WriteString(pairs[way].name + " " + t.PkgPath() + "." + t.Name())
		return
	}
	if n, ok := d.met[t]; ok {
		fmt.Fprintf(&d.text, "^%d", n)
		return
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		d.met[t] = len(d.met)
	}
	switch t.Kind() {
	case reflect.Pointer:
		d.text.WriteByte('*')
		d.describe(t.Elem())
	case reflect.Slice:
		d.text.WriteString("[]")
		d.describe(t.Elem())
	case reflect.Array:
		fmt.Fprintf(&d.text, "[%d]", t.Len())
		d.describe(t.Elem())
	case reflect.Map:
		d.text.WriteString("map[")
		d.describe(t.Key())
		d.text.WriteByte(']')
		d.describe(t.Elem())
	case reflect.Struct:
		s := Fields(t)
		if s.AsArray {
			d.text.WriteString("as_array")
		}
		d.text.WriteByte('{')
		for _, f := range s.Fields {
			fmt.Fprintf(&d.text, "%d %q %q %v ", len(f.Index), f.Name, f.Aliases, f.OmitEmpty)
			d.describe(f.Type)
			d.text.WriteByte(';')
		}
		d.text.WriteByte('}')
	default:
		d.text.WriteString(t.Kind().String())
	}
}
