package reflectvalue

import (
	"fmt"
	"reflect"
	"sync"
)

// Check returns what keeps values of type t from being encoded and decoded again without
// loss, with the path to the part: user.Profile.secret: an unexported field is not encoded.
// It is nil if nothing does, and says what the generator says of the type, but for a type's
// own text, of which that warns.
func Check(t reflect.Type) error {
	c := checker{met: map[checked]bool{}}
	c.check(t.String(), t, false, false)
	return c.err
}

var checkedTypes sync.Map // of reflect.Type to error, or to nil

// Storable reports whether [Check] finds nothing wrong with t.
func Storable(t reflect.Type) bool {
	err, ok := checkedTypes.Load(t)
	if !ok {
		err = Check(t)
		checkedTypes.Store(t, err)
	}
	return err == nil
}

type checked struct {
	t   reflect.Type
	key bool
}

type checker struct {
	met map[checked]bool // each type is looked at once, and once more in a map's key
	err error            // the first
}

func (c *checker) fail(path, format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
	}
}

// check looks at type t at a path, which has left the root for a field if inField.
func (c *checker) check(path string, t reflect.Type, key, inField bool) {
	if c.err != nil || c.met[checked{t, key}] {
		return
	}
	c.met[checked{t, key}] = true
	with := func(suffix string) string {
		if inField {
			return path + suffix
		}
		return path
	}
	w := WayOf(t)
	switch {
	case w != Structure && key && (w == Time || w == URL || shares(t, map[reflect.Type]bool{})):
		c.fail(path, "a %v in a map's key does not compare equal after decoding", t)
		return
	case w != Structure:
		return
	}
	if half := halfOf(t); half != "" {
		c.fail(path, "%v has %s, but not all that goes with it", t, half)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		if key {
			c.fail(path, "a pointer in a map's key does not compare equal after decoding")
			return
		}
		if pointsToItself(t) {
			c.fail(path, "%v points to itself: no value of it has an end", t)
			return
		}
		c.check(path, t.Elem(), key, inField)
	case reflect.Slice, reflect.Array:
		c.check(with("[]"), t.Elem(), key, inField)
	case reflect.Map:
		c.check(with("[key]"), t.Key(), true, inField)
		c.check(with("[]"), t.Elem(), key, inField)
	case reflect.Struct:
		c.fields(path, t, key)
	case reflect.Interface:
		c.fail(path, "%v reads back as maps, slices and the smallest numbers that fit, not as the type that was stored", t)
	default:
		if !encodable(t.Kind()) {
			c.fail(path, "%v cannot be encoded", t)
		}
	}
}

// pointsToItself reports whether t is a pointer that leads to nothing but pointers.
func pointsToItself(t reflect.Type) bool {
	met := map[reflect.Type]bool{}
	for ; t.Kind() == reflect.Pointer && !met[t]; t = t.Elem() {
		met[t] = true
	}
	return t.Kind() == reflect.Pointer
}

func (c *checker) fields(path string, t reflect.Type, key bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := path + "." + f.Name
		switch {
		case f.Name == "_", Skipped(f), !f.IsExported() && !f.Anonymous && holdsNothing(f.Type):
		case f.IsExported(), setField(f):
			c.check(at, f.Type, key, true)
		case f.Anonymous:
			c.fail(at, "embedded %v is not exported and cannot be decoded", f.Type)
		default:
			c.fail(at, "an unexported field is not encoded (tag it, or the field that holds it, `msgpack:\"-\"` if it may be lost)")
		}
	}
	if name := Fields(t).twice; name != "" {
		c.fail(path, "two fields are both encoded as %q, so one of them is lost", name)
	}
}

// halfOf names a method by which t is encoded, or decoded, where the other one is missing, and
// where its structure is not exact; empty if there is none.
func halfOf(t reflect.Type) string {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface || t.Name() == "" {
		return ""
	}
	for w := Custom; w <= Text; w++ {
		if w > Msgpack && isExact(t, false) {
			continue
		}
		p, pair := reflect.PointerTo(t), &pairs[w]
		switch {
		case p.Implements(pair.encoder):
			return pair.name
		case p.Implements(pair.decoder):
			return pair.inverse
		}
	}
	return ""
}
