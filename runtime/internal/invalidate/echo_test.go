package invalidate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

// A watchingBus reports what changes in a shared tier, by whomever, a while later: several
// changes of a key may be one report.
type watchingBus struct {
	faketier.Bus
	delay time.Duration

	mu       sync.Mutex
	listener drivers.KeyListener
	changed  []string
}

func (b *watchingBus) Subscribe(channel string, l drivers.Listener) (func(), error) {
	b.mu.Lock()
	b.listener, _ = drivers.KeyListenerOf(l)
	b.listener.KeyPrefix()
	b.mu.Unlock()
	return b.Bus.Subscribe(channel, l)
}

// change is told of what was written.
func (b *watchingBus) change(keys ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.changed) == 0 {
		time.AfterFunc(b.delay, b.report)
	}
	b.changed = append(b.changed, keys...)
}

func (b *watchingBus) report() {
	b.mu.Lock()
	changed, l := b.changed, b.listener
	b.changed = nil
	b.mu.Unlock()
	l.Changed(changed)
}

// watched returns a store whose bus reports what changes in its shared tier.
func watched(t *testing.T, delay time.Duration) (*storetest.Store, *faketier.Shared, *watchingBus) {
	shared, bus := &faketier.Shared{}, &watchingBus{delay: delay}
	shared.SetAfter(func(op string, keys []string) {
		switch op {
		case "set", "delete", "add", "swap", "fill": // leases are no values
			bus.change(keys...)
		}
	})
	return storetest.New(t, store.Config{L1: storetest.L1(), L2: shared, Bus: bus}), shared, bus
}

// race R28. The kind: a process that hears of its own writes takes them for those of others.
func TestAProcessLosesNothingBecauseItHearsItself(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Millisecond, time.Second} {
		t.Run(delay.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, shared, bus := watched(t, delay)
				kind := s.Kind("a.Load")
				loads := 0
				rq := load.Request{Kind: kind, Policy: hour, Load: func(ctx context.Context, keys []*load.Key) error {
					loads++
					return storetest.Returns("v")(ctx, keys)
				}}
				get := func(tags ...string) {
					t.Helper()
					if it, err := s.GetOrSet(t.Context(), rq, "k", tags...); err != nil || it.Value != "v" {
						t.Fatal(it, err)
					}
				}
				for name, do := range map[string]func(){
					"a load":   func() { get() },
					"with tag": func() { get("new") },
					"a set":    func() { set(t, s, kind, "k", "v", "x") },
					"a deletion, and a load": func() {
						if err := s.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{}); err != nil {
							t.Fatal(err)
						}
						get("x")
					},
					"a deletion by tag, and a load": func() {
						if err := s.Invalidate.DeleteByTag(t.Context(), []string{"x", "new"}, invalidate.Mode{}); err != nil {
							t.Fatal(err)
						}
						get("x")
					},
					"a clear, and a load": func() {
						if err := s.Invalidate.Clear(t.Context(), entry.Cache{Name: "a.Load"}, invalidate.Mode{}); err != nil {
							t.Fatal(err)
						}
						get("x")
					},
				} {
					do()
					it := s.Memory.Find("k", s.Memory.Hash("k"))
					if it == nil {
						t.Fatalf("%s: not kept", name)
					}
					time.Sleep(2*delay + time.Millisecond)
					synctest.Wait()
					if s.Memory.Find("k", s.Memory.Hash("k")) != it || s.Memory.Check(t.Context(), it) != memory.Fresh {
						t.Errorf("%s: lost", name)
					}
					before := loads
					if get(); loads != before {
						t.Errorf("%s: loaded again", name)
					}
				}
				if lines := s.Lines("received"); lines != nil {
					t.Errorf("%q", lines)
				}
				shared.Put("k", []byte("by hand")) // and what others do is heard
				bus.change("k")
				time.Sleep(2*delay + time.Millisecond)
				synctest.Wait()
				if s.Memory.Find("k", s.Memory.Hash("k")) != nil || !slices.Equal(s.Lines("received"), []string{"changed k"}) {
					t.Errorf("%q", s.Lines("received"))
				}
			})
		})
	}
}

// One report may be of a write of this process and of a change of somebody else right after
// or right before it.
func TestAChangeBesideAnOwnWriteIsHeard(t *testing.T) {
	byHand := func(s *storetest.Store, shared *faketier.Shared, bus *watchingBus) {
		shared.Put("k", []byte("by hand"))
		bus.change("k")
	}
	for name, test := range map[string]struct {
		before, between, after func(*storetest.Store, *faketier.Shared, *watchingBus)
		panics, kept           bool
	}{
		"before":                  {before: byHand, kept: true}, // it was overwritten
		"after":                   {after: byHand},
		"while it is asked about": {between: byHand},
		"deleted, after": {after: func(_ *storetest.Store, shared *faketier.Shared, bus *watchingBus) {
			shared.Evict("k")
			bus.change("k")
		}},
		"the tier does not answer": {after: func(_ *storetest.Store, shared *faketier.Shared, _ *watchingBus) { shared.Down(errors.New("down")) }},
		"nothing":                  {kept: true},
		"the driver panics":        {panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, shared, bus := watched(t, time.Millisecond)
				report := shared.After()
				var once sync.Once
				shared.SetAfter(func(op string, keys []string) {
					report(op, keys)
					if op == "get" && slices.Contains(keys, "k") && test.between != nil {
						once.Do(func() { test.between(s, shared, bus) })
					}
				})
				var panics atomic.Bool
				shared.SetBefore(func(context.Context, string, []string) error {
					if panics.Load() {
						panic("driver")
					}
					return nil
				})
				if test.before != nil {
					test.before(s, shared, bus)
				}
				set(t, s, s.Kind(""), "k", "v")
				if test.after != nil {
					test.after(s, shared, bus)
				}
				panics.Store(test.panics)
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
				if kept := s.Memory.Find("k", s.Memory.Hash("k")) != nil; kept != test.kept {
					t.Errorf("kept: %v", kept)
				}
				shared.Down(nil)
				panics.Store(false)
			})
		})
	}
}

// What is remembered of own writes, and what waits to be asked about, is bounded; what is
// beyond that counts as changed by others.
func TestOwnWritesAreRememberedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, bus := watched(t, time.Hour)
		kind := s.Kind("")
		set(t, s, kind, "k", "v")
		for i := range 25_000 {
			if err := s.Remote.Delete(t.Context(), []string{fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if s.Remote.WroteLately("k") || !s.Remote.WroteLately("24999") {
			t.Error("the wrong ones are remembered")
		}
		time.Sleep(30 * time.Second)
		set(t, s, kind, "new", "v")
		time.Sleep(10 * time.Second)
		set(t, s, kind, "newer", "v")
		if s.Remote.WroteLately("24999") || !s.Remote.WroteLately("new") {
			t.Error("not for a while")
		}
		bus.listener.Changed(slices.Repeat([]string{"new"}, 30_000))
		synctest.Wait()
	})
}
