package runtime_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
)

type (
	number         int8
	word           string
	pair[A, B any] struct {
		A A
		B B
	}
)

func TestTypeArgsTellTypesApart(t *testing.T) {
	type local struct{ N int }
	seen := map[string]bool{}
	for _, name := range []string{
		gen.TypeArgs[func(int)](), gen.TypeArgs[func(int64)](), gen.TypeArgs[func(number)](),
		gen.TypeArgs[func(int, string)](), gen.TypeArgs[func(string, int)](),
		gen.TypeArgs[func(*number)](), gen.TypeArgs[func([]number)](), gen.TypeArgs[func([2]number)](),
		gen.TypeArgs[func(map[string]number)](), gen.TypeArgs[func(map[number]string)](),
		gen.TypeArgs[func(pair[int, word])](), gen.TypeArgs[func(pair[word, int])](),
		gen.TypeArgs[func(struct{ N int })](), gen.TypeArgs[func(struct{ N int64 })](), gen.TypeArgs[func(struct {
			N int `msgpack:"n"`
		})](),
		gen.TypeArgs[func(local)](),
	} {
		if seen[name] {
			t.Errorf("%s twice", name)
		}
		seen[name] = true
	}
	if got := gen.TypeArgs[func(string, number)](); got != "string,github.com/cachegen/cachegen/runtime_test.number" {
		t.Errorf("got %s, which is part of keys in shared tiers", got)
	}
}

func roundTrip[T interface {
	gen.KeyValue
	comparable
}](t *testing.T, values ...T) {
	t.Helper()
	texts := map[string]T{}
	for _, v := range values {
		text := string(gen.AppendKeyValue([]byte("x:"), v))
		if other, ok := texts[text]; ok {
			t.Errorf("%v and %v are both %s", v, other, text)
		}
		texts[text] = v
		var got T
		if err := gen.ParseKey("x:{v}", text, &got); err != nil || got != v {
			t.Errorf("%v came back from %s as %v, %v", v, text, got, err)
		}
	}
}

func TestKeyValuesComeBack(t *testing.T) {
	roundTrip(t, "", "a", "a:b", "%3A", "@x", "!", "ä\x00{}")
	roundTrip[word](t, "", "a:b")
	roundTrip(t, true, false)
	roundTrip[int64](t, 0, -1, math.MaxInt64, math.MinInt64)
	roundTrip[uint64](t, 0, math.MaxUint64)
	roundTrip[number](t, -128, 127)
	if gen.ParseKey("{v}", "128", new(number)) == nil {
		t.Error("128 is an int8")
	}
}

// The caches of a generic function are bound together, those that come later too.
func TestInstancesAreBoundWhenTheyAreMade(t *testing.T) {
	ctx := context.Background()
	store := newStore(t, runtime.L1(memory.New(memory.Options{MaxItems: 100})))
	stores, err := runtime.NewStores(store)
	if err != nil {
		t.Fatal(err)
	}
	var all gen.Instances
	define := func(instance string) *gen.Definition {
		return &gen.Definition{Name: "f", Pattern: "{k}", Instance: instance}
	}
	early := gen.Instance[func(int), string, int](&all, define)
	if err := early.Set(ctx, "k", 1); !errors.Is(err, runtime.ErrNotBound) {
		t.Fatalf("got %v before it is bound", err)
	}
	if err := all.Bind(stores); err != nil {
		t.Fatal(err)
	}
	late := gen.Instance[func(string), string, int](&all, define)
	if again := gen.Instance[func(int), string, int](&all, define); again != early {
		t.Error("one list of type arguments has two caches")
	}
	if err := errors.Join(early.Set(ctx, "k", 1), late.Set(ctx, "k", 2)); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[int]*runtime.Cache[string, int]{1: early, 2: late} {
		if got, ok, err := c.Get(ctx, "k"); got != want || !ok || err != nil {
			t.Errorf("got %d, %t, %v, want %d", got, ok, err, want)
		}
	}
	if err := early.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if ok, _ := early.Has(ctx, "k"); ok {
		t.Error("a clear did not reach its own")
	}
	if ok, _ := late.Has(ctx, "k"); !ok {
		t.Error("a clear reached another instance")
	}
}
