package value

import "go/types"

// Types that the runtime encodes itself, because they have no methods that do so exactly.

// isTime reports whether t is time.Time, or defined as that is, with no way of its own that
// msgpack knows.
func isTime(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok {
		return false
	}
	if isTimeItself(named) {
		return true
	}
	if timeOf(named) == nil {
		return false
	}
	_, own := ownWay(named)
	return !own
}

func isTimeItself(t types.Type) bool { return oneOf(t, []string{"time.Time"}) }

// timeOf is the time.Time that a type is defined by; nil if it is not.
func timeOf(t types.Type) types.Type {
	s, ok := t.Underlying().(*types.Struct)
	if !ok || s.NumFields() == 0 || s.Field(0).Name() != "wall" {
		return nil
	}
	pkg := s.Field(0).Pkg()
	if pkg == nil || pkg.Path() != "time" {
		return nil
	}
	obj := pkg.Scope().Lookup("Time")
	if obj == nil || !types.Identical(obj.Type().Underlying(), s) {
		return nil
	}
	return obj.Type()
}

// isURL reports whether t is url.URL, of which MarshalBinary writes the text, and not all
// that one can be.
func isURL(t types.Type) bool { return oneOf(t, []string{"net/url.URL"}) }

// Loses reports whether decoding gives less than what was encoded of a t: it has fields
// whose tags say so, or something that has nothing but a text.
func Loses(t types.Type) bool {
	return !hasExactWay(t) && follow(t, func(t types.Type, _ bool) bool {
		if wayOf(t).kind == byText {
			return true
		}
		u, ok := t.Underlying().(*types.Struct)
		return ok && drops(u)
	})
}

// constantsOf lists the constants of a type by name and value: what its numbers mean.
func constantsOf(named *types.Named) (list []string) {
	pkg := named.Obj().Pkg()
	if pkg == nil {
		return nil
	}
	for _, name := range pkg.Scope().Names() { // sorted
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && types.Identical(c.Type(), named) {
			list = append(list, name+"="+c.Val().ExactString())
		}
	}
	return list
}
