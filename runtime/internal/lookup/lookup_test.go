package lookup_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("the source is down")

// A source is what loaders read. The zero source answers at once.
type source struct {
	value atomic.Value // string
	delay atomic.Int64
	fails atomic.Bool
	loads atomic.Int64
}

func (s *source) load(ctx context.Context, keys []*load.Key) error {
	s.loads.Add(1)
	v, _ := s.value.Load().(string)
	select {
	case <-time.After(time.Duration(s.delay.Load())):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.fails.Load() {
		return errDown
	}
	return storetest.Returns(v)(ctx, keys)
}

// A fixture is a store with a cache of values from a source.
type fixture struct {
	*storetest.Store
	source
	rq load.Request
}

func fixtureOf(t *testing.T, c store.Config, p policy.Policy) *fixture {
	t.Helper()
	f := &fixture{Store: storetest.New(t, c)}
	f.value.Store("v")
	f.rq = load.Request{Kind: f.Kind(""), Policy: p, Load: f.load}
	return f
}

// get looks k up, and returns what the caller got.
func (f *fixture) get(t *testing.T) string {
	t.Helper()
	it, err := f.GetOrSet(t.Context(), f.rq, "k")
	return said(it, err)
}

func said(it *entry.Item, err error) string {
	if err != nil {
		return err.Error()
	}
	v, _ := it.Value.(string)
	return v
}

func (f *fixture) wants(t *testing.T, value string, loads int64) {
	t.Helper()
	if got := f.get(t); got != value || f.loads.Load() != loads {
		t.Errorf("got %s after %d loads, want %s after %d", got, f.loads.Load(), value, loads)
	}
}

var (
	memoryOnly = func() store.Config { return store.Config{L1: storetest.L1()} }
	hour       = policy.Policy{TTL: time.Hour, GraceBackoff: 10 * time.Second, SuppressL2Errors: true}
)

// race R8, R10: one load at a time, in every shape of store, however many callers come and
// however often it fails.
func TestManyCallersShareOneLoadInEveryShapeOfStore(t *testing.T) {
	for name, c := range map[string]func() store.Config{
		"memory":         memoryOnly,
		"memory and bus": func() store.Config { return store.Config{L1: storetest.L1(), Bus: &faketier.Bus{}} },
		"shared":         func() store.Config { return store.Config{L2: &faketier.Shared{}} },
		"shared and bus": func() store.Config { return store.Config{L2: &faketier.Shared{}, Bus: &faketier.Bus{}} },
		"both":           func() store.Config { return store.Config{L1: storetest.L1(), L2: &faketier.Shared{}} },
		"both and bus": func() store.Config {
			return store.Config{L1: storetest.L1(), L2: &faketier.Shared{}, Bus: &faketier.Bus{}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := fixtureOf(t, c(), hour)
				f.delay.Store(int64(time.Second))
				for _, fails := range []bool{true, false} {
					f.fails.Store(fails)
					f.loads.Store(0)
					var wg sync.WaitGroup
					for range 50 {
						wg.Go(func() {
							want := "v"
							if fails {
								want = errDown.Error()
							}
							if got := f.get(t); got != want {
								t.Errorf("got %s, want %s", got, want)
							}
						})
					}
					wg.Wait()
					if n := f.loads.Load(); n != 1 {
						t.Errorf("fails %v: %d loads", fails, n)
					}
				}
				f.wants(t, "v", 1)
				if lines := slices.Concat(f.Lines("warn"), f.Lines("breaker")); lines != nil {
					t.Errorf("%q", lines)
				}
			})
		})
	}
}

func TestALookupSaysWhereItsValueIsFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		p := hour
		p.Grace = time.Hour
		f, other := fixtureOf(t, store.Config{L1: storetest.L1(), L2: &shared}, p), fixtureOf(t, store.Config{L1: storetest.L1(), L2: &shared}, p)
		other.wants(t, "v", 1)
		f.wants(t, "v", 0)
		f.wants(t, "v", 0)
		time.Sleep(time.Hour)
		if got := f.get(t); got != "v" { // stale, and loaded in the background
			t.Error(got)
		}
		if got := f.Lines("hit"); !slices.Equal(got, []string{"k L2", "k L1", "k L1 stale"}) || f.Lines("miss") != nil {
			t.Errorf("%q, %q", got, f.Lines("miss"))
		}
		if got := other.Lines("miss"); !slices.Equal(got, []string{"k"}) {
			t.Errorf("%q", got)
		}
	})
}

// race R11: a caller that gives up does not fail the others, who get the value of the same
// load.
func TestACallerThatGivesUpDoesNotFailTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fixtureOf(t, memoryOnly(), hour)
		f.delay.Store(int64(10 * time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			began := time.Now()
			if _, err := f.GetOrSet(ctx, f.rq, "k"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("the leader: %v after %v", err, time.Since(began))
			}
		})
		synctest.Wait()
		f.wants(t, "v", 1)
		wg.Wait()
	})
}

// When nobody waits any more, the load is cancelled, and the key is free.
func TestALoadWhoseWaitersLeaveIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fixtureOf(t, memoryOnly(), hour)
		f.delay.Store(int64(time.Hour))
		var wg sync.WaitGroup
		for i := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
			defer cancel()
			wg.Go(func() { _, _ = f.GetOrSet(ctx, f.rq, "k") })
		}
		time.Sleep(3*time.Second - 1)
		synctest.Wait()
		if f.Lines("loaded") != nil {
			t.Error("cancelled although one waits")
		}
		wg.Wait()
		synctest.Wait()
		if got := f.Lines("loaded"); len(got) != 1 {
			t.Errorf("%q", got)
		}
		f.delay.Store(0)
		f.wants(t, "v", 2)
	})
}

// race R7: the soft timeout serves what is stale, and the load keeps its key.
func TestAfterTheSoftTimeoutTheStaleValueIsServedAndTheLoadGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hour
		p.Grace, p.SoftTimeout = time.Hour, 100*time.Millisecond
		f := fixtureOf(t, memoryOnly(), p)
		f.wants(t, "v", 1)
		time.Sleep(time.Hour)
		f.value.Store("new")
		f.delay.Store(int64(time.Second))
		for range 3 {
			began := time.Now()
			f.wants(t, "v", 2)
			if took := time.Since(began); took != 100*time.Millisecond {
				t.Error(took)
			}
		}
		time.Sleep(time.Second)
		f.wants(t, "new", 2)
	})
}

func TestWithoutASoftTimeoutTheStaleValueIsServedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hour
		p.Grace = time.Hour
		f := fixtureOf(t, memoryOnly(), p)
		f.wants(t, "v", 1)
		time.Sleep(time.Hour)
		f.value.Store("new")
		f.delay.Store(int64(time.Second))
		if got := f.get(t); got != "v" {
			t.Error(got)
		}
		time.Sleep(2 * time.Second)
		f.wants(t, "new", 2)
		if got := f.Lines("loaded"); len(got) != 2 || got[1] != "k refresh background" {
			t.Errorf("%q", got)
		}
	})
}

// race R7: a loader that ignores its hard timeout holds its key, not its callers.
func TestAfterTheHardTimeoutNobodyWaitsAndNobodyLoadsBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hour
		p.HardTimeout = time.Second
		f := fixtureOf(t, memoryOnly(), p)
		release := make(chan struct{})
		f.rq.Load = func(ctx context.Context, keys []*load.Key) error {
			f.loads.Add(1)
			<-release // whatever ctx says
			return storetest.Returns("late")(ctx, keys)
		}
		for range 3 { // the first leads, the others wait for the key
			began := time.Now()
			f.wants(t, load.ErrTimeout.Error(), 1)
			if took := time.Since(began); took != time.Second {
				t.Error(took)
			}
		}
		close(release)
		synctest.Wait()
		f.wants(t, "late", 1)
	})
}

// race R17: after the lock timeout a caller loads beside the other, and no third load runs.
func TestAfterTheLockTimeoutACallerLoadsBesideTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hour
		p.LockTimeout = time.Second
		f := fixtureOf(t, memoryOnly(), p)
		f.delay.Store(int64(10 * time.Minute))
		go f.get(t)
		synctest.Wait()
		f.value.Store("beside")
		f.delay.Store(int64(500 * time.Millisecond))
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				began := time.Now()
				if got := f.get(t); got != "beside" || time.Since(began) != 1500*time.Millisecond {
					t.Errorf("%s after %v", got, time.Since(began))
				}
			})
		}
		wg.Wait()
		if n := f.loads.Load(); n != 2 {
			t.Errorf("%d loads", n)
		}
		time.Sleep(10 * time.Minute)
		f.wants(t, "beside", 2) // the slow one has not replaced it
	})
}

// A caller gets nothing that was invalidated before it came.
func TestACallerWhoComesAfterAnInvalidationGetsANewLoad(t *testing.T) {
	for name, invalidate := range map[string]func(*fixture) error{
		"delete": func(f *fixture) error {
			return f.Invalidate.Delete(context.Background(), []string{"k"}, invalidate.Mode{})
		},
		"by tag": func(f *fixture) error {
			return f.Invalidate.DeleteByTag(context.Background(), []string{"x"}, invalidate.Mode{})
		},
		"clear": func(f *fixture) error {
			return f.Invalidate.Clear(context.Background(), entry.Cache{}, invalidate.Mode{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, c := range []store.Config{memoryOnly(), {L2: &faketier.Shared{}}} {
					f := fixtureOf(t, c, hour)
					get := func() string { return said(f.GetOrSet(t.Context(), f.rq, "k", "x")) }
					f.value.Store("old")
					f.delay.Store(int64(time.Second))
					var wg sync.WaitGroup
					wg.Go(func() {
						if got := get(); got != "old" {
							t.Error("who came before gets", got)
						}
					})
					synctest.Wait()
					f.value.Store("new")
					if err := invalidate(f); err != nil {
						t.Fatal(err)
					}
					if got := get(); got != "new" {
						t.Error("who came after gets", got)
					}
					wg.Wait()
					if got := get(); got != "new" || f.loads.Load() != 2 {
						t.Errorf("%s is kept, after %d loads", got, f.loads.Load())
					}
				}
			})
		})
	}
}

// A fresh load was asked for: what is being loaded is older than that.
func TestAForcedLookupDoesNotShareAnEarlierLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fixtureOf(t, memoryOnly(), hour)
		f.value.Store("old")
		f.delay.Store(int64(time.Second))
		go f.get(t)
		synctest.Wait()
		f.value.Store("new")
		forced := f.rq
		forced.ForceFresh = true
		if got := said(f.GetOrSet(t.Context(), forced, "k")); got != "new" {
			t.Error(got)
		}
		time.Sleep(time.Minute)
		f.wants(t, "new", 2)
	})
}

func TestWhenALoadFailsTheStaleValueIsServedForItsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hour
		p.Grace, p.SoftTimeout = time.Hour, time.Second
		f := fixtureOf(t, memoryOnly(), p)
		f.wants(t, "v", 1)
		time.Sleep(time.Hour + 30*time.Minute)
		f.fails.Store(true)
		f.wants(t, "v", 2)
		f.wants(t, "v", 2) // race R9: from the failure on
		time.Sleep(10 * time.Second)
		f.wants(t, "v", 3)
		forced := f.rq
		forced.ForceFresh = true
		if got := said(f.GetOrSet(t.Context(), forced, "k")); got != "v" || f.loads.Load() != 4 {
			t.Errorf("a forced load that fails: %s after %d loads", got, f.loads.Load())
		}
		time.Sleep(30 * time.Minute)
		f.wants(t, errDown.Error(), 5)
	})
}

// race R16: a failure is shared with those who wait, and remembered if that is asked for.
func TestAFailureIsRememberedForItsErrorTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hour
		p.ErrorTTL = time.Minute
		f := fixtureOf(t, memoryOnly(), p)
		f.fails.Store(true)
		f.wants(t, errDown.Error(), 1)
		f.wants(t, errDown.Error(), 1)
		time.Sleep(time.Minute)
		f.wants(t, errDown.Error(), 2)
		if err := f.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{}); err != nil {
			t.Fatal(err)
		}
		f.fails.Store(false)
		f.wants(t, "v", 3)
	})
}

func TestAValueThatIsDueIsServedAndRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hour
		p.Refresh = policy.Span{Percent: 50}
		f := fixtureOf(t, memoryOnly(), p)
		f.wants(t, "v", 1)
		time.Sleep(30 * time.Minute)
		f.value.Store("new")
		f.delay.Store(int64(time.Second))
		for range 5 {
			if got := f.get(t); got != "v" {
				t.Error(got)
			}
		}
		time.Sleep(2 * time.Second)
		f.wants(t, "new", 2)
	})
}

// Too much in the background is not begun: what is there is served.
func TestWithoutAPlaceInTheBackgroundNothingIsRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hour
		p.Grace = time.Hour
		c := memoryOnly()
		c.Background = 1
		f := fixtureOf(t, c, p)
		f.wants(t, "v", 1)
		time.Sleep(time.Hour)
		place := f.Work.Place("another function")
		place.TryAcquire()
		f.wants(t, "v", 1)
		synctest.Wait()
		f.wants(t, "v", 1)
		place.Release()
		f.get(t)
		synctest.Wait()
		f.wants(t, "v", 2)
	})
}

// A loader that asks for its own key would wait for itself.
func TestALoaderThatAsksForItsOwnKeyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hour
		p.Grace = time.Hour
		f := fixtureOf(t, memoryOnly(), p)
		inner := f.rq
		var got []string
		f.rq.Load = func(ctx context.Context, keys []*load.Key) error {
			for range 2 {
				got = append(got, said(f.GetOrSet(ctx, inner, "k")))
			}
			return storetest.Returns("outer")(ctx, keys)
		}
		f.wants(t, "outer", 0)
		if want := load.ErrRecursive.Error(); !slices.Equal(got, []string{want, want}) {
			t.Errorf("%q", got)
		}
	})
}

func TestGetNeverLoadsAndKeepsInMemoryWhatItFinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		p := hour
		p.Grace = time.Hour
		f, other := fixtureOf(t, store.Config{L1: storetest.L1(), L2: &shared}, p), fixtureOf(t, store.Config{L2: &shared}, p)
		other.wants(t, "v", 1)
		get := func(allowStale bool) (values []any, err error) {
			items, err := f.Lookups.Get(t.Context(), &f.rq, []load.Query{f.Query("k"), f.Query("never")}, allowStale)
			for _, it := range items {
				if it == nil {
					values = append(values, nil)
				} else {
					values = append(values, it.Value)
				}
			}
			return values, err
		}
		if got, err := get(false); err != nil || got[0] != "v" || got[1] != nil {
			t.Error(got, err)
		}
		shared.Evict("k")
		if got, err := get(false); err != nil || got[0] != "v" {
			t.Error("not kept in memory:", got, err)
		}
		time.Sleep(time.Hour)
		if got, _ := get(false); got[0] != nil {
			t.Error("a stale value, though none was allowed:", got)
		}
		if got, _ := get(true); got[0] != "v" {
			t.Error("no stale value, though one was allowed:", got)
		}
		if f.loads.Load() != 0 {
			t.Error("loaded")
		}
		shared.Down(errDown)
		if got, err := get(true); err != nil || got[0] != "v" {
			t.Error(got, err)
		}
		f.rq.Policy.SuppressL2Errors = false
		if _, err := get(true); !errors.Is(err, errDown) {
			t.Error(err)
		}
		shared.Down(nil)
	})
}

func TestAStaleValueOfTheSharedTierIsReadIfThatIsAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		p := hour
		p.Grace = time.Hour
		f, other := fixtureOf(t, store.Config{L2: &shared}, p), fixtureOf(t, store.Config{L2: &shared}, p)
		other.wants(t, "v", 1)
		time.Sleep(time.Hour)
		for _, allow := range []bool{false, true} {
			items, err := f.Lookups.Get(t.Context(), &f.rq, []load.Query{f.Query("k")}, allow)
			if err != nil || (items[0] != nil) != allow {
				t.Error(allow, items, err)
			}
		}
		if got := f.Lines("hit"); !slices.Equal(got, []string{"k L2 stale"}) {
			t.Errorf("%q", got)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := f.Lookups.Get(gone, &f.rq, []load.Query{f.Query("k")}, false); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestSeveralKeysShareOneReadAndOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		f := fixtureOf(t, store.Config{L1: storetest.L1(), L2: &shared}, hour)
		f.rq.Many = true
		var loaded [][]string
		f.rq.Load = func(_ context.Context, keys []*load.Key) error {
			var names []string
			for _, k := range keys {
				names = append(names, k.Key)
				if k.Key != "none" {
					k.SetValue("v of " + k.Key)
				}
			}
			loaded = append(loaded, names)
			return nil
		}
		many := func(keys ...string) (got []string) {
			var queries []load.Query
			for i, key := range keys {
				q := f.Query(key)
				q.Index = i
				queries = append(queries, q)
			}
			results, err := f.Lookups.GetOrSetMany(t.Context(), &f.rq, queries)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				got = append(got, said(r.Item, r.Err))
			}
			return got
		}
		if got := many("a", "b"); !slices.Equal(got, []string{"v of a", "v of b"}) || shared.Calls("get") != 1 {
			t.Errorf("%q, %d reads", got, shared.Calls("get"))
		}
		if got := many("a", "none", "c"); !slices.Equal(got, []string{"v of a", load.ErrNotLoaded.Error(), "v of c"}) {
			t.Errorf("%q", got)
		}
		if want := [][]string{{"a", "b"}, {"none", "c"}}; !slices.EqualFunc(loaded, want, slices.Equal[[]string]) {
			t.Errorf("%q, want %q", loaded, want)
		}
	})
}

func TestAClosedStoreAnswersNoLookup(t *testing.T) {
	f := fixtureOf(t, memoryOnly(), hour)
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.get(t); got != background.ErrClosed.Error() {
		t.Error(got)
	}
	if _, err := f.Lookups.GetOrSetMany(t.Context(), &f.rq, []load.Query{f.Query("k")}); err != background.ErrClosed {
		t.Error(err)
	}
	if items, err := f.Lookups.Get(t.Context(), &f.rq, []load.Query{f.Query("k")}, true); err != background.ErrClosed || len(items) != 1 {
		t.Error(items, err)
	}
}

func TestACallerThatIsGoneAlreadyLoadsNothing(t *testing.T) {
	f := fixtureOf(t, memoryOnly(), hour)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := f.GetOrSet(gone, f.rq, "k"); err != context.Canceled || f.loads.Load() != 0 {
		t.Error(err, f.loads.Load())
	}
	defer func() {
		if recover() == nil {
			t.Error("a nil context did not panic here")
		}
	}()
	var none context.Context // what a careless caller has
	_, _ = f.GetOrSet(none, f.rq, "k")
}

// What a flight could not do for its leader's call, another call's own load may.
func TestACallerForWhomAnotherLoadIsNoAnswerLoadsItself(t *testing.T) {
	for name, test := range map[string]struct {
		leader func(*fixture, *load.Request)
		want   string // of the leader
		away   bool   // the shared tier does not answer
	}{
		"a forced load that failed": {func(f *fixture, rq *load.Request) {
			rq.ForceFresh = true
			rq.Load = func(context.Context, []*load.Key) error {
				time.Sleep(time.Second)
				return errDown
			}
		}, errDown.Error(), false},
		"a batch that has not returned the key": {func(f *fixture, rq *load.Request) {
			rq.Many = true
			rq.Load = func(context.Context, []*load.Key) error {
				time.Sleep(time.Second)
				return nil
			}
		}, load.ErrNotLoaded.Error(), false},
		"one that may not go without the shared tier": {func(f *fixture, rq *load.Request) {
			rq.Policy.SuppressL2Errors = false
		}, "cachegen: shared tier: read: context deadline exceeded", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var shared faketier.Shared
				f := fixtureOf(t, store.Config{L1: storetest.L1(), L2: &shared}, hour)
				if test.away {
					shared.SetBefore(func(ctx context.Context, _ string, _ []string) error {
						<-ctx.Done()
						return ctx.Err()
					})
				}
				rq := f.rq
				test.leader(f, &rq)
				var wg sync.WaitGroup
				wg.Go(func() {
					if got := said(f.GetOrSet(t.Context(), rq, "k")); got != test.want {
						t.Errorf("the leader: %s, want %s", got, test.want)
					}
				})
				synctest.Wait()
				f.wants(t, "v", 1)
				wg.Wait()
				synctest.Wait() // for what gives leases back
				shared.SetBefore(nil)
			})
		})
	}
}

// A reader of a stale value that somebody else found gets it, too, after its own patience.
func TestTheFallbackThatAFlightFindsIsForThoseWhoJoinIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		p := hour
		p.Grace, p.SoftTimeout = time.Hour, 100*time.Millisecond
		f, other := fixtureOf(t, store.Config{L1: storetest.L1(), L2: &shared}, p), fixtureOf(t, store.Config{L2: &shared}, p)
		other.wants(t, "v", 1)
		time.Sleep(time.Hour)
		f.value.Store("new")
		f.delay.Store(int64(time.Second))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				began := time.Now()
				if got := f.get(t); got != "v" || time.Since(began) != 100*time.Millisecond {
					t.Errorf("%s after %v", got, time.Since(began))
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		f.wants(t, "new", 1)
	})
}

// race R17: who waits for a key that is not free yet gives up with its own hard timeout, and
// is served what is stale if there is something.
func TestWhoWaitsForAKeyToBeFreeIsServedWhatIsStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hour
		p.Grace, p.SoftTimeout, p.HardTimeout = time.Hour, 100*time.Millisecond, time.Second
		c := memoryOnly()
		c.MaxLoadTime = 24 * time.Hour
		f := fixtureOf(t, c, p)
		f.wants(t, "v", 1)
		time.Sleep(time.Hour)
		release := make(chan struct{})
		f.rq.Load = func(ctx context.Context, keys []*load.Key) error {
			f.loads.Add(1)
			<-release
			return storetest.Returns("late")(ctx, keys)
		}
		f.wants(t, "v", 2)
		time.Sleep(2 * time.Second) // its hard timeout is over, and it goes on
		f.wants(t, "v", 2)
		time.Sleep(time.Hour) // and so is the grace
		f.wants(t, "cachegen: load timed out", 2)
		close(release)
		synctest.Wait()
	})
}

// race R15: a loader's panic is its leader's, and an error for those who wait.
func TestALoadersPanicIsItsLeadersAndAnErrorForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fixtureOf(t, memoryOnly(), hour)
		rq := f.rq
		rq.Load = func(context.Context, []*load.Key) error {
			time.Sleep(time.Second)
			panic("boom")
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() {
				if p, ok := recover().(*storetest.Panic); !ok || p.Value != "boom" {
					t.Errorf("the leader got %v", p)
				}
			}()
			_, _ = f.Lookups.GetOrSetMany(t.Context(), &rq, []load.Query{f.Query("k"), f.Query("other")})
			t.Error("no panic")
		})
		synctest.Wait()
		var failed *storetest.Panic
		if _, err := f.GetOrSet(t.Context(), f.rq, "other"); !errors.As(err, &failed) {
			t.Error("who waited got", err)
		}
		wg.Wait()
		f.wants(t, "v", 1)
	})
}

// Nor is a failure from before an invalidation an answer to who comes after it.
func TestAFailureFromBeforeAnInvalidationIsNoAnswerAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fixtureOf(t, memoryOnly(), hour)
		f.Stamps.Cell("t:x")
		rq := f.rq
		rq.Load = func(context.Context, []*load.Key) error {
			time.Sleep(time.Second)
			return errDown
		}
		go func() { _, _ = f.GetOrSet(t.Context(), rq, "k", "x") }()
		synctest.Wait()
		if got := said(f.GetOrSet(t.Context(), f.rq, "k", "x")); got != errDown.Error() { // it shares the failure
			t.Error(got)
		}
		go func() { _, _ = f.GetOrSet(t.Context(), rq, "k", "x") }()
		synctest.Wait()
		if err := f.Invalidate.DeleteByTag(t.Context(), []string{"x"}, invalidate.Mode{}); err != nil {
			t.Fatal(err)
		}
		if got := said(f.GetOrSet(t.Context(), f.rq, "k", "x")); got != "v" || f.loads.Load() != 1 {
			t.Errorf("%s after %d loads", got, f.loads.Load())
		}
	})
}

// The lock timeout is for those who wait for another's load.
func TestALeaderDoesNotLoadBesideItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hour
		p.LockTimeout = time.Second
		f := fixtureOf(t, memoryOnly(), p)
		f.delay.Store(int64(time.Minute))
		f.wants(t, "v", 1)
	})
}
