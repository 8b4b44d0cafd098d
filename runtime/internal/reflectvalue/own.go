package reflectvalue

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// MaxDepth is how deep a value may be nested that is copied or measured here: each level
// takes a part of the stack, which ends the process when it is full.
const MaxDepth = 10_000

// ErrDepth says that a value is nested too deep.
var ErrDepth = fmt.Errorf("it is nested deeper than %d levels", MaxDepth)

// Own returns a copy of a value that refers to nothing of the original's memory: strings
// and slices that are parts of larger ones are parts no more. Pointers to one thing stay
// pointers to one thing, cycles included. Times are without a monotonic reading, which no
// other process could have read.
//
// Left as they are: structs with a lock that a pointer leads to, functions and channels, and
// what an unexported field refers to, but for strings and for slices of what refers to
// nothing. It fails if the value is nested too deep.
func Own(v any) (owned any, err error) {
	if v == nil || !traitsOf(reflect.TypeOf(v)).refers {
		return v, nil
	}
	defer func() {
		if p := recover(); p != nil {
			if p != any(ErrDepth) {
				panic(p)
			}
			err = ErrDepth
		}
	}()
	out := reflect.New(reflect.TypeOf(v)).Elem()
	out.Set(reflect.ValueOf(v))
	o := owner{met: make(map[visit]reflect.Value)}
	o.own(out, false)
	return out.Interface(), nil
}

// Hides reports whether [Own] leaves something that a value of type t refers to as it is.
func Hides(t reflect.Type) bool { return traitsOf(t).hides }

// traits are what is known of the values of a type.
type traits struct {
	refers bool // they refer to memory
	nests  bool // they can be nested to any depth
	locks  bool // there is a lock in their own place
	hides  bool // an unexported field refers to more than Own copies
}

var known sync.Map // of reflect.Type to traits

func traitsOf(t reflect.Type) traits {
	if k, ok := known.Load(t); ok {
		return k.(traits)
	}
	f := finder{open: make(map[reflect.Type]bool), done: make(map[reflect.Type]traits)}
	k := f.find(t)
	if k.nests { // that of what it is made of may have been found while it was open
		known.Store(t, k)
		return k
	}
	for t, k := range f.done {
		known.Store(t, k)
	}
	return k
}

// A finder finds the traits of types that refer to each other.
type finder struct {
	open map[reflect.Type]bool
	done map[reflect.Type]traits
}

func (f *finder) find(t reflect.Type) (k traits) {
	if f.open[t] {
		return traits{refers: true, nests: true}
	}
	if k, ok := f.done[t]; ok {
		return k
	}
	f.open[t] = true
	defer func() {
		delete(f.open, t)
		f.done[t] = k
	}()
	switch {
	case constant(t):
		return traits{}
	case isTime(t):
		return traits{refers: true}
	}
	of := func(inner traits) {
		k.refers, k.nests, k.hides = k.refers || inner.refers, k.nests || inner.nests, k.hides || inner.hides
	}
	switch t.Kind() {
	case reflect.String:
		k.refers = true
	case reflect.Pointer, reflect.Slice:
		of(f.find(t.Elem()))
		k.refers = true
		k.hides = k.hides || t.Kind() == reflect.Pointer && f.find(t.Elem()).locks
	case reflect.Map:
		of(f.find(t.Key()))
		of(f.find(t.Elem()))
		k.refers = true
	case reflect.Interface:
		k = traits{refers: true, nests: true}
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		k = traits{refers: true, hides: true}
	case reflect.Array:
		inner := f.find(t.Elem())
		k.locks = inner.locks
		if t.Len() > 0 {
			of(inner)
		}
	case reflect.Struct:
		k.locks = reflect.PointerTo(t).Implements(locker)
		for i := range t.NumField() {
			field := t.Field(i)
			inner := f.find(field.Type)
			of(inner)
			k.locks = k.locks || inner.locks
			k.hides = k.hides || unseen(field) && inner.refers && !ownedHidden(field.Type)
		}
	}
	return k
}

var locker = reflect.TypeFor[sync.Locker]()

// constant reports whether values of type t refer to memory that nobody changes, and that
// is not theirs alone.
func constant(t reflect.Type) bool {
	switch t.PkgPath() {
	case "time":
		return t.Name() == "Location"
	case "net/netip":
		return t.Name() == "Addr" || t.Name() == "AddrPort" || t.Name() == "Prefix"
	case "unique":
		return strings.HasPrefix(t.Name(), "Handle[")
	}
	return false
}

var locationType = reflect.TypeFor[time.Location]() // a location is known by its address

// isTime reports whether t is time.Time, or defined as it.
func isTime(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.ConvertibleTo(timeType)
}

// unseen reports whether a field is unexported. What is embedded may have exported fields.
func unseen(f reflect.StructField) bool {
	return !f.IsExported() && !(f.Anonymous && f.Type.Kind() == reflect.Struct)
}

// ownedHidden reports whether Own copies what an unexported field of type t refers to.
func ownedHidden(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String:
		return true
	case reflect.Struct:
		return isTime(t)
	case reflect.Slice:
		return !traitsOf(t.Elem()).refers
	}
	return false
}

// An owner makes one copy.
type owner struct {
	met   map[visit]reflect.Value
	depth int
}

// own gives v, a copy by assignment that can be set, memory of its own.
func (o *owner) own(v reflect.Value, hiddenField bool) {
	t := v.Type()
	if !traitsOf(t).refers || hiddenField && !ownedHidden(t) {
		return
	}
	if deeper(v) {
		if o.depth++; o.depth > MaxDepth {
			panic(ErrDepth)
		}
		defer func() { o.depth-- }()
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Clone(v.String()))
	case reflect.Pointer:
		if v.IsNil() || t.Elem() == locationType || traitsOf(t.Elem()).locks || o.again(v) {
			return
		}
		p := reflect.New(t.Elem())
		p.Elem().Set(v.Elem())
		if p.Type() != t {
			p = p.Convert(t)
		}
		o.replace(v, p)
		o.own(v.Elem(), false)
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		inner := reflect.New(v.Elem().Type()).Elem()
		inner.Set(v.Elem())
		o.own(inner, false)
		v.Set(inner)
	case reflect.Slice:
		if v.IsNil() || o.again(v) {
			return
		}
		s := reflect.MakeSlice(t, v.Len(), v.Len())
		reflect.Copy(s, v)
		o.replace(v, s)
		o.elements(s)
	case reflect.Array:
		o.elements(v)
	case reflect.Map:
		if v.IsNil() || o.again(v) {
			return
		}
		from, m := reflect.New(t).Elem(), reflect.MakeMapWithSize(t, v.Len())
		from.Set(v)
		old := from.MapRange()
		if o.replace(v, m); !traitsOf(t.Key()).refers && !traitsOf(t.Elem()).refers {
			for old.Next() {
				m.SetMapIndex(old.Key(), old.Value())
			}
			return
		}
		for old.Next() {
			key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			key.Set(old.Key())
			value.Set(old.Value())
			o.own(key, false)
			o.own(value, false)
			m.SetMapIndex(key, value)
		}
	case reflect.Struct:
		if isTime(t) {
			v.Set(reflect.ValueOf(v.Convert(timeType).Interface().(time.Time).Round(0)).Convert(t))
			return
		}
		for i := range v.NumField() {
			field := t.Field(i)
			f := v.Field(i)
			if !field.IsExported() { // reflection would not set it
				f = reflect.NewAt(field.Type, unsafe.Pointer(f.UnsafeAddr())).Elem()
			}
			o.own(f, unseen(field))
		}
	}
}

// deeper reports whether what v refers to is a level deeper. An interface is none beside
// the pointer, slice or map that it holds.
func deeper(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return !v.IsNil()
	case reflect.Interface:
		k := v.Elem().Kind()
		return k == reflect.Struct || k == reflect.Array
	}
	return false
}

func (o *owner) elements(v reflect.Value) {
	if !traitsOf(v.Type().Elem()).refers {
		return
	}
	for i := range v.Len() {
		o.own(v.Index(i), false)
	}
}

// again sets v to the copy of what it refers to, if there is one.
func (o *owner) again(v reflect.Value) bool {
	done, ok := o.met[visitOf(v)]
	if ok {
		v.Set(done)
	}
	return ok
}

// replace sets v to a copy of what it refers to.
func (o *owner) replace(v, copied reflect.Value) {
	o.met[visitOf(v)] = copied
	v.Set(copied)
}

// TooDeep reports whether a value, which v is or points to, is nested deeper than so many
// levels, or holds itself.
func TooDeep(v any, levels int) bool {
	if v == nil {
		return false
	}
	return deep{}.below(reflect.ValueOf(v), levels+1)
}

// deep holds at how many levels from the end something has been met.
type deep map[visit]int

func (d deep) below(v reflect.Value, left int) bool {
	if !traitsOf(v.Type()).nests {
		return false
	}
	if deeper(v) {
		if left == 0 {
			return true
		}
		left--
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if v.IsNil() {
			return false
		}
		at := visitOf(v)
		if before, ok := d[at]; ok && before <= left {
			return false
		}
		d[at] = left
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && d.below(v.Elem(), left)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if d.below(v.Index(i), left) {
				return true
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if d.below(it.Key(), left) || d.below(it.Value(), left) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if d.below(v.Field(i), left) {
				return true
			}
		}
	}
	return false
}
