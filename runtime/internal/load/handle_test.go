package load_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/event"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/handle"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

// with returns a loader that has a say in what becomes of its value v.
func with(say func(*handle.Handle)) load.Func {
	return func(ctx context.Context, keys []*load.Key) error {
		say(handle.Of(ctx))
		return storetest.Returns("v")(ctx, keys)
	}
}

func TestALoaderChangesWhatBecomesOfItsValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		rq := load.Request{Kind: s.Kind(""), Policy: hour}
		rq.Load = with(func(h *handle.Handle) {
			h.Change(func(c *policy.Call) { c.TTL = policy.Some(time.Minute) })
			h.Change(func(c *policy.Call) { c.Tags = append(c.Tags, "x") })
		})
		if v, err := begin(t.Context(), s, rq, "k").result(); v != "v" || err != nil {
			t.Fatal(v, err)
		}
		it := find(s, "k")
		if it.FreshUntil != clock.Now()+int64(time.Minute) || !rq.Kind.SetsTags.Load() || !entry.Carries(it.Stamps, s.Stamps.Cell("t:x")) {
			t.Errorf("%+v", it)
		}
		rq.Load = with(func(h *handle.Handle) { h.Skip() })
		if v, err := begin(t.Context(), s, rq, "skipped").result(); v != "v" || err != nil || find(s, "skipped") != nil {
			t.Error(v, err)
		}
		rq.Load = with(func(h *handle.Handle) { h.Fail(nil) })
		if v, err := begin(t.Context(), s, rq, "fine").result(); v != "v" || err != nil || find(s, "fine") == nil {
			t.Error(v, err)
		}
		rq.Load = with(func(h *handle.Handle) {
			h.Change(func(c *policy.Call) { c.ErrorTTL, c.Tags = policy.Some(time.Minute), []string{"x"} })
			h.Fail(errDown)
		})
		if _, err := begin(t.Context(), s, rq, "failed").result(); err != errDown || find(s, "failed") != nil || s.Memory.Failed(t.Context(), "failed") != errDown {
			t.Error(err)
		}
		if err := s.Invalidate.DeleteByTag(t.Context(), []string{"x"}, invalidate.Mode{}); err != nil || s.Memory.Failed(t.Context(), "failed") != nil {
			t.Error("the failure does not have its tags:", err)
		}
		rq.Load = with(func(h *handle.Handle) {
			h.Change(func(c *policy.Call) { c.ErrorTTL, c.Tags = policy.Some(time.Minute), []string{"x"} })
			_ = s.Invalidate.DeleteByTag(t.Context(), []string{"x"}, invalidate.Mode{})
			h.Fail(errDown)
		})
		if _, err := begin(t.Context(), s, rq, "failed").result(); err != errDown || s.Memory.Failed(t.Context(), "failed") != nil {
			t.Error("a failure from before an invalidation is remembered:", err)
		}
	})
}

func TestAHandleTakesNothingOnceItsLoaderHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		var h *handle.Handle
		rq := load.Request{Kind: s.Kind(""), Policy: hour, Load: with(func(now *handle.Handle) { h = now })}
		_, _ = begin(t.Context(), s, rq, "k").result()
		h.Change(func(*policy.Call) { t.Error("it was changed") })
		h.Skip()
		h.Fail(errDown)
		if _, why := h.Stale(); why != event.NoValue || h.NotModified() {
			t.Error(why)
		}
		var none *handle.Handle
		none.Change(func(*policy.Call) { t.Error("a nil handle was changed") })
		none.Skip()
		none.Fail(errDown)
		if v, why := none.Stale(); v != nil || why != event.NoValue || none.NotModified() {
			t.Error(v, why)
		}
	})
}

// Why there is a value although it is being loaded; and an invalidation is not undone by
// saying that the value still holds.
func TestALoaderIsToldWhyItsValueIsLoadedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		stale    func(*storetest.Store, *entry.Item) *entry.Item
		why      event.Reason
		accepted bool
	}{
		"none":    {func(*storetest.Store, *entry.Item) *entry.Item { return nil }, event.NoValue, false},
		"due":     {func(_ *storetest.Store, it *entry.Item) *entry.Item { return it }, event.Due, true},
		"elapsed": {func(_ *storetest.Store, it *entry.Item) *entry.Item { time.Sleep(time.Hour); return it }, event.Elapsed, true},
		"expired": {func(_ *storetest.Store, it *entry.Item) *entry.Item { return it.ExpiredCopy(clock.Now()) }, event.Invalidated, false},
		"by tag": {func(s *storetest.Store, it *entry.Item) *entry.Item {
			s.Stamps.Change("t:x", true, false)
			return it
		}, event.Invalidated, false},
		"unconfirmed": {func(_ *storetest.Store, it *entry.Item) *entry.Item { return it }, event.Unconfirmed, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := storetest.New(t, store.Config{L1: storetest.L1()})
				kind := s.Kind("")
				kind.Copy = func(v any) any { return "copy of " + v.(string) }
				old := test.stale(s, s.Item(kind, "k", "old", hour, "x"))
				rq := load.Request{Kind: kind, Policy: hour, ForceFresh: true, Load: with(func(h *handle.Handle) {
					v, why := h.Stale()
					if why != test.why || (v == "copy of old") != (why != event.NoValue) {
						t.Errorf("%v, %v, want %v", v, why, test.why)
					}
					if h.NotModified() != test.accepted {
						t.Error("accepted:", !test.accepted)
					}
				})}
				want := "v"
				if test.accepted {
					want = "old"
				}
				instead := load.Fallback{Item: old, Unconfirmed: test.why == event.Unconfirmed, OnlyOnFailure: true}
				if v, err := beginInstead(t.Context(), s, rq, instead, "k").result(); v != want || err != nil {
					t.Error(v, err)
				}
				it := find(s, "k")
				if it == nil || it.Value != want || it.FreshUntil != clock.Now()+int64(time.Hour) || test.accepted && !entry.Carries(it.Stamps, s.Stamps.Cell("t:x")) {
					t.Errorf("%+v", it)
				}
			})
		})
	}
	many := load.Request{Load: with(func(h *handle.Handle) {
		if _, why := h.Stale(); why != event.NoValue {
			t.Error("a load of many keys is told of one:", why)
		}
	})}
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	many.Kind, many.Policy = s.Kind(""), hour
	_, _ = beginInstead(t.Context(), s, many, load.Fallback{Item: s.Item(many.Kind, "k", "old", hour)}, "a", "b").result()
}

func TestALoadKnowsWhoWaitsForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		kind := s.Kind("")
		if handle.Of(t.Context()) != nil || handle.WithoutLoad(t.Context()) != t.Context() {
			t.Error("a context without a load has one")
		}
		var r *run
		var left context.Context
		started := make(chan struct{})
		r = begin(t.Context(), s, load.Request{Kind: kind, Policy: hour, Load: func(ctx context.Context, keys []*load.Key) error {
			<-started
			left = ctx
			other := s.Memory.Flights.Join("other", false, new(flight.Batch), s.Stamps.Epoch).Flight
			without := handle.WithoutLoad(ctx)
			if !handle.Within(ctx, r.flights[0]) || handle.Within(ctx, other) || handle.Of(without) != nil || !handle.Within(without, r.flights[0]) {
				t.Error("it does not know")
			}
			inner := begin(ctx, s, load.Request{Kind: kind, Policy: hour, Load: func(ctx context.Context, keys []*load.Key) error {
				if !handle.Within(ctx, r.flights[0]) {
					t.Error("through another load it does not know")
				}
				return storetest.Returns("inner")(ctx, keys)
			}}, "inner")
			_, _ = inner.result()
			return storetest.Returns("v")(ctx, keys)
		}}, "k")
		close(started)
		_, _ = r.result()
		if handle.Within(left, r.flights[0]) {
			t.Error("nobody waits for what a loader has left behind")
		}
	})
}

// race R34: what it means that a loader returns nothing, or a value that means nothing.
func TestWhatALoaderMeansByNothing(t *testing.T) {
	absent := func(v any) bool { return v == "" }
	for name, test := range map[string]struct {
		notFound error
		absent   func(any) bool
		load     load.Func
		presence entry.Presence
		err      error
		kept     bool
	}{
		"a value":                    {errNone, absent, storetest.Returns("v"), entry.Present, nil, true},
		"the error":                  {errNone, absent, func(_ context.Context, keys []*load.Key) error { keys[0].SetNotFound(errNone); return nil }, entry.NotFound, errNone, true},
		"the value":                  {errNone, absent, storetest.Returns(""), entry.Absent, nil, true},
		"nothing":                    {errNone, absent, storetest.Fails(nil), entry.NotFound, errNone, true},
		"nothing, without the error": {nil, absent, storetest.Fails(nil), entry.Absent, nil, true},
		"nothing, of a cache that does not know what that means": {nil, nil, storetest.Fails(nil), 0, load.ErrNotLoaded, false},
		"an error": {errNone, absent, storetest.Fails(errDown), 0, errDown, false},
	} {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		kind := s.Kind("")
		kind.NotFound, kind.Absent, kind.MissingIsAbsent = test.notFound, test.absent, test.absent != nil
		_, err := begin(t.Context(), s, load.Request{Kind: kind, Policy: hour, Load: test.load}, "k").result()
		it := find(s, "k")
		if !errors.Is(err, test.err) || (it != nil) != test.kept || it != nil && it.Presence != test.presence {
			t.Errorf("%s: %+v, %v", name, it, err)
		}
	}
}

func TestATimeoutIsADeadlineThatWasExceeded(t *testing.T) {
	var timeout interface{ Timeout() bool }
	if !errors.Is(load.ErrTimeout, context.DeadlineExceeded) || !errors.As(load.ErrTimeout, &timeout) || !timeout.Timeout() || load.ErrTimeout.Error() != "cachegen: load timed out" {
		t.Error(load.ErrTimeout)
	}
}

func TestAFailureIsToldToOnLoadErrorAndTheHooks(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	var told []*event.LoadError
	rq := load.Request{Kind: s.Kind("a.Load"), Policy: hour, Load: storetest.Fails(errDown)}
	rq.Policy.OnLoadError = func(f *event.LoadError) { told = append(told, f) }
	_, _ = begin(t.Context(), s, rq, "a", "b").result()
	if len(told) != 1 || told[0].Store != "test" || told[0].Cache != "a.Load" || told[0].Err != errDown || told[0].Background || !slices.Equal(told[0].Keys, []string{"a", "b"}) {
		t.Errorf("%+v", told)
	}
	if got := s.Lines("loaded"); !slices.Equal(got, []string{"a,b: " + errDown.Error()}) {
		t.Errorf("%q", got)
	}
	empty := load.Load{}
	if !empty.Empty() || empty.Panicked() != nil {
		t.Error("a zero load is not empty")
	}
}

// At the hard timeout stamps may have to be read, and the driver may panic then.
func TestAtTheHardTimeoutAFallbackIsServedAlthoughTheTierPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		kind := s.Kind("")
		if err := s.Remote.MakeStamps(t.Context(), kind.Required, time.Hour); err != nil {
			t.Fatal(err)
		}
		stale := s.Item(kind, "k", "old", hour)
		release := make(chan struct{})
		var panics atomic.Bool
		shared.SetBefore(func(context.Context, string, []string) error {
			if panics.Load() {
				panic("boom")
			}
			return nil
		})
		rq := load.Request{Kind: kind, Policy: hour, Load: func(ctx context.Context, keys []*load.Key) error {
			panics.Store(true)
			<-release
			return nil
		}}
		rq.Policy.HardTimeout = time.Minute // after which the stamps of what is stale have to be read
		r := beginInstead(t.Context(), s, rq, load.Fallback{Item: stale}, "k")
		<-r.flights[0].Done()
		it, err := r.flights[0].Result()
		if it != stale || err != nil || !s.Told("operation", "boom") {
			t.Error(it, err)
		}
		panics.Store(false)
		close(release)
		synctest.Wait()
	})
}

// A loader has nobody to return it to that its options are wrong. Its callers get the value;
// but with other options, or tags, it might be kept for too long.
func TestNothingIsKeptUnderOptionsThatAreWrong(t *testing.T) {
	for want, change := range map[string]func(*policy.Call){
		"Timeout has no meaning: SetOptions comes when the load has begun": func(c *policy.Call) { c.SoftTimeout, c.TTL = policy.Some(time.Minute), policy.Some(time.Minute) },
		"Grace -1s is negative":        func(c *policy.Call) { c.Grace, c.Tags = policy.Some(-time.Second), []string{"x"} },
		"one of the options is nil":    func(c *policy.Call) { c.Nil = true },
		"L1TTL 1h0m0s is above":        func(c *policy.Call) { c.L1TTL, c.TTL = policy.Some(time.Hour), policy.Some(time.Minute) },
		"AllowStale has no meaning":    func(c *policy.Call) { c.AllowStale = true },
		"RefreshPercent 100 is not":    func(c *policy.Call) { c.Refresh = policy.Some(policy.Span{Percent: 100}) },
		"SkipBusNotify has no meaning": func(c *policy.Call) { c.SkipBusNotify = policy.Some(true) },
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var shared faketier.Shared
				s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
				rq := load.Request{Kind: s.Kind("a.Load"), Policy: hour, Load: with(func(h *handle.Handle) { h.Change(change) })}
				rq.Policy.ErrorTTL = time.Hour
				if v, err := begin(t.Context(), s, rq, "k").result(); v != "v" || err != nil || find(s, "k") != nil || value(&shared, "k") != "" {
					t.Error("it is not handed out, or it is kept:", v, err)
				}
				if !s.Told("refused", want) || !s.Told("warn", want) || !s.Told("warn", "SetOptions in a loader of a.Load") {
					t.Errorf("nobody is told: %q, %q", s.Lines("refused"), s.Lines("warn"))
				}
				failing := rq
				failing.Load = with(func(h *handle.Handle) { h.Change(change); h.Fail(errDown) })
				if _, err := begin(t.Context(), s, failing, "failed").result(); err != errDown || s.Memory.Failed(t.Context(), "failed") != nil {
					t.Error("the failure is remembered:", err)
				}

				good := load.Request{Kind: rq.Kind, Policy: hour, Load: storetest.Returns("old")}
				if _, err := begin(t.Context(), s, good, "k").result(); err != nil || value(&shared, "k") != "old" {
					t.Fatal(err)
				}
				old := find(s, "k")
				time.Sleep(hour.TTL + 1)
				rq.Load = with(func(h *handle.Handle) {
					h.Change(change)
					if !h.NotModified() {
						t.Error("not accepted")
					}
				})
				if v, err := beginInstead(t.Context(), s, rq, load.Fallback{Item: old}, "k").result(); v != "old" || err != nil {
					t.Error(v, err)
				}
				if it := find(s, "k"); it != old || it.FreshUntil > clock.Now() {
					t.Errorf("what still holds is kept: %+v", it)
				}
				// Who asks for a new load does not want the old value back.
				rq.ForceFresh, rq.Load = true, with(func(h *handle.Handle) { h.Change(change) })
				if v, err := begin(t.Context(), s, rq, "k").result(); v != "v" || err != nil || find(s, "k") != nil || value(&shared, "k") != "" {
					t.Error("the old value is there:", v, err, find(s, "k"), value(&shared, "k"))
				}
			})
		})
	}
}
