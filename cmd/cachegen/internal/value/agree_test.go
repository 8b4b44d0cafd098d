package value

import (
	"context"
	"errors"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"math/big"
	"net/netip"
	"net/url"
	"time"

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

// What Check accepts the runtime accepts for a cache without generated code, and gives back
// equal; what Check refuses the runtime refuses.
func TestAgreesWithTheRuntime(t *testing.T) {
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
		name, pointer := strings.CutPrefix(fmt.Sprintf("%T", fixture.value), "*value.")
		name = strings.TrimPrefix(name, "value.")
		typ := pkg.Scope().Lookup(name).Type()
		if pointer {
			typ = types.NewPointer(typ)
		}
		problems := Check(typ, types.RelativeTo(pkg))
		err := fixture.store()
		switch {
		case len(problems) == 0 && err != nil:
			t.Errorf("%T is accepted, but %v", fixture.value, err)
		case len(problems) > 0 && err == nil:
			t.Errorf("%T survives, but is refused: %s", fixture.value, problems[0].Message)
		}
	}
}

// A fixture is a value, and what stores it and reports what is wrong with what comes back.
type storedFixture struct {
	value any
	store func() error
}

// through is a fixture that goes through a cache without generated code.
func through[V any](v V) storedFixture {
	return storedFixture{v, func() error {
		ctx := context.Background()
		s, err := runtime.NewStore("fixture", runtime.L2(memory.NewL2(memory.L2Options{})))
		if err != nil {
			return err
		}
		defer s.Close(ctx)
		c, err := runtime.NewCache[int, V](s, "values")
		if err != nil {
			return err
		}
		if err := c.Set(ctx, 1, v); err != nil {
			return err
		}
		got, ok, err := c.Get(ctx, 1)
		if err == nil && (!ok || !reflect.DeepEqual(got, v)) {
			err = fmt.Errorf("%+v comes back as %+v, %v", v, got, ok)
		}
		return err
	}}
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

// fixtures are values that a cache is asked to carry; their types are checked too.
var fixtures = []storedFixture{
	through(fixPlain{1, "a", []byte{2}, map[string][]int{"x": {1}}, nil}),
	through(&fixPlain{ID: 1}),
	through(fixNested{Inner: fixPlain{ID: 2}, List: []*fixPlain{{ID: 3}}, ByID: map[int8]fixPlain{4: {ID: 5}}}),
	through(fixEmbedding{fixPlain: fixPlain{ID: 6}, Label: "b"}),
	through(fixEmbeddedPointer{fixPlain: &fixPlain{ID: 6}, Label: "b"}),
	through(fixEmbeddedNumber{fixNumber: 7, Name: "b"}),
	through(fixTimes{At: time.Unix(8, 9), For: time.Second}),
	through(fixText(10)),
	through(fixOneWay(10)),
	through(fixMixed(10)),
	through(fixEvent{Time: time.Unix(11, 0), Name: "c"}),
	through(fixAddress{Addr: netip.MustParseAddr("::1"), N: big.NewInt(12)}),
	through(fixLink{Home: url.URL{Host: "h"}}),
	through(&fixLink{Home: url.URL{Host: "h"}}),
	through(fixLinks{{Host: "h"}}),
	through(fixLinkMap{"a": {Host: "h"}}),
	through(fixPointerKeys{new(int): 1}),
	through(fixTimeKeys{time.Unix(1, 2).UTC(): 1}),
	through(fixStructKeys{{1, "b"}: 1}),
	through(fixAny{13}),
	through(fixError{&url.Error{Op: "x", Err: errors.New("y")}}),
	through(fixHidden{14}),
	through(fixSecret{ID: 14, n: 15}),
	through(fixLost{ID: 14}),
	through(fixEmpty{}),
	through(fixComplex{15}),
	through(fixSkipped{ID: 16, C: nil}),
	through(fixMarshaled{17}),
}
