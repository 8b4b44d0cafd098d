// Package value decides how a type is encoded for the shared tier, and whether it survives
// that: whether what is written of a value reads back as that value. The default codec of
// the runtime chooses in the same way by reflection, for caches without generated code.
//
// It refuses what fails, panics or reads back as something else, which includes a struct with
// unexported fields, unless their tags say that they may be lost. Of what has nothing but a
// text it warns.
package value

import (
	"fmt"
	"go/token"
	"go/types"
	"reflect"
	"strings"

	"golang.org/x/tools/go/types/typeutil"
)

// A Problem is a part of a type that does not survive.
type Problem struct {
	// Message names the part and what is wrong: *User.Notify: chan int cannot be encoded.
	Message string
	Hint    string    // empty if there is nothing to advise
	Field   token.Pos // of the field that leads to the part; invalid if it is the type itself
	Lossy   bool      // a part of it may be lost, which a source can allow
}

// Check returns what keeps values of type t from being stored and read back, in
// the order of t's fields. Names in messages are as qualifier gives them. Each named type
// is looked at once, and once more in the key of a map, so that recursive types end.
func Check(t types.Type, qualifier types.Qualifier) []Problem {
	c := &checker{qualifier: qualifier}
	c.check(place{path: types.TypeString(t, qualifier)}, t)
	return c.problems
}

type checker struct {
	qualifier types.Qualifier
	seen      map[bool]*typeutil.Map // named types; in a map's key or not
	problems  []Problem
}

// A place is where in a value a type was met.
type place struct {
	path   string
	fields bool // path has left the root for a field
	field  token.Pos
	key    bool // in a map's key, which has to compare equal after decoding
}

func (p place) with(suffix string) place {
	if p.fields {
		p.path += suffix
	}
	return p
}

func (c *checker) addf(p place, format string, args ...any) *Problem {
	c.problems = append(c.problems, Problem{Message: p.path + ": " + fmt.Sprintf(format, args...), Field: p.field})
	return &c.problems[len(c.problems)-1]
}

func (c *checker) name(t types.Type) string { return types.TypeString(t, c.qualifier) }

const pointerKeyHint = "use what it points to, or a part of that, as the key"

// skipHint is the advice for what has no content that can be written: only a field can be
// left out.
func (p place) skipHint() string {
	if !p.fields {
		return "return a type with exported data"
	}
	return "give it a type with exported data, or leave it out with the tag `msgpack:\"-\"`"
}

// met reports whether a type was met in such a place before.
func (c *checker) met(p place, named *types.Named) bool {
	if c.seen == nil {
		c.seen = map[bool]*typeutil.Map{false: {}, true: {}}
	}
	return c.seen[p.key].Set(named, true) != nil
}

// check looks at type t, met at p.
func (c *checker) check(p place, t types.Type) {
	t = types.Unalias(t)
	if _, ok := t.(*types.TypeParam); ok {
		return // the type that stands for it is not known before the program runs
	}
	if named, ok := t.(*types.Named); ok {
		switch {
		case isTime(named) && p.key:
			c.addf(p, "a %s in a map's key does not compare equal after decoding", types.TypeString(named, c.qualifier)).
				Hint = "use its UnixNano, which is an int64"
			return
		case isURL(named) && p.key:
			c.addf(p, "a %s in a map's key does not compare equal after decoding", types.TypeString(named, c.qualifier)).
				Hint = "use its text, which is a string"
			return
		case isTime(named), isURL(named), c.met(p, named):
			return
		}
	}
	if c.marshaler(p, t) {
		return
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		c.basic(p, t, u)
	case *types.Pointer:
		if p.key {
			c.addf(p, "a pointer in a map's key does not compare equal after decoding").Hint = pointerKeyHint
			return
		}
		c.check(p, u.Elem())
	case *types.Slice:
		c.check(p.with("[]"), u.Elem())
	case *types.Array:
		c.check(p.with("[]"), u.Elem())
	case *types.Map:
		inKey := p.with("[key]")
		inKey.key = true
		c.check(inKey, u.Key())
		c.check(p.with("[]"), u.Elem())
	case *types.Struct:
		c.fields(p, t, u)
		c.twice(p, u)
	case *types.Interface:
		if u.Empty() {
			c.addf(p, "%s reads back as maps, slices and the smallest numbers that fit, not as the type that was stored", c.name(t)).
				Hint = "use a concrete type, or give the type that holds it MarshalMsgpack and UnmarshalMsgpack"
			return
		}
		if isError(t) {
			c.addf(p, "an error reads back as its text only").Hint = "store the text, or a code, and make the error from that"
			return
		}
		c.addf(p, "interface %s cannot be decoded", c.name(t)).
			Hint = "use a concrete type, or give the type that holds it MarshalMsgpack and UnmarshalMsgpack"
	case *types.Chan, *types.Signature:
		c.addf(p, "%s cannot be encoded", c.name(t)).Hint = p.skipHint()
	}
}

func (c *checker) basic(p place, t types.Type, u *types.Basic) {
	if !encodable(u) {
		c.addf(p, "%s cannot be encoded", c.name(t)).Hint = p.skipHint()
	}
}

func encodable(u *types.Basic) bool {
	return u.Info()&types.IsComplex == 0 && u.Kind() != types.UnsafePointer && u.Kind() != types.Uintptr
}

// fields looks at the fields that are encoded, those of embedded structs included,
// and at those that are lost.
func (c *checker) fields(p place, t types.Type, s *types.Struct) {
	lost, exported := unexported(s)
	defer c.lost(p, t, lost, exported)
	if len(lost) > 0 && c.foreign(lost[0]) {
		return // the remedy is for t as a whole, whatever else is wrong in it
	}
	for i := range s.NumFields() {
		f := s.Field(i)
		tag := strings.Split(reflect.StructTag(s.Tag(i)).Get("msgpack"), ",")
		if tag[0] == "-" || settings(f) || !f.Exported() && !f.Embedded() {
			continue
		}
		at := p.to(f)
		if f.Embedded() && !f.Exported() && !c.embedded(at, f) {
			continue
		}
		for _, option := range tag[1:] {
			if option == "intern" && !internable(f.Type()) {
				c.addf(at, "the tag option intern is for strings, not for %s", c.name(f.Type())).Hint = "take it out of the tag"
			}
		}
		c.check(at, f.Type())
	}
}

// unexported lists the fields of s that are lost without a tag saying that they may
// be, and reports whether s has others.
func unexported(s *types.Struct) (lost []*types.Var, others bool) {
	for i := range s.NumFields() {
		f := s.Field(i)
		if f.Exported() || f.Embedded() {
			others = true
			continue
		}
		tag, _, _ := strings.Cut(reflect.StructTag(s.Tag(i)).Get("msgpack"), ",")
		if tag != "-" && f.Name() != "_" && !HoldsNothing(f.Type()) {
			lost = append(lost, f)
		}
	}
	return lost, others
}

// foreign reports whether a field is of another package, whose types whoever reads
// the message may not be able to change.
func (c *checker) foreign(f *types.Var) bool { return c.qualifier(f.Pkg()) != "" }

// to is the place of a field.
func (p place) to(f *types.Var) place {
	p.path, p.fields, p.field = p.path+"."+f.Name(), true, f.Pos()
	return p
}

// lost reports the fields of t that are not encoded because they are not exported.
func (c *checker) lost(p place, t types.Type, fields []*types.Var, others bool) {
	switch {
	case len(fields) == 0:
	case c.foreign(fields[0]):
		what := "has unexported fields, such as " + fields[0].Name() + ", which are not encoded"
		if !others {
			what = "has no exported field, so nothing of it is encoded"
		}
		c.addf(p, "%s %s", c.name(t), what).Hint = c.foreignHint(p, t)
	case !others:
		c.addf(p, "%s has no exported field, so nothing of it is encoded", c.name(t)).
			Hint = "export its fields, give it MarshalMsgpack and UnmarshalMsgpack, or leave it out with the tag `msgpack:\"-\"`"
	default:
		for _, f := range fields {
			c.addf(p.to(f), "an unexported field is not encoded").
				Hint = "export it, give the type MarshalMsgpack and UnmarshalMsgpack, or tag it `msgpack:\"-\"` if it may be lost"
		}
	}
}

// foreignHint is the advice for a type t of another package that is not encoded whole.
func (c *checker) foreignHint(p place, t types.Type) string {
	own := "if its package is yours, give " + c.name(t) + " MarshalBinary and UnmarshalBinary; "
	if !p.fields {
		return own + "if not, return a type of your own with what is needed of it"
	}
	return own + "if not, give them to the type that holds it, or tag the field `msgpack:\"-\"` if it may be lost"
}

// embedded reports whether an embedded type that is not exported can be decoded.
func (c *checker) embedded(p place, f *types.Var) bool {
	if setField(f) {
		return true
	}
	c.addf(p, "embedded %s is not exported and cannot be decoded", c.name(f.Type())).
		Hint = "make it a field with an exported name"
	return false
}

func internable(t types.Type) bool {
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Kind() == types.String
	case *types.Interface:
		return true
	}
	return false
}

// HoldsNothing reports whether t has one value only, so that nothing is lost with it: struct{}, such
// as a field has that is there for its tag, or [0]func(), which keeps a struct from being compared.
func HoldsNothing(t types.Type) bool {
	switch u := types.Unalias(t).Underlying().(type) {
	case *types.Array:
		return u.Len() == 0 || HoldsNothing(u.Elem())
	case *types.Struct:
		for f := range u.Fields() {
			if f.Name() != "_" && !HoldsNothing(f.Type()) {
				return false
			}
		}
		return true
	}
	return false
}
