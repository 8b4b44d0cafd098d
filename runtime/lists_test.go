package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

type (
	stockKey struct{ ID int64 }
	stock    struct {
		ID    int64
		Count int
	}
)

func (k stockKey) AppendText(b []byte) ([]byte, error) { return fmt.Appendf(b, "stock:%d", k.ID), nil }

func toKey(id int64) stockKey { return stockKey{id} }

func TestGetOrSetMapKeepsTheLoadersOwnTypes(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[stockKey, stock](t, newStore(t, in.tiers()))
		var asked [][]int64
		load := func(_ context.Context, ids []int64) (map[int64]stock, error) {
			asked = append(asked, slices.Sorted(slices.Values(ids)))
			out := map[int64]stock{}
			for _, id := range ids {
				if id < 10 {
					out[id] = stock{id, int(id)}
				}
			}
			return out, nil
		}
		for range 2 {
			got, err := gen.GetOrSetMap(t.Context(), c, []int64{1, 2, 2, 99}, toKey, load)
			if err != nil {
				t.Fatal(err)
			}
			if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, []int64{1, 2}) || got[2].Count != 2 {
				t.Error(got)
			}
		}
		if fmt.Sprint(asked) != "[[1 2 99] [99]]" { // that 99 is nowhere is not remembered without a NotFound
			t.Error(asked)
		}
	})
}

// A key need not have all that its elements differ in.
func TestGetOrSetMapAnswersForEveryElement(t *testing.T) {
	type element struct {
		ID    int64
		Trace string
	}
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[stockKey, *stock](t, newStore(t, in.tiers()))
		load := func(_ context.Context, list []element) (map[element]*stock, error) {
			out := map[element]*stock{}
			for _, e := range list {
				out[e] = &stock{e.ID, 1}
			}
			return out, nil
		}
		list := []element{{1, "a"}, {1, "b"}, {2, "a"}, {1, "a"}}
		for range 2 {
			got, err := gen.GetOrSetMap(t.Context(), c, list, func(e element) stockKey { return toKey(e.ID) }, load)
			if err != nil || len(got) != 3 {
				t.Fatal(got, err)
			}
			for e, v := range got {
				if v.ID != e.ID || v.Count != 1 {
					t.Error(e, *v)
				}
				v.Count = 2 // nobody else sees it
			}
		}
	})
}

func TestGetOrSetListKeepsTheOrderOfItsArguments(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[stockKey, *stock](t, newStore(t, in.tiers()))
		load := func(_ context.Context, ids []int64) ([]*stock, error) {
			out := []*stock{nil, {ID: 1000}}
			for _, id := range slices.Backward(ids) {
				if id < 10 {
					out = append(out, &stock{ID: id})
				}
			}
			return out, nil
		}
		by := func(s *stock) (int64, bool) {
			if s == nil {
				return 0, false
			}
			return s.ID, true
		}
		for range 2 {
			got, err := gen.GetOrSetList(t.Context(), c, []int64{3, 1, 99, 3, 2}, toKey, by, load)
			if err != nil {
				t.Fatal(err)
			}
			ids := make([]int64, len(got))
			for i, s := range got {
				ids[i] = s.ID
			}
			if !slices.Equal(ids, []int64{3, 1, 2}) {
				t.Error(ids)
			}
		}
		if _, err := gen.GetOrSetList(t.Context(), c, []int64{5}, toKey, by, func(context.Context, []int64) ([]*stock, error) { return nil, errSource }); !errors.Is(err, errSource) {
			t.Error(err)
		}
	})
}

func TestKeysAndEach(t *testing.T) {
	if got := gen.Keys([]int64{1, 2}, toKey); !slices.Equal(got, []stockKey{{1}, {2}}) {
		t.Error(got)
	}
	var done []int64
	err := gen.Each([]int64{1, 2, 3}, func(id int64) error {
		done = append(done, id)
		if id == 2 {
			return errSource
		}
		return nil
	})
	if !errors.Is(err, errSource) || len(done) != 3 { // one failure does not keep the others from being invalidated
		t.Error(err, done)
	}
}

func TestClearNamespaceOfACache(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers())
		c, other := newCache[int, int](t, s.Namespace("users")), newCache[int, int](t, s.Namespace("teams"))
		_ = c.Set(t.Context(), 7, 1)
		_ = other.Set(t.Context(), 7, 1)
		if err := other.Store().Namespace("users").Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		a, _ := c.Has(t.Context(), 7)
		b, _ := other.Has(t.Context(), 7)
		if a || !b {
			t.Error(a, b)
		}
		inner, err := c.Namespace("admins")
		if err != nil {
			t.Fatal(err)
		}
		_ = inner.Set(t.Context(), 7, 1)
		_ = c.Store().Namespace("users").Clear(t.Context())
		if ok, _ := inner.Has(t.Context(), 7); ok {
			t.Error("a namespace inside was left")
		}
	})
}

func TestStoresReadyWaitsForEveryBus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var bus faketier.Bus
		bus.Cut(true)
		stores, err := runtime.NewStores(newNamed(t, "a", memoryTier(), runtime.Bus(&bus)), newNamed(t, "b", memoryTier()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := stores.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		bus.Cut(false)
		if err := stores.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A tier that cannot compare and swap is written over.
func TestExpireOnAPlainTier(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, runtime.L2(plainTier{&shared}), runtime.TTL(time.Hour)))
		_ = c.Set(t.Context(), 1, 1, runtime.Grace(time.Hour))
		_ = c.Set(t.Context(), 2, 1)
		if err := c.Expire(t.Context(), 1, 2, 3); err != nil {
			t.Fatal(err)
		}
		got, err := c.GetMany(t.Context(), []int{1, 2, 3}, runtime.AllowStale())
		if len(got) != 1 || got[1] != 1 || err != nil {
			t.Error(got, err)
		}
		v, ok, err := c.Pull(t.Context(), 1)
		if ok || err != nil {
			t.Error("pull takes fresh values only:", v, ok, err)
		}
		_ = c.Set(t.Context(), 1, 5)
		v, ok, err = c.Pull(t.Context(), 1)
		if !ok || v != 5 || err != nil {
			t.Error(v, ok, err)
		}
	})
}

// What is given twice is one thing to a driver, which need not take a key twice.
func TestWhatIsGivenTwiceCountsOnce(t *testing.T) {
	for name, do := range map[string]func(context.Context, *runtime.Store, *runtime.Cache[int, int], *source) error{
		"tags to delete": func(ctx context.Context, s *runtime.Store, _ *runtime.Cache[int, int], _ *source) error {
			return s.DeleteByTag(ctx, "t", "t")
		},
		"tags to expire": func(ctx context.Context, s *runtime.Store, _ *runtime.Cache[int, int], _ *source) error {
			return s.ExpireByTag(ctx, "t", "t")
		},
		"keys to delete": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int], _ *source) error {
			return c.DeleteMany(ctx, 7, 7)
		},
		"keys to expire": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int], _ *source) error {
			return c.Expire(ctx, 7, 7)
		},
		"tags of Set": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int], _ *source) error {
			return c.Set(ctx, 7, 1, runtime.Tags("u", "u"))
		},
		"tags of GetOrSet": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int], src *source) error {
			return errOf(c.GetOrSet(ctx, 8, src.load, runtime.Tags("u", "u")))
		},
		"tags of a loader": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int], src *source) error {
			return errOf(c.GetOrSet(ctx, 8, func(ctx context.Context) (int, error) {
				runtime.EntryOf(ctx).SetTags("u", "u")
				return 1, nil
			}))
		},
		"keys of GetMany": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int], _ *source) error {
			return errOf(c.GetMany(ctx, []int{8, 8}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStore(t, memoryTier(), runtime.L2(&faketier.Shared{}), runtime.Grace(time.Hour))
				c := newCache[int, int](t, s)
				if err := errors.Join(c.Set(t.Context(), 7, 1), do(t.Context(), s, c, &source{})); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The text of a key and what reads it, part by part.
func TestScannersRefuseWhatAppendersDoNotWrite(t *testing.T) {
	address := netip.MustParseAddr("2001:db8::1")
	text, err := gen.AppendKeyText([]byte("ip:"), address)
	if err != nil {
		t.Fatal(err)
	}
	var got netip.Addr
	if err := gen.ParseKey("ip:{ip}", string(text), &got); err != nil || got != address {
		t.Error(got, err)
	}
	if got := gen.KeyText(stockKey{7}); got != "stock:7" {
		t.Error(got)
	}
	if got := gen.KeyText(failingText{}); got != "(no text)" {
		t.Error(got)
	}
	if _, err := gen.AppendKeyText(nil, failingText{}); err == nil {
		t.Error("a text that fails")
	}
	var (
		n    int64
		n8   int8
		u    uint64
		u8   uint8
		b    bool
		str  string
		addr netip.Addr
	)
	for name, in := range map[string]struct {
		pattern, text string
		field         any
	}{
		"int":        {"{n}", "007", &n},
		"large int":  {"{n}", "300", &n8},
		"uint":       {"{n}", "-1", &u},
		"large uint": {"{n}", "300", &u8},
		"bool":       {"{b}", "TRUE", &b},
		"string":     {"{s}", "%4", &str},
		"escape":     {"{s}", "%zz", &str},
		"lower case": {"{s}", "%3a", &str},
		"text":       {"{a}", "nowhere", &addr},
		"no text":    {"{a}", "%4", &addr},
		"segment":    {"before-{s}", "x", &str},
		"literal":    {"other:{s}", "x:y", &str},
		"end":        {"x:{s}", "x", &str},
		"left over":  {"x:{s}", "x:y:z", &str},
	} {
		if gen.ParseKey(in.pattern, in.text, in.field) == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := gen.ParseKey("{b}:{u}", "true:12", &b, &u8); err != nil || !b || u8 != 12 {
		t.Errorf("%v, %d, %v: what is well written is refused", b, u8, err)
	}
}

type failingText struct{}

func (failingText) AppendText(b []byte) ([]byte, error) { return b, errNoText }
func (failingText) MarshalText() ([]byte, error)        { return nil, errNoText }

var errNoText = errors.New("no text")

// A key whose text fails, or that has none, is told by name, and does not keep the
// others of its batch from being invalidated.
func TestABadKeyAmongGoodOnes(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, in.tiers()))
		_ = c.Set(t.Context(), "a", 1)
		if err := c.DeleteMany(t.Context(), "", "a"); err == nil {
			t.Error("the empty key was taken")
		}
		if ok, _ := c.Has(t.Context(), "a"); ok {
			t.Error("the good one is there still")
		}
		bad := newCache[failingText, int](t, newStore(t, in.tiers()))
		if _, err := bad.GetMany(t.Context(), []failingText{{}}); !errors.Is(err, errNoText) {
			t.Error(err)
		}
		if _, err := bad.GetOrSetMany(t.Context(), []failingText{{}}, func(context.Context, []failingText) (map[failingText]int, error) { return nil, nil }); !errors.Is(err, errNoText) {
			t.Error(err)
		}
		if _, err := c.GetOrSetMany(t.Context(), []string{"a"}, nil); err == nil {
			t.Error("a nil loader was taken")
		}
		if _, err := c.GetOrSet(t.Context(), "a", nil); err == nil {
			t.Error("a nil loader was taken")
		}
		var unbound runtime.Cache[string, int]
		for _, err := range []error{
			errOf(unbound.GetMany(t.Context(), nil)),
			errOf(unbound.GetOrSetMany(t.Context(), nil, nil)),
			errOf(unbound.Has(t.Context(), "")), errOf(unbound.Missing(t.Context(), "")), errOf(unbound.Namespace("x")),
			unbound.Set(t.Context(), "", 1), unbound.Delete(t.Context(), ""), unbound.Expire(t.Context(), ""), unbound.Clear(t.Context()),
			unbound.Store().Namespace("").Clear(t.Context()), unbound.Store().DeleteByTag(t.Context()), unbound.Store().ExpireByTag(t.Context()),
		} {
			if !errors.Is(err, runtime.ErrNotBound) {
				t.Error(err)
			}
		}
		if _, ok := gen.HitInt(t.Context(), &unbound, 1); ok {
			t.Error("a hit of nothing")
		}
	})
}

func errOf[T any](_ T, err error) error { return err }

func TestErrorTexts(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&runtime.InvalidationError{Op: "delete", Store: "main", Targets: []string{"a", "b", "c", "d", "e"}, Err: errSource},
			"cachegen: delete a, b, c and 2 more in store main: source is down"},
		{&runtime.L2Error{Store: "main", Op: "read", Err: errSource}, "shared tier of store main: read: source is down"},
		{&runtime.PartialError{Err: errSource}, "source is down"},
	} {
		if test.err.Error() != test.want || !errors.Is(test.err, errSource) {
			t.Errorf("%q", test.err)
		}
	}
	if got := fmt.Sprint(event.L1, event.L2, event.Tier(9)); got != "L1 L2 Tier(9)" {
		t.Error(got)
	}
}
