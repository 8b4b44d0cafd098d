package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A sickBus is a bus that can hang.
type sickBus struct {
	faketier.Bus
	hangs atomic.Bool
}

func (b *sickBus) Publish(ctx context.Context, channel string, message []byte) error {
	if b.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return b.Bus.Publish(ctx, channel, message)
}

// hangs makes operations of a tier wait until they are given up, while it is true.
func hangs(shared *faketier.Shared) *atomic.Bool {
	var hangs atomic.Bool
	shared.SetBefore(func(ctx context.Context, _ string, _ []string) error {
		if hangs.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	return &hangs
}

// openFunctions opens n cached functions of a store, Load0 and so on, whose entries have the tag
// "all".
func openFunctions(t *testing.T, stores runtime.Stores, store string, n int) []*runtime.Cache[int, int] {
	t.Helper()
	var all []*runtime.Cache[int, int]
	for i := range n {
		c, err := open(stores, definition[int, int]{
			Name: fmt.Sprintf("%s.Load%d", store, i), Pattern: fmt.Sprintf("%d:{id}", i), Store: store, Namespace: fmt.Sprint(i),
			Tags: func(int) []runtime.Tag { return []runtime.Tag{"all"} },
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// Who writes has changed a database and waits. However many targets in however many stores there
// are, and whatever hangs, that is for one L2Timeout.
func TestAWriteOfManyTargetsTakesOneTimeLimit(t *testing.T) {
	for name, sick := range map[string]struct{ tier, bus bool }{"tier": {true, false}, "bus": {false, true}, "both": {true, true}} {
		t.Run(name, func(t *testing.T) {
			mayTell(t, append(theSharedTierFails, "bus", "pending", "invalidation")...)
			bubble(t, func(t *testing.T) {
				var shared [2]faketier.Shared
				var bus [2]sickBus
				tiers := []*atomic.Bool{hangs(&shared[0]), hangs(&shared[1])}
				var made []*runtime.Store
				for i, name := range []string{"main", "second"} {
					made = append(made, newNamed(t, name, memoryTier(), runtime.L2(&shared[i]), runtime.Bus(&bus[i])))
				}
				stores, err := runtime.NewStores(made[0], made[1])
				if err != nil {
					t.Fatal(err)
				}
				caches := append(openFunctions(t, stores, "main", 6), openFunctions(t, stores, "second", 2)...)
				ctx := t.Context()
				var targets []gen.Target
				for i, c := range caches {
					if err := c.Set(ctx, 1, 1); err != nil {
						t.Fatal(err)
					}
					targets = append(targets, gen.Delete(c, 1, 2, 3), gen.DeleteByTag(c, "all", "other"))
					switch i % 3 {
					case 0:
						targets = append(targets, gen.Expire(c, 4), gen.ExpireByTag(c, "another"))
					case 1:
						targets = append(targets, gen.Set(c, 5, 5), gen.Clear(c, "1"))
					default:
						targets = append(targets, gen.Call(func(ctx context.Context) error { return c.Delete(ctx, 6) }))
					}
				}
				if len(targets) < 20 {
					t.Fatal(len(targets))
				}
				synctest.Wait()
				for i := range tiers {
					tiers[i].Store(sick.tier)
					bus[i].hangs.Store(sick.bus)
				}
				began := time.Now()
				err = gen.Write(ctx, gen.Writer{Function: "app.Save"}, targets...)
				took, want := time.Since(began), time.Second
				if !sick.bus {
					want = 750 * time.Millisecond
				}
				var failed *runtime.InvalidationError
				if took != want || !errors.As(err, &failed) || failed.Function != "app.Save" {
					t.Errorf("after %v: %v", took, err)
				}
				for i := range tiers {
					tiers[i].Store(false)
					bus[i].hangs.Store(false)
				}
				for i, c := range caches {
					if v, ok, err := c.Get(ctx, 1); ok || err != nil {
						t.Errorf("cache %d: %d, %v", i, v, err)
					}
				}
				time.Sleep(time.Minute)
				for i, c := range caches {
					if v, ok, err := c.Get(ctx, 1); ok || err != nil {
						t.Errorf("cache %d, later: %d, %v", i, v, err)
					}
				}
			})
		})
	}
}

// A cached function of another package is not another write.
func TestAWriteThatIsPartOfAnotherHasItsTimeAndItsName(t *testing.T) {
	mayTell(t, append(theSharedTierFails, "pending", "invalidation")...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		sick := hangs(&shared)
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		sick.Store(true)
		began := time.Now()
		err := gen.Write(t.Context(), gen.Writer{Function: "app.Save", Errors: gen.LogErrors}, gen.Call(func(ctx context.Context) error {
			time.Sleep(400 * time.Millisecond)
			return gen.Each([]int{1, 2, 3}, func(id int) error { return c.Delete(ctx, id) })
		}))
		if took := time.Since(began); err != nil || took != time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		sick.Store(false)
		time.Sleep(time.Minute)
	})
}

// One target that fails keeps no other from being changed.
func TestAWriteChangesEveryTargetAlthoughAnotherFails(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers(), runtime.TTL(time.Hour), runtime.Grace(time.Hour))
		good, strange := newCache[string, int](t, s), newCache[strangeKey, int](t, s.Namespace("strange"))
		ctx := t.Context()
		for key, tag := range map[string]runtime.Tag{"delete": "a", "tag": "b", "expire": "c", "set": "d", "call": "e"} {
			if err := good.Set(ctx, key, 1, runtime.Tags(tag)); err != nil {
				t.Fatal(err)
			}
		}
		unbound := declare(definition[int, int]{Name: "unbound"})
		errCall := errors.New("the other package fails")
		err := gen.Write(ctx, gen.Writer{Function: "app.Save"},
			gen.Delete(unbound, 1), gen.Set(unbound, 1, 1), gen.DeleteByTag(unbound, "a"), gen.Clear(unbound, "a"),
			gen.Delete(strange, "bad", "good"), gen.Set(strange, "bad", 1),
			gen.Call(func(ctx context.Context) error { return errors.Join(errCall, good.Delete(ctx, "call")) }),
			gen.Delete(good, "delete"), gen.DeleteByTag(good, "b"), gen.Expire(good, "expire"), gen.Set(good, "set", 2),
		)
		if !errors.Is(err, runtime.ErrNotBound) || !errors.Is(err, errCall) || strings.Count(err.Error(), "write a key") != 2 {
			t.Error(err)
		}
		for key, want := range map[string]int{"delete": 0, "tag": 0, "expire": 0, "call": 0, "set": 2} {
			if v, _, err := good.Get(ctx, key); v != want || err != nil {
				t.Errorf("%s: %d, %v", key, v, err)
			}
		}
		if v, ok, _ := good.Get(ctx, "expire", runtime.AllowStale()); !ok || v != 1 {
			t.Error("what was to expire is gone")
		}
		if err := gen.Write(ctx, gen.Writer{}); err != nil {
			t.Error(err)
		}
	})
}

// A strangeKey cannot be written if it is bad.
type strangeKey string

func (k strangeKey) AppendText(b []byte) ([]byte, error) {
	if k == "bad" {
		return nil, errSource
	}
	return append(b, k...), nil
}

// What is set has a tag that the same write deletes: it is newer, and stays.
func TestAWriteSetsAfterItHasInvalidated(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		ctx := t.Context()
		for range 20 {
			if err := c.Set(ctx, 2, 1, runtime.Tags("team")); err != nil {
				t.Fatal(err)
			}
			err := gen.Write(ctx, gen.Writer{Function: "app.Save"}, gen.Set(c, 1, 2), gen.DeleteByTag(c, "team"), gen.Delete(c, 1))
			if v, _, errGet := c.Get(ctx, 1); v != 2 || err != nil || errGet != nil {
				t.Fatal(v, err, errGet)
			}
			if v, ok, _ := c.Get(ctx, 2); ok {
				t.Fatal(v)
			}
		}
	})
}

func TestAPanicInOneTargetReachesTheCallerWhenTheOthersAreDone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache[int, int](t, newStore(t, memoryTier()))
		if err := c.Set(t.Context(), 1, 1); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if p := recover(); p != "theirs" {
				t.Errorf("panicked with %v", p)
			}
			if _, ok, _ := c.Get(t.Context(), 1); ok {
				t.Error("the other was not deleted")
			}
		}()
		_ = gen.Write(t.Context(), gen.Writer{}, gen.Call(func(context.Context) error { panic("theirs") }), gen.Delete(c, 1))
	})
}

// InvalidationErrors holds at each level, and the most special one wins. What is logged is told to
// hooks, and is carried out later.
func TestWhatBecomesOfInvalidationErrorsIsSaidAtEveryLevel(t *testing.T) {
	errDown := errors.New("down")
	for name, test := range map[string]struct {
		store, defaults, directive, options, call []runtime.Option
		writer                                    gen.InvalidationErrors
		// Which of them return nil: a deletion, a set with the call's options, a writer, and an
		// invalidation by tag and of the namespace.
		deletes, set, write, tag bool
	}{
		"nobody says anything":   {},
		"the store":              {store: []runtime.Option{runtime.Log}, deletes: true, set: true, write: true, tag: true},
		"as it is written":       {store: []runtime.Option{runtime.InvalidationErrors(runtime.Log)}, deletes: true, set: true, write: true, tag: true},
		"the defaults":           {defaults: []runtime.Option{runtime.Log}, deletes: true, set: true, write: true, tag: true},
		"the directive":          {directive: []runtime.Option{runtime.Log}, deletes: true, set: true, write: true},
		"the options":            {options: []runtime.Option{runtime.Log}, deletes: true, set: true, write: true},
		"the call":               {call: []runtime.Option{runtime.Log}, set: true},
		"the writer":             {writer: gen.LogErrors, write: true},
		"the writer reports":     {store: []runtime.Option{runtime.Log}, writer: gen.ReportErrors, deletes: true, set: true, tag: true},
		"the directive reports":  {store: []runtime.Option{runtime.Log}, directive: []runtime.Option{runtime.Report}, tag: true},
		"the call reports":       {store: []runtime.Option{runtime.Log}, call: []runtime.Option{runtime.Report}, deletes: true, write: true, tag: true},
		"the store, not default": {defaults: []runtime.Option{runtime.Log}, store: []runtime.Option{runtime.Report}},
	} {
		t.Run(name, func(t *testing.T) {
			mayTell(t, append(theSharedTierFails, "pending", "invalidation")...)
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				of := []runtime.StoreOption{memoryTier(), runtime.L2(&shared)}
				for _, o := range test.store {
					of = append(of, o)
				}
				s := newStore(t, of...)
				stores, err := runtime.NewStores(s)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range test.defaults {
					if err := stores.SetDefaults(o); err != nil {
						t.Fatal(err)
					}
				}
				c, err := open(stores, definition[int, int]{Name: "app.Load", Options: test.directive, Namespace: "n"})
				if err != nil {
					t.Fatal(err)
				}
				if err := stores.SetOptions("app.Load", test.options...); err != nil {
					t.Fatal(err)
				}
				var call []runtime.CallOption
				for _, o := range test.call {
					call = append(call, o)
				}
				ctx := t.Context()
				shared.Down(errDown)
				for what, did := range map[string]struct {
					err    error
					silent bool
				}{
					"delete":       {c.Delete(ctx, 1), test.deletes},
					"expire":       {c.Expire(ctx, 1), test.deletes},
					"invalidate":   {c.Invalidate(ctx, []int{1}, []runtime.Tag{"x"}), test.deletes},
					"clear":        {c.Clear(ctx), test.deletes},
					"set":          {c.Set(ctx, 1, 1, call...), test.set},
					"writer":       {gen.Write(ctx, gen.Writer{Function: "app.Save", Errors: test.writer}, gen.Delete(c, 1)), test.write},
					"tag":          {s.DeleteByTag(ctx, "x"), test.tag},
					"expire tag":   {s.ExpireByTag(ctx, "x"), test.tag},
					"namespace":    {s.Namespace("n").Clear(ctx), test.tag},
					"whole store":  {s.Clear(ctx), test.tag},
					"tag, writer":  {gen.Write(ctx, gen.Writer{Errors: test.writer}, gen.DeleteByTag(c, "x")), test.write},
					"clear, there": {gen.Write(ctx, gen.Writer{Errors: test.writer}, gen.Clear(c, "n")), test.write},
				} {
					var failed *runtime.InvalidationError
					if did.silent && did.err != nil || !did.silent && (!errors.As(did.err, &failed) || !errors.Is(did.err, errDown)) {
						t.Errorf("%s: %v", what, did.err)
					}
				}
				shared.Down(nil)
				time.Sleep(time.Minute)
				if got, err := c.GetOrSet(ctx, 1, func(context.Context) (int, error) { return 2, nil }); got != 2 {
					t.Error("it is never carried out:", got, err)
				}
			})
		})
	}
}

// What comes after Close is an error in any case, and so is a key that cannot be written.
func TestWhatCannotBeTriedLaterIsReportedInAnyCase(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		s := newStore(t, in.tiers(), runtime.Log)
		c := newCache[strangeKey, int](t, s)
		if err := c.Invalidate(t.Context(), []strangeKey{"bad", "good"}, nil); !errors.Is(err, errSource) {
			t.Error(err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Invalidate(t.Context(), []strangeKey{"good"}, []runtime.Tag{"x"}); !errors.Is(err, runtime.ErrClosed) {
			t.Error(err)
		}
		if err := gen.Write(t.Context(), gen.Writer{Errors: gen.LogErrors}, gen.Delete(c, "good")); !errors.Is(err, runtime.ErrClosed) {
			t.Error(err)
		}
	})
}

// An unknown value of the option is refused.
func TestInvalidationErrorsAreReportedOrLogged(t *testing.T) {
	if s, err := runtime.NewStore("test", memoryTier(), runtime.InvalidationErrors(7)); err == nil || !strings.Contains(err.Error(), "neither Report nor Log") {
		t.Error(s, err)
	}
}
