package value

import "testing"

func TestOneNameTwice(t *testing.T) {
	const at = "`msgpack:\"x\"`"
	for _, test := range []struct {
		declarations string
		value        any // of the same type, to be stored and read back
	}{
		{`type T struct { A int ` + at + `; B int ` + at + ` }; var v T`, namesTag{1, 2}},
		{`type base struct { ID int }; type T struct { base; ID int }; var v T`, namesShadow{namesBase{1}, 2}},
		{`type Base struct { ID int }; type T struct { *Base; ID int }; var v *T`, &namesPointer{&NamesBase{1}, 2}},
		{`type Base struct { ID int }; type T struct { Base; Other int ` + "`msgpack:\"ID\"`" + ` }; var v T`, namesOther{NamesBase{1}, 2}},
		{`type Base struct { ID int }; type T struct { ID int; Base ` + "`msgpack:\",inline\"`" + ` }; var v T`, namesInline{1, NamesBase{2}}},
		{`type T struct { A int; B int ` + "`msgpack:\",alias:A\"`" + ` }; var v T`, namesAlias{1, 2}},
	} {
		if got := messages(t, test.declarations); len(got) != 1 {
			t.Errorf("%s: got %q", test.declarations, got)
		}
		if err := roundTrip(test.value); err == nil {
			t.Errorf("%#v survives", test.value)
		}
	}
}

func TestOneNameOnce(t *testing.T) {
	for _, test := range []struct {
		declarations string
		value        any
	}{
		// An embedded struct that would clash with what is before it is written on its own.
		{`type Base struct { ID int }; type T struct { ID int; Base }; var v T`, namesApart{1, NamesBase{2}}},
		{`type Base struct { ID int }; type T struct { Base ` + "`msgpack:\",noinline\"`" + `; ID int }; var v T`, namesNoInline{NamesBase{2}, 1}},
		{`type A struct { X int }; type B struct { X int }; type T struct { A; B }; var v T`, namesBoth{NamesBase{1}, NamesThird{2}}},
	} {
		if got := messages(t, test.declarations); len(got) != 0 {
			t.Errorf("%s: got %q", test.declarations, got)
		}
		if err := roundTrip(test.value); err != nil {
			t.Errorf("%#v: %v", test.value, err)
		}
	}
}

type (
	namesBase  struct{ ID int }
	NamesBase  struct{ ID int }
	NamesThird struct{ ID int }

	namesTag struct {
		A int `msgpack:"x"`
		B int `msgpack:"x"`
	}
	namesShadow struct {
		namesBase
		ID int
	}
	namesPointer struct {
		*NamesBase
		ID int
	}
	namesOther struct {
		NamesBase
		Other int `msgpack:"ID"`
	}
	namesInline struct {
		ID        int
		NamesBase `msgpack:",inline"`
	}
	namesAlias struct {
		A int
		B int `msgpack:",alias:A"`
	}
	namesApart struct {
		ID int
		NamesBase
	}
	namesNoInline struct {
		NamesBase `msgpack:",noinline"`
		ID        int
	}
	namesBoth struct {
		NamesBase
		NamesThird
	}
)
