package value

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"reflect"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// What Check accepts comes back equal from msgpack, and what it refuses does not.
func TestAgreesWithMsgpack(t *testing.T) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "fixture_test.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	config := types.Config{Importer: std}
	pkg, err := config.Check("value", fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, fixture := range fixtures {
		name, pointer := strings.CutPrefix(fmt.Sprintf("%T", fixture), "*value.")
		name = strings.TrimPrefix(name, "value.")
		typ := pkg.Scope().Lookup(name).Type()
		if pointer {
			typ = types.NewPointer(typ)
		}
		problems := Check(typ, types.RelativeTo(pkg), namable)
		err := roundTrip(fixture)
		switch {
		case len(problems) == 0 && err != nil:
			t.Errorf("%T is accepted, but %v", fixture, err)
		case len(problems) > 0 && err == nil:
			t.Errorf("%T survives, but is refused: %s", fixture, problems[0].Message)
		}
	}
}

// roundTrip encodes a value and reports what is wrong with what comes back.
func roundTrip(v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	from := reflect.New(reflect.TypeOf(v)) // through a pointer, as the runtime does
	from.Elem().Set(reflect.ValueOf(v))
	data, err := msgpack.Marshal(from.Interface())
	if err != nil {
		return err
	}
	into := reflect.New(reflect.TypeOf(v))
	if err := msgpack.Unmarshal(data, into.Interface()); err != nil {
		return err
	}
	if got := into.Elem().Interface(); !reflect.DeepEqual(got, v) {
		return fmt.Errorf("%+v comes back as %+v", v, got)
	}
	return nil
}
