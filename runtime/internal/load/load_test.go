package load_test

import (
	"context"
	"errors"
	goruntime "runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/handle"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDown = errors.New("the source is down")
	errNone = errors.New("there is none")
	hour    = policy.Policy{TTL: time.Hour, Grace: time.Hour, NotFoundTTL: time.Hour, SuppressL2Errors: true}
)

// A run is one load of some keys.
type run struct {
	*load.Load
	s       *storetest.Store
	flights []*memory.Flight
}

// begin begins a load that leads the flights of keys.
func begin(ctx context.Context, s *storetest.Store, rq load.Request, keys ...string) *run {
	return beginInstead(ctx, s, rq, load.Fallback{}, keys...)
}

// beginInstead is begin with something that can be served instead.
func beginInstead(ctx context.Context, s *storetest.Store, rq load.Request, instead load.Fallback, keys ...string) *run {
	r := &run{Load: s.Lookups.Load.New(&rq, false, 0), s: s}
	for i, key := range keys {
		var f *memory.Flight
		if rq.ForceFresh {
			f = s.Memory.Flights.Replace(key, s.Memory.Flights.Last(), nil, &r.Batch, s.Stamps.Epoch).Flight
		} else {
			f = s.Memory.Flights.Join(key, false, &r.Batch, s.Stamps.Epoch).Flight
		}
		r.flights = append(r.flights, f)
		q := s.Query(key)
		q.Index = i
		r.Add(q, f, instead, load.First)
	}
	s.Lookups.Load.Start(ctx, r.Load)
	return r
}

// result waits for the flight of the load's first key.
func (r *run) result() (any, error) {
	<-r.flights[0].Done()
	<-r.flights[0].Released()
	it, err := r.flights[0].Result()
	if it == nil {
		return nil, err
	}
	return it.Value, err
}

func find(s *storetest.Store, key string) *entry.Item { return s.Memory.Find(key, s.Memory.Hash(key)) }

// value returns the value of an entry in the shared tier.
func value(shared *faketier.Shared, key string) string {
	_, v, err := entry.Parse(shared.Keys()[key])
	if err != nil {
		return ""
	}
	return string(v)
}

func TestALoadReadsTheSharedTierThenTheSourceAndStoresInBothTiers(t *testing.T) {
	var shared faketier.Shared
	s, other := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared}), storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: storetest.Returns("v")}
	if v, err := begin(t.Context(), s, rq, "k").result(); v != "v" || err != nil {
		t.Fatal(v, err)
	}
	if it := find(s, "k"); it == nil || it.Value != "v" || it.LocalOnly || it.FlightID == 0 || value(&shared, "k") != "v" {
		t.Errorf("%+v, %q", it, value(&shared, "k"))
	}
	rq.Kind, rq.Load = other.Kind(""), storetest.Fails(errDown)
	if v, err := begin(t.Context(), other, rq, "k").result(); v != "v" || err != nil || find(other, "k") == nil || !find(other, "k").FromRemote {
		t.Error("not from the shared tier:", v, err)
	}
	if got := s.Lines("written"); !slices.Equal(got, []string{"k loaded"}) || other.Lines("written") != nil || other.Lines("loaded") != nil {
		t.Errorf("%q, %q", got, other.Lines("written"))
	}
}

func TestALoadLooksAgainAtWhatTheFlightBeforeItHasDone(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: storetest.Returns("v")}
	rq.Policy.ErrorTTL = time.Hour
	_, _ = begin(t.Context(), s, rq, "loaded").result()
	rq.Load = storetest.Fails(errDown)
	_, _ = begin(t.Context(), s, rq, "failed").result()
	rq.Load = storetest.Returns("again")
	if v, err := begin(t.Context(), s, rq, "loaded").result(); v != "v" || err != nil {
		t.Error(v, err)
	}
	if v, err := begin(t.Context(), s, rq, "failed").result(); v != nil || err != errDown {
		t.Error(v, err)
	}
	rq.ForceFresh = true
	for _, key := range []string{"loaded", "failed"} {
		if v, err := begin(t.Context(), s, rq, key).result(); v != "again" || err != nil {
			t.Error("a forced load:", v, err)
		}
	}
}

// race R1, R2, R3: nothing is kept that was invalidated after its load began, in no tier.
func TestNothingIsKeptThatWasInvalidatedDuringItsLoad(t *testing.T) {
	for name, invalidate := range map[string]func(ctx context.Context, s *storetest.Store) error{
		"key": func(ctx context.Context, s *storetest.Store) error {
			return s.Invalidate.Delete(ctx, []string{"k"}, invalidate.Mode{})
		},
		"expired": func(ctx context.Context, s *storetest.Store) error {
			return s.Invalidate.Expire(ctx, []string{"k"}, invalidate.Mode{})
		},
		"result tag": func(ctx context.Context, s *storetest.Store) error {
			return s.Invalidate.DeleteByTag(ctx, []string{"of v"}, invalidate.Mode{})
		},
		"handle tag": func(ctx context.Context, s *storetest.Store) error {
			return s.Invalidate.DeleteByTag(ctx, []string{"given"}, invalidate.Mode{})
		},
		"cache": func(ctx context.Context, s *storetest.Store) error {
			return s.Invalidate.Clear(ctx, entry.Cache{Name: "a.Load"}, invalidate.Mode{})
		},
		"store": func(ctx context.Context, s *storetest.Store) error {
			return s.Invalidate.Clear(ctx, entry.Cache{}, invalidate.Mode{})
		},
		"another tag": func(ctx context.Context, s *storetest.Store) error {
			return s.Invalidate.DeleteByTag(ctx, []string{"another"}, invalidate.Mode{})
		},
	} {
		for tiers, c := range map[string]store.Config{"memory": {L1: storetest.L1()}, "both": {L1: storetest.L1(), L2: &faketier.Shared{}}, "shared": {L2: &faketier.Shared{}}} {
			t.Run(name+" "+tiers, func(t *testing.T) {
				s := storetest.New(t, c)
				kind := s.Kind("a.Load")
				kind.ResultTags = func(v any) []string { return []string{"of " + v.(string)} }
				rq := load.Request{Kind: kind, Policy: hour, Load: func(ctx context.Context, keys []*load.Key) error {
					handle.Of(ctx).Change(func(c *policy.Call) { c.Tags = []string{"given"} })
					if err := invalidate(ctx, s); err != nil {
						t.Error(err)
					}
					return storetest.Returns("v")(ctx, keys)
				}}
				if v, err := begin(t.Context(), s, rq, "k").result(); v != "v" || err != nil {
					t.Error("those who wait get", v, err)
				}
				rq.Load = nil
				items, err := s.Lookups.Get(t.Context(), &rq, []load.Query{s.Query("k")}, true)
				if kept := items[0] != nil; err != nil || kept != (name == "another tag") && !(name == "another tag" && tiers != "memory") { // with a shared tier it cannot tell which
					t.Errorf("kept: %v, %v", kept, err)
				}
				if lines := slices.Concat(s.Lines("warn"), s.Lines("breaker")); lines != nil {
					t.Errorf("%q", lines)
				}
			})
		}
	}
}

// What was asked for although there was a value does not leave the old one behind.
func TestAForcedLoadLeavesNothingOlderBehind(t *testing.T) {
	for name, test := range map[string]struct {
		kind  func(*entry.Kind)
		p     func(*policy.Policy)
		load  load.Func
		spoil func(context.Context, string, []string) error
		want  any // in memory
	}{
		"a value": {nil, nil, storetest.Returns("new"), nil, "new"},
		"none, which is not kept": {func(k *entry.Kind) { k.NotFound = errNone }, func(p *policy.Policy) {
			*p = p.Apply(policy.Options{NotFoundTTL: policy.Some(time.Duration(0))})
		}, func(context.Context, []*load.Key) error { return nil }, nil, nil},
		"not returned": {nil, nil, func(context.Context, []*load.Key) error { return nil }, nil, nil},
		"a value that the tier does not take": {nil, nil, storetest.Returns("new"), func(_ context.Context, op string, _ []string) error {
			if op == "set" {
				return errDown
			}
			return nil
		}, "new"},
		"a tag that has just changed": {func(k *entry.Kind) { k.ResultTags = func(any) []string { return []string{"x"} } }, nil,
			nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var shared faketier.Shared
				s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
				rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: storetest.Returns("old")}
				if test.kind != nil {
					test.kind(rq.Kind)
				}
				if test.p != nil {
					test.p(&rq.Policy)
				}
				_, _ = begin(t.Context(), s, rq, "k").result()
				if value(&shared, "k") != "old" {
					t.Fatal("nothing to replace")
				}
				rq.ForceFresh, rq.Load = true, test.load
				var spoilt atomic.Bool
				spoilt.Store(test.spoil != nil)
				shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
					if spoilt.Load() {
						return test.spoil(ctx, op, keys)
					}
					return nil
				})
				if rq.Load == nil {
					rq.Load = func(ctx context.Context, keys []*load.Key) error {
						if err := s.Invalidate.DeleteByTag(ctx, []string{"x"}, invalidate.Mode{}); err != nil {
							t.Error(err)
						}
						return storetest.Returns("new")(ctx, keys)
					}
				}
				_, _ = begin(t.Context(), s, rq, "k").result()
				spoilt.Store(false)
				time.Sleep(time.Minute)
				if got := value(&shared, "k"); got == "old" {
					t.Error("the old value is in the shared tier")
				}
				it := find(s, "k")
				if it == nil != (test.want == nil) || it != nil && it.Value != test.want {
					t.Errorf("%+v in memory", it)
				}
			})
		})
	}
}

// race R13: a loader that ignores its hard timeout fails its callers, and holds its key.
func TestALoadEndsWithItsHardTimeoutAlthoughItsLoaderIgnoresIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		release := make(chan struct{})
		rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: func(ctx context.Context, keys []*load.Key) error {
			<-release
			if context.Cause(ctx) != load.ErrTimeout {
				t.Error("its context was cancelled with", context.Cause(ctx))
			}
			return storetest.Returns("late")(ctx, keys)
		}}
		rq.Policy.HardTimeout, rq.Policy.ErrorTTL = time.Second, time.Minute
		began := time.Now()
		r := begin(t.Context(), s, rq, "k")
		<-r.flights[0].Done()
		if _, err := r.flights[0].Result(); err != load.ErrTimeout || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if s.Memory.Failed(t.Context(), "k") != load.ErrTimeout {
			t.Error("the failure is not remembered")
		}
		time.Sleep(time.Second)
		select {
		case <-r.flights[0].Released():
			t.Error("another load may begin")
		default:
		}
		stale := s.Item(rq.Kind, "k2", "stale", hour)
		r2 := beginInstead(t.Context(), s, rq, load.Fallback{Item: stale}, "k2")
		<-r2.flights[0].Done()
		if it, err := r2.flights[0].Result(); it != stale || err != nil || !stale.BackingOff(time.Now().UnixNano()-1) && rq.Policy.GraceBackoff > 0 {
			t.Error("what can be served instead is not:", it, err)
		}
		close(release)
		synctest.Wait()
		if it := find(s, "k"); it == nil || it.Value != "late" || value(&shared, "k") != "late" || s.Memory.Failed(t.Context(), "k") != nil {
			t.Errorf("what was loaded all the same is not kept: %+v", it)
		}
	})
}

// race R13: past the MaxLoadTime the key is free, and the result is not stored.
func TestALoadLosesItsKeyWithTheMaxLoadTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, MaxLoadTime: time.Minute})
		release := make(chan struct{})
		rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: func(ctx context.Context, keys []*load.Key) error {
			<-release
			return storetest.Returns("late")(ctx, keys)
		}}
		began := time.Now()
		if _, err := begin(t.Context(), s, rq, "k").result(); err != load.ErrTimeout || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		rq.Load = storetest.Returns("next")
		if v, err := begin(t.Context(), s, rq, "k").result(); v != "next" || err != nil {
			t.Error(v, err)
		}
		close(release)
		synctest.Wait()
		if it := find(s, "k"); it.Value != "next" || value(&shared, "k") != "next" {
			t.Errorf("%v, %q: the slow load's result was stored", it.Value, value(&shared, "k"))
		}
	})
}

func TestALoadIsCancelledWhenNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		var cause error
		rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: func(ctx context.Context, keys []*load.Key) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return ctx.Err()
		}}
		rq.Policy.ErrorTTL = time.Hour
		r := begin(t.Context(), s, rq, "a", "b")
		synctest.Wait()
		r.flights[0].Leave()
		synctest.Wait()
		if cause != nil {
			t.Error("cancelled although one waits for the other key")
		}
		r.flights[1].Leave()
		if _, err := r.result(); cause != flight.ErrNoWaiters || err != flight.ErrNoWaiters {
			t.Error(cause, err)
		}
		if err := s.Memory.Failed(t.Context(), "a"); err != nil {
			t.Error("that nobody waited is remembered as a failure:", err)
		}
	})
}

// What has been loaded is worth keeping although its caller may be gone.
func TestWhatWasLoadedIsStoredAlthoughItsLeaderIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		ctx, leave := context.WithCancel(context.WithValue(t.Context(), t, "of the leader"))
		rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: func(ctx context.Context, keys []*load.Key) error {
			leave()
			if ctx.Err() != nil || ctx.Value(t) != "of the leader" {
				t.Error("the leader's context is not as it should be:", ctx.Err(), ctx.Value(t))
			}
			return storetest.Returns("v")(ctx, keys)
		}}
		if v, err := begin(ctx, s, rq, "k").result(); v != "v" || err != nil || value(&shared, "k") != "v" {
			t.Error(v, err, value(&shared, "k"))
		}
	})
}

// race R15: a loader or a driver that panics, or ends its goroutine, ends nobody else's.
func TestAPanicEndsNobodyElsesGoroutine(t *testing.T) {
	for name, test := range map[string]struct {
		load  load.Func
		spoil bool
		want  string
	}{
		"loader":  {func(context.Context, []*load.Key) error { panic("boom") }, false, "panic: boom"},
		"Goexit":  {func(context.Context, []*load.Key) error { goruntime.Goexit(); return nil }, false, load.ErrGoexit.Error()},
		"decoder": {storetest.Returns("v"), true, "panic: decode"},
	} {
		t.Run(name, func(t *testing.T) {
			var shared faketier.Shared
			s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
			rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: storetest.Returns("v")}
			rq.Policy.ErrorTTL = time.Hour
			if test.spoil {
				_, _ = begin(t.Context(), s, rq, "b").result()
				s.Memory.Unconfirm()
				rq.Kind.Decode = func([]byte) (any, error) { panic("decode") }
			}
			rq.Load = test.load
			r := begin(t.Context(), s, rq, "a", "b")
			if _, err := r.result(); err == nil || err.Error() != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
			if panicked := r.Panicked(); (panicked != nil) != (name != "Goexit") {
				t.Error(panicked)
			}
			if err := s.Memory.Failed(t.Context(), "a"); err != nil {
				t.Error("it is remembered:", err)
			}
			rq.Kind, rq.Load = s.Kind(""), storetest.Returns("v")
			if v, err := begin(t.Context(), s, rq, "a").result(); v != "v" || err != nil {
				t.Error("the next load:", v, err)
			}
		})
	}
}

func TestAStoreThatClosesCancelsItsLoadsInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: func(ctx context.Context, _ []*load.Key) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}
		r := begin(t.Context(), s, rq, "k")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(ctx); err == nil || !strings.Contains(err.Error(), "calls and loads still running: 1") {
			t.Error(err)
		}
		if _, err := r.result(); err != background.ErrClosed {
			t.Error(err)
		}
	})
}

func TestABatchIsLoadedInPartsAndEachKeyHasItsOwnOutcome(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	kind := s.Kind("")
	kind.NotFound = errNone
	var parts [][]string
	rq := load.Request{Kind: kind, Policy: hour, Many: true, Load: func(_ context.Context, keys []*load.Key) error {
		var names []string
		for _, k := range keys {
			names = append(names, k.Key)
			switch k.Key {
			case "d":
			case "e":
				k.SetNotFound(errNone)
			default:
				k.SetValue("v of " + k.Key)
			}
		}
		parts = append(parts, names)
		if len(parts) == 2 {
			return errDown // of those of which nothing was said
		}
		return nil
	}}
	rq.Policy.BatchMax = 2
	r := begin(t.Context(), s, rq, "a", "b", "c", "d", "e")
	_, _ = r.result()
	for i, want := range []string{"v of a", "v of b", "v of c", errDown.Error(), errNone.Error()} {
		<-r.flights[i].Done()
		it, err := r.flights[i].Result()
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = it.Value.(string)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", r.flights[i].Key, got, want)
		}
	}
	if !slices.EqualFunc(parts, [][]string{{"a", "b"}, {"c", "d"}, {"e"}}, slices.Equal[[]string]) {
		t.Errorf("%q", parts)
	}
	if it := find(s, "e"); it == nil || it.Presence != entry.NotFound || find(s, "d") != nil {
		t.Errorf("%+v", it)
	}
}

func TestWhatTheSharedTierDoesNotTakeIsKeptInMemory(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*load.Request, *faketier.Shared)
		shared string // what the tier has of "other"
		local  bool
	}{
		"nothing is wrong": {func(*load.Request, *faketier.Shared) {}, "v", false},
		"for memory alone": {func(rq *load.Request, _ *faketier.Shared) { rq.Policy.SkipL2Write = true }, "", true},
		"refused, the others are not": {func(_ *load.Request, shared *faketier.Shared) {
			shared.SetBefore(func(_ context.Context, op string, keys []string) error {
				if op == "fill" && slices.Contains(keys, "k") {
					return drivers.ErrRefused
				}
				return nil
			})
		}, "v", true},
		"without a form": {func(rq *load.Request, _ *faketier.Shared) {
			rq.Kind.Encode = func(any) ([]byte, error) { return nil, errDown }
		}, "", true},
		"in doubt": {func(_ *load.Request, shared *faketier.Shared) {
			shared.SetBefore(func(_ context.Context, op string, keys []string) error {
				if op == "fill" {
					return errDown
				}
				return nil
			})
		}, "", false}, // it may have it
	} {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: storetest.Returns("v")}
		test.change(&rq, &shared)
		if v, err := begin(t.Context(), s, rq, "k", "other").result(); v != "v" || err != nil {
			t.Errorf("%s: %v, %v", name, v, err)
		}
		if it := find(s, "k"); it == nil || it.LocalOnly != test.local {
			t.Errorf("%s: %+v in memory", name, it)
		}
		if got := value(&shared, "other"); got != test.shared {
			t.Errorf("%s: %q in the shared tier", name, got)
		}
	}
}

func TestWithoutTheSharedTierALoadGoesOnOrSaysThatItMayNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: storetest.Returns("v")}
		shared.Down(errDown)
		if v, err := begin(t.Context(), s, rq, "k").result(); v != "v" || err != nil || !find(s, "k").LocalOnly {
			t.Error(v, err)
		}
		rq.Policy.SuppressL2Errors = false
		r := begin(t.Context(), s, rq, "k2")
		if _, err := r.result(); !errors.Is(err, errDown) || !load.IsUnread(r.flights[0], err) || load.IsUnread(begin(t.Context(), s, rq, "k3").flights[0], err) {
			t.Error(err)
		}
		shared.Down(nil)
		if shared.Calls("set") != 0 {
			t.Error("written under stamps that only this process knows")
		}
	})
}

// A refresh of what is stale in the shared tier, and a fallback found there.
func TestAStaleValueOfTheSharedTierIsOfferedAndServedIfTheLoadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, force := range []bool{false, true} {
			var shared faketier.Shared
			s, other := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared}), storetest.New(t, store.Config{L2: &shared})
			rq := load.Request{Kind: other.Kind(""), Policy: hour, Load: storetest.Returns("v")}
			_, _ = begin(t.Context(), other, rq, "k").result()
			time.Sleep(time.Hour)
			rq.Kind, rq.ForceFresh, rq.Load = s.Kind(""), force, func(context.Context, []*load.Key) error {
				time.Sleep(time.Second)
				return errDown
			}
			r := begin(t.Context(), s, rq, "k")
			synctest.Wait()
			select {
			case <-r.flights[0].Offered():
				if force {
					t.Error("offered to those who want a new one")
				}
			default:
				if !force {
					t.Error("not offered")
				}
			}
			if v, err := r.result(); v != "v" || err != nil || !s.Told("warn", "the stale value is served") {
				t.Error(v, err)
			}
		}
	})
}
