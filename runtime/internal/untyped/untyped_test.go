package untyped_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/registry"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
	"github.com/cachegen/cachegen/runtime/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDown = errors.New("the source is down")
	errNone = errors.New("there is none")
)

// jsonCodec is a codec that is not the default one.
type jsonCodec struct{}

func (jsonCodec) Marshal(v any) ([]byte, error)         { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, into any) error { return json.Unmarshal(data, into) }

// errPartial is the error of a loader that could load some keys only.
type errPartial struct{ cause error }

func (e errPartial) Error() string { return "partial: " + e.cause.Error() }

func partial(err error) (error, bool) {
	var p errPartial
	if errors.As(err, &p) {
		return p.cause, true
	}
	return nil, false
}

// bind declares a cache and binds it to s.
func bind(t *testing.T, s *storetest.Store, d untyped.Definition, namespace ...string) (*untyped.Cache, *untyped.Binding) {
	t.Helper()
	c := new(untyped.Cache)
	c.Declare(d)
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	b := &untyped.Binding{
		Store: s.Store, Policy: policy.Policy{TTL: time.Hour, Grace: time.Hour, NotFoundTTL: time.Hour, SuppressL2Errors: true}, Namespace: namespace,
		Function: &registry.Function{}, Partial: partial,
	}
	c.Attach(b, jsonCodec{}, false)
	return c, b
}

func definition[K, V any]() untyped.Definition {
	return untyped.Definition{KeyType: reflect.TypeFor[K](), ValueType: reflect.TypeFor[V]()}
}

func give(v any) untyped.Loader { return func(context.Context) (any, error) { return v, nil } }

func fails(err error) untyped.Loader { return func(context.Context) (any, error) { return nil, err } }

// shapes runs a test over each shape of store.
func shapes(t *testing.T, f func(t *testing.T, s *storetest.Store)) {
	for name, c := range map[string]func() store.Config{
		"memory": func() store.Config { return store.Config{L1: storetest.L1()} },
		"shared": func() store.Config { return store.Config{L2: &faketier.Shared{}} },
		"both": func() store.Config {
			return store.Config{L1: storetest.L1(), L2: &faketier.Shared{}, Bus: &faketier.Bus{}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := storetest.New(t, c())
				f(t, s)
				if lines := slices.Concat(s.Lines("warn"), s.Lines("breaker")); lines != nil {
					t.Errorf("%q", lines)
				}
			})
		})
	}
}

func TestEachMethodWorksInEveryShapeOfStore(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		ctx := t.Context()
		d := definition[int, string]()
		d.Name, d.Tags = "a.Load", func(key any) []string { return []string{fmt.Sprint("of ", key)} }
		c, _ := bind(t, s, d)
		get := func() any {
			v, ok, err := c.Get(ctx, 7, nil)
			has, errHas := c.Has(ctx, 7)
			missing, errMissing := c.Missing(ctx, 7)
			if err := errors.Join(err, errHas, errMissing); err != nil || has != ok || missing == ok {
				t.Error(err, ok, has, missing)
			}
			return v
		}
		if v, err := c.GetOrSet(ctx, 7, give("v"), nil); v != "v" || err != nil || get() != "v" {
			t.Error(v, err)
		}
		if v, err := c.GetOrSet(ctx, 7, fails(errDown), nil); v != "v" || err != nil {
			t.Error(v, err)
		}
		if v, err := c.GetOrSet(ctx, 8, fails(errDown), nil); v != nil || err != errDown {
			t.Error(v, err)
		}
		for name, invalidate := range map[string]func() error{
			"delete": func() error { return c.Delete(ctx, 7, 7) }, "expire": func() error { return c.Expire(ctx, 7) },
			"clear": func() error { return c.Clear(ctx) }, "tag": func() error { return storeOf(t, c).Invalidate.DeleteByTag(ctx, []string{"of 7"}, invalidate.Mode{}) },
			"expire by tag": func() error { return storeOf(t, c).Invalidate.ExpireByTag(ctx, []string{"given"}, invalidate.Mode{}) },
			"pull": func() error {
				v, ok, err := c.Pull(ctx, 7)
				if v != "set" || !ok {
					t.Error(v, ok)
				}
				return err
			},
		} {
			if err := c.Set(ctx, 7, "set", &policy.Call{Tags: []string{"given"}}); err != nil || get() != "set" {
				t.Fatal(err)
			}
			if err := invalidate(); err != nil || get() != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, ok, err := c.Pull(ctx, 7); ok || err != nil {
			t.Error("pulled twice:", err)
		}
		if err := storeOf(t, c).Invalidate.Clear(ctx, entry.Cache{Namespace: []string{"users"}}, invalidate.Mode{}); err != nil {
			t.Error(err)
		}
		if err := errors.Join(c.Set(ctx, 7, "set", nil), c.Expire(ctx, 7)); err != nil {
			t.Error(err)
		}
		if v, ok, err := c.Get(ctx, 7, &policy.Call{AllowStale: true}); v != "set" || !ok || err != nil {
			t.Error("what is stale, and allowed:", v, err)
		}
	})
}

// storeOf is the store that a cache is bound to.
func storeOf(t *testing.T, c *untyped.Cache) *store.Store {
	t.Helper()
	b, err := c.Binding()
	if err != nil {
		t.Fatal(err)
	}
	return b.Store
}

func TestAClearOfANamespaceReachesItsCachesAlone(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	inside, _ := bind(t, s, definition[string, string](), "users")
	outside, _ := bind(t, s, definition[string, string]())
	for _, c := range []*untyped.Cache{inside, outside} {
		if err := c.Set(t.Context(), "k", "v", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := storeOf(t, outside).Invalidate.Clear(t.Context(), entry.Cache{Namespace: []string{"users"}}, invalidate.Mode{}); err != nil {
		t.Fatal(err)
	}
	in, _ := inside.Has(t.Context(), "k")
	out, _ := outside.Has(t.Context(), "k")
	if in || !out {
		t.Error("inside:", in, "outside:", out)
	}
}

func TestManyKeysAreAnsweredTogether(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		ctx := t.Context()
		d := definition[string, string]()
		d.NotFound = errNone
		c, b := bind(t, s, d)
		var asked [][]any
		load := func(values map[any]any, err error) untyped.ManyLoader {
			return func(_ context.Context, missing []any) (untyped.Lookup, error) {
				asked = append(asked, missing)
				return func(key any) (any, bool) { v, ok := values[key]; return v, ok }, err
			}
		}
		found := func(m *untyped.Many) map[any]any {
			got := make(map[any]any)
			for i, key := range m.Found {
				got[key] = m.Values[i]
			}
			return got
		}
		m, err := c.GetOrSetMany(ctx, []any{"a", "b", "a", "none"}, load(map[any]any{"a": "A", "b": "B"}, nil), nil)
		if got := found(m); err != nil || len(got) != 2 || got["a"] != "A" || got["b"] != "B" || len(asked) != 1 || len(asked[0]) != 3 {
			t.Error(got, err, asked)
		}
		if m, err := c.GetMany(ctx, []any{"a", "none", "never", "a"}, nil); err != nil || len(m.Found) != 1 || found(m)["a"] != "A" {
			t.Error(m, err)
		}
		if m, err := c.GetOrSetMany(ctx, []any{"a", "none"}, load(nil, errDown), nil); err != nil || len(m.Found) != 1 || len(asked) != 1 {
			t.Error("that there is none is not remembered:", m, err, asked)
		}
		m, err = c.GetOrSetMany(ctx, []any{"c", "d"}, load(map[any]any{"c": "C"}, errPartial{errDown}), nil)
		if err != errDown || found(m)["c"] != "C" || len(m.Found) != 1 {
			t.Error(found(m), err)
		}
		if _, err := c.GetOrSetMany(ctx, []any{"e", "f"}, load(nil, errDown), nil); err != errDown {
			t.Error("one error for two keys is two:", err)
		}
		m, err = c.GetOrSetMany(ctx, []any{"a"}, load(map[any]any{"a": "new"}, nil), &policy.Call{ForceFresh: true})
		if err != nil || found(m)["a"] != "new" {
			t.Error(found(m), err)
		}
		m, err = c.GetOrSetMany(ctx, []any{"", "a"}, load(nil, nil), nil)
		if err == nil || !strings.Contains(err.Error(), "empty") || found(m)["a"] != "new" {
			t.Error(found(m), err)
		}
		b.Function.Disabled.Store(true)
		m, err = c.GetOrSetMany(ctx, []any{"a"}, load(map[any]any{"a": "past the cache"}, errPartial{errDown}), nil)
		if !errors.Is(err, errPartial{errDown}) || found(m)["a"] != "past the cache" {
			t.Error(found(m), err)
		}
		if m, err := c.GetMany(ctx, []any{"a"}, nil); err != nil || m.Found != nil {
			t.Error(m, err)
		}
		if _, err := c.GetOrSetMany(ctx, []any{"a"}, nil, nil); err == nil {
			t.Error("no error for a nil loader")
		}
	})
}

func TestADisabledFunctionGoesPastTheCache(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		ctx := t.Context()
		c, b := bind(t, s, definition[string, string]())
		if err := c.Set(ctx, "k", "old", nil); err != nil {
			t.Fatal(err)
		}
		b.Function.Disabled.Store(true)
		for range 2 {
			if v, err := c.GetOrSet(ctx, "k", give("new"), nil); v != "new" || err != nil {
				t.Error(v, err)
			}
		}
		_, ok, err := c.Get(ctx, "k", nil)
		_, pulled, errPull := c.Pull(ctx, "k")
		if _, hit := c.Hit([]byte("k")); ok || pulled || hit || errors.Join(err, errPull) != nil {
			t.Error(ok, pulled, hit)
		}
		if err := c.Set(ctx, "k", "set", nil); err != nil {
			t.Fatal(err)
		}
		b.Function.Disabled.Store(false)
		if v, ok, err := c.Get(ctx, "k", nil); ok || err != nil { // what was there is superseded
			t.Error(v, err)
		}
	})
}

func TestACacheWithoutAStoreSaysSo(t *testing.T) {
	c, ctx := new(untyped.Cache), context.Background()
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "zero Cache") || c.Label() != "a zero Cache" {
		t.Error(err, c.Label())
	}
	c.Declare(definition[string, int]())
	_, errGetOrSet := c.GetOrSet(ctx, "k", give(1), nil)
	_, _, errGet := c.Get(ctx, "k", nil)
	_, errHas := c.Has(ctx, "k")
	_, errMissing := c.Missing(ctx, "k")
	_, _, errPull := c.Pull(ctx, "k")
	_, errMany := c.GetMany(ctx, []any{"k"}, nil)
	_, errSetMany := c.GetOrSetMany(ctx, []any{"k"}, nil, nil)
	for _, err := range []error{
		errGetOrSet, errGet, errHas, errMissing, errPull, errMany, errSetMany, c.Set(ctx, "k", 1, nil), c.Delete(ctx, "k"), c.Expire(ctx, "k"),
		c.Clear(ctx),
	} {
		if !errors.Is(err, untyped.ErrNotBound) || !strings.Contains(err.Error(), "Cache[string, int]") {
			t.Error(err)
		}
	}
	if _, ok := c.Hit([]byte("k")); ok {
		t.Error("a hit")
	}
	if _, ok := c.HitInt(7); ok || c.Own("v") != "v" {
		t.Error("a hit, or no value")
	}
	named := definition[string, int]()
	named.Name, named.Instance = "a.Load", "int"
	c.Declare(named)
	if c.Label() != "a.Load[int]" {
		t.Error(c.Label())
	}
	bad := new(untyped.Cache)
	bad.Declare(definition[float64, int]())
	if err := bad.Check(); err == nil || !strings.Contains(err.Error(), "float64 cannot be the type of a key") {
		t.Error(err)
	}
}

type appender string

func (a appender) AppendText(b []byte) ([]byte, error) {
	switch a {
	case "fails":
		return b, errDown
	case "not appended":
		return []byte("x"), nil
	}
	return append(b, a...), nil
}

// race R37: keys of all types have text that can be no other key's.
func TestAKeyIsWrittenAsItsTypeSays(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1(), Prefix: "app"})
	for _, test := range []struct {
		key  any
		want string // without the prefix; empty: an error
	}{
		{"plain", "plain"}, {"a:b", "a:b"}, {"a:!b", "a:%21b"}, {"@a", "%40a"}, {"100%", "100%25"}, {"", ""},
		{-7, "-7"}, {uint8(200), "200"}, {int64(-1), "-1"}, {uint64(1 << 63), "9223372036854775808"},
		{netip.MustParseAddr("::1"), "::1"}, {time.Unix(0, 0).UTC(), "1970-01-01T00:00:00Z"},
		{appender("seg:ment"), "seg:ment"}, {appender("a:!b"), ""}, {appender("@b"), ""}, {appender("fails"), ""}, {appender("not appended"), ""}, {appender(""), ""},
	} {
		c := new(untyped.Cache)
		c.Declare(untyped.Definition{KeyType: reflect.TypeOf(test.key), ValueType: reflect.TypeFor[string]()})
		if err := c.Check(); err != nil {
			t.Error(err)
			continue
		}
		c.Attach(&untyped.Binding{Store: s.Store, Policy: policy.Policy{TTL: time.Hour}, Function: &registry.Function{}, Partial: partial}, jsonCodec{}, false)
		s.Forget()
		err := c.Set(t.Context(), test.key, "v", nil)
		if test.want == "" {
			if err == nil || !strings.Contains(err.Error(), "write a key of") {
				t.Errorf("%#v: %v", test.key, err)
			}
			continue
		}
		if got := s.Lines("written"); err != nil || len(got) != 1 || got[0] != "app:"+test.want {
			t.Errorf("%#v: %q, %v, want %s", test.key, got, err, test.want)
		}
		if v, ok := c.Hit([]byte(test.want)); !ok || v != "v" {
			t.Errorf("%#v: no hit", test.key)
		}
	}
	// One bad key does not keep the others from being invalidated.
	c, _ := bind(t, s, definition[string, string]())
	if err := c.Set(t.Context(), "k", "v", nil); err != nil {
		t.Fatal(err)
	}
	err := c.Delete(t.Context(), "", "k")
	if has, _ := c.Has(t.Context(), "k"); err == nil || has {
		t.Error(err, has)
	}
}

// Callers must not change each other's values.
func TestACallerGetsAValueOfItsOwn(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		c, _ := bind(t, s, definition[string, []int]())
		given := []int{1, 2}
		if err := c.Set(t.Context(), "k", given, nil); err != nil {
			t.Fatal(err)
		}
		given[0] = 9
		for range 2 {
			v, ok, err := c.Get(t.Context(), "k", nil)
			if got := v.([]int); !ok || err != nil || !slices.Equal(got, []int{1, 2}) {
				t.Error(got, err)
			} else {
				got[0] = 9
			}
			v, err = c.GetOrSet(t.Context(), "k", fails(errDown), nil)
			if got := v.([]int); err != nil || !slices.Equal(got, []int{1, 2}) {
				t.Error(got, err)
			} else {
				got[0] = 9
			}
		}
		if v, ok := c.Hit([]byte("k")); ok {
			v.([]int)[0] = 9
		}
		if v, _, _ := c.Get(t.Context(), "k", nil); !slices.Equal(v.([]int), []int{1, 2}) {
			t.Error(v)
		}
	})
}

// race R34, R35: what another cache keeps under the same key is not of this one's type.
func TestAValueOfAnotherTypeIsLoadedPastTheCache(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	texts, _ := bind(t, s, definition[string, string]())
	numbers, _ := bind(t, s, definition[string, int]())
	if err := texts.Set(t.Context(), "k", "text", nil); err != nil {
		t.Fatal(err)
	}
	if v, err := numbers.GetOrSet(t.Context(), "k", give(7), nil); v != 7 || err != nil {
		t.Error(v, err)
	}
	if v, ok, err := numbers.Get(t.Context(), "k", nil); ok || err != nil {
		t.Error(v, err)
	}
	m, err := numbers.GetOrSetMany(t.Context(), []any{"k"}, func(context.Context, []any) (untyped.Lookup, error) {
		return func(any) (any, bool) { return 7, true }, nil
	}, nil)
	if err != nil || len(m.Values) != 1 || m.Values[0] != 7 {
		t.Error(m, err)
	}
	if _, ok, err := numbers.Pull(t.Context(), "k"); ok || err != nil {
		t.Error(ok, err)
	}
	d := definition[string, error]()
	for v, want := range map[any]bool{nil: true, errDown: true, 7: false} {
		if d.Fits(v) != want {
			t.Errorf("%v fits: %v", v, !want)
		}
	}
}

func TestThatThereIsNoValueIsRememberedWithItsError(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		d := definition[string, string]()
		d.NotFound = errNone
		c, _ := bind(t, s, d)
		first := fmt.Errorf("query: %w", errNone)
		if _, err := c.GetOrSet(t.Context(), "k", fails(first), nil); err != first {
			t.Error(err)
		}
		if _, err := c.GetOrSet(t.Context(), "k", give("v"), nil); err != errNone {
			t.Error("not remembered:", err)
		}
	})
}

// Generated code knows the type: its codec, its copies, and the integer of its keys.
func TestGeneratedCodeIsUsedWithTheDefaultCodec(t *testing.T) {
	var shared faketier.Shared
	s, other := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared}), storetest.New(t, store.Config{L2: &shared})
	copies := 0
	d := definition[int, []byte]()
	d.Name, d.IntPrefix = "a.Load", ""
	d.Value = &untyped.Value{
		Fingerprint: 99,
		Encode:      func(e *wire.Encoder, v any) { e.Bytes(v.([]byte)) },
		Decode:      func(d *wire.Decoder) any { return d.Bytes() },
		Copy:        func(v any) any { copies++; return bytes.Clone(v.([]byte)) },
		Size:        func(v any) int { return len(v.([]byte)) },
	}
	here, there := new(untyped.Cache), new(untyped.Cache)
	for c, s := range map[*untyped.Cache]*storetest.Store{here: s, there: other} {
		c.Declare(d)
		c.Attach(&untyped.Binding{Store: s.Store, Policy: policy.Policy{TTL: time.Hour}, Function: &registry.Function{}, Partial: partial}, jsonCodec{}, true)
	}
	if err := here.Set(t.Context(), 7, []byte("value"), nil); err != nil {
		t.Fatal(err)
	}
	if v, ok, err := there.Get(t.Context(), 7, nil); !ok || err != nil || string(v.([]byte)) != "value" {
		t.Error(v, err)
	}
	before := copies
	if v, ok := here.Hit([]byte("7")); !ok || string(v.([]byte)) != "value" || copies != before {
		t.Error("a hit is copied by generated code itself:", copies-before)
	}
	b, err := here.Binding()
	if err != nil || b.Kind.Fingerprint != 99 || b.Kind.Size([]byte("12345")) != 24+5 {
		t.Error(err)
	}
	d.Shared = true
	shares := new(untyped.Cache)
	shares.Declare(d)
	shares.Attach(&untyped.Binding{Store: s.Store, Function: &registry.Function{}}, jsonCodec{}, false)
	if b, _ := shares.Binding(); b.Kind.Copy != nil || b.Kind.Fingerprint == 99 {
		t.Error("values are copied although they are shared, or another codec's entries are read")
	}
}

func TestAHitOfAnIntegerKeyNeedsNoText(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1(), Prefix: "app"})
	d := definition[appender, string]()
	d.Name, d.IntPrefix = "a.Load", "user:"
	c, b := bind(t, s, d, "eu")
	if err := c.Set(t.Context(), appender("user:7"), "v", nil); err != nil {
		t.Fatal(err)
	}
	s.Forget()
	if v, ok := c.HitInt(7); !ok || v != "v" {
		t.Error(v, ok)
	}
	if v, ok := c.HitInt(8); ok {
		t.Error(v)
	}
	if got := s.Lines("hit"); !slices.Equal(got, []string{"app:@eu:user:7 L1"}) {
		t.Errorf("%q", got)
	}
	b.Function.Disabled.Store(true)
	if _, ok := c.HitInt(7); ok {
		t.Error("a hit of a disabled function")
	}
}

type panicking struct{}

func (panicking) Marshal(any) ([]byte, error) { panic("boom") }
func (panicking) Unmarshal([]byte, any) error { panic("boom") }

// What lies in a shared tier may have been written by anyone.
func TestACodecThatPanicsHasFailed(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &faketier.Shared{}})
	c := new(untyped.Cache)
	c.Declare(definition[string, string]())
	b := &untyped.Binding{Store: s.Store, Policy: policy.Policy{TTL: time.Hour}, Function: &registry.Function{}}
	c.Attach(b, panicking{}, false)
	if err := c.Set(t.Context(), "k", "v", nil); err == nil || !strings.Contains(err.Error(), "codec panicked: boom") {
		t.Error(err)
	}
	if _, err := b.Kind.Decode(nil); err == nil || !strings.Contains(err.Error(), "codec panicked: boom") {
		t.Error(err)
	}
}

// It may be bound again at any time: callers end on the binding with which they began.
func TestACacheIsBoundAgain(t *testing.T) {
	one, two := storetest.New(t, store.Config{L1: storetest.L1()}), storetest.New(t, store.Config{L1: storetest.L1()})
	c, _ := bind(t, one, definition[string, string]())
	v, err := c.GetOrSet(t.Context(), "k", func(context.Context) (any, error) {
		c.Attach(&untyped.Binding{Store: two.Store, Policy: policy.Policy{TTL: time.Hour}, Function: &registry.Function{}}, jsonCodec{}, false)
		return "v", nil
	}, nil)
	if v != "v" || err != nil || one.Lines("written") == nil || two.Lines("written") != nil {
		t.Error(v, err)
	}
	if has, err := c.Has(t.Context(), "k"); has || err != nil {
		t.Error("of the other store:", has, err)
	}
}

func TestALoaderThatIsNilIsRefused(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	c, _ := bind(t, s, definition[string, string]())
	if _, err := c.GetOrSet(t.Context(), "k", nil, nil); err == nil || !strings.Contains(err.Error(), "loader is nil") {
		t.Error(err)
	}
}
