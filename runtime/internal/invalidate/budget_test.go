package invalidate_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
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

// hang makes a tier wait until it is given up, and returns what ends that.
func hang(shared *faketier.Shared) (recovered func()) {
	var hangs atomic.Bool
	hangs.Store(true)
	shared.SetBefore(func(ctx context.Context, _ string, _ []string) error {
		if hangs.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	return func() { hangs.Store(false) }
}

// changes are all that a caller can change, each of key k, which has the tag x.
var changes = map[string]func(*storetest.Store, *entry.Kind, context.Context, invalidate.Mode) error{
	"delete": func(s *storetest.Store, _ *entry.Kind, ctx context.Context, m invalidate.Mode) error {
		return s.Invalidate.Delete(ctx, []string{"k"}, m)
	},
	"expire": func(s *storetest.Store, _ *entry.Kind, ctx context.Context, m invalidate.Mode) error {
		return s.Invalidate.Expire(ctx, []string{"k"}, m)
	},
	"invalidate": func(s *storetest.Store, _ *entry.Kind, ctx context.Context, m invalidate.Mode) error {
		return s.Invalidate.Invalidate(ctx, []string{"k", "l"}, []string{"x", "y"}, m)
	},
	"delete by tag": func(s *storetest.Store, _ *entry.Kind, ctx context.Context, m invalidate.Mode) error {
		return s.Invalidate.DeleteByTag(ctx, []string{"x"}, m)
	},
	"expire by tag": func(s *storetest.Store, _ *entry.Kind, ctx context.Context, m invalidate.Mode) error {
		return s.Invalidate.ExpireByTag(ctx, []string{"x"}, m)
	},
	"clear": func(s *storetest.Store, _ *entry.Kind, ctx context.Context, m invalidate.Mode) error {
		return s.Invalidate.Clear(ctx, entry.Cache{}, m)
	},
	"set": func(s *storetest.Store, kind *entry.Kind, ctx context.Context, m invalidate.Mode) error {
		p := hour
		if m.Log {
			p.InvalidationErrors = policy.Log
		}
		return s.Invalidate.Set(ctx, kind, "k", "new", &p, []string{"x"})
	},
}

// Who writes has usually changed a database and waits: for one time limit, whatever hangs.
func TestAChangeTakesOneTimeLimitWhateverHangs(t *testing.T) {
	for name, test := range map[string]struct {
		memory, bus       bool
		tierHangs, others bool // others: the bus hangs
		took              time.Duration
	}{
		"tier, no bus":             {memory: true, tierHangs: true, took: time.Second},
		"tier, no memory, no bus":  {tierHangs: true, took: time.Second},
		"tier, with a bus":         {memory: true, bus: true, tierHangs: true, took: 750 * time.Millisecond},
		"bus":                      {memory: true, bus: true, others: true, took: time.Second},
		"tier and bus":             {memory: true, bus: true, tierHangs: true, others: true, took: time.Second},
		"tier and bus, no memory":  {bus: true, tierHangs: true, others: true, took: time.Second},
		"nothing hangs, all there": {memory: true, bus: true},
	} {
		for op, change := range changes {
			for _, log := range []bool{false, true} {
				t.Run(name+", "+op, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						var shared faketier.Shared
						var bus sickBus
						c := store.Config{L2: &shared}
						if test.memory {
							c.L1 = storetest.L1()
						}
						if test.bus {
							c.Bus = &bus
						}
						s := storetest.New(t, c)
						other := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Bus: &bus})
						kind := s.Kind("")
						set(t, s, kind, "k", "old", "x")
						synctest.Wait()
						s.Forget()
						other.Forget()
						recovered := func() {}
						if test.tierHangs {
							recovered = hang(&shared)
						}
						bus.hangs.Store(test.others)

						began := time.Now()
						err := change(s, kind, t.Context(), invalidate.Mode{Log: log})
						if took := time.Since(began); took != test.took {
							t.Errorf("took %v, want %v", took, test.took)
						}
						sick := test.tierHangs || test.others
						var failed *storetest.Invalidation
						switch {
						case log && err != nil:
							t.Errorf("it was to be logged: %v", err)
						case !log && errors.As(err, &failed) != sick:
							t.Errorf("reported %v", err)
						case sick && !log && !errors.Is(err, context.DeadlineExceeded):
							t.Errorf("it does not say why: %v", err)
						case (s.Outbox.Len() > 0) != sick || (s.Lines("pending") != nil) != sick:
							t.Errorf("%d are pending, %q", s.Outbox.Len(), s.Lines("pending"))
						}
						if logged := s.Told("warn", "not reached everyone"); logged != (log && sick) {
							t.Errorf("logged: %q", s.Lines("warn"))
						}
						if told := other.Lines("received") != nil; test.bus && told == test.others {
							t.Errorf("the others are told: %v", told)
						}
						if it := s.Memory.Find("k", s.Memory.Hash("k")); it != nil && sick && op != "expire" && it.Value == "old" && s.Memory.Check(t.Context(), it) == memory.Fresh {
							t.Errorf("memory serves %v", it.Value)
						}
						recovered()
						bus.hangs.Store(false)
						time.Sleep(time.Minute)
						if s.Outbox.Len() > 0 {
							t.Errorf("%d are pending", s.Outbox.Len())
						}
						if value, stale := get(t, s, kind, "k"); value == "old" && !stale {
							t.Error("the old value is back")
						}
						if test.bus && other.Lines("received") == nil {
							t.Error("the others never hear of it")
						}
					})
				})
			}
		}
	}
}

// Several changes of one write do not take the time several times.
func TestTheChangesOfOneWriteShareItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus sickBus
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Bus: &bus})
		other := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Bus: &bus})
		kind := s.Kind("")
		set(t, s, kind, "k", "old", "x")
		other.Forget()
		recovered := hang(&shared)
		began := time.Now()
		ctx := budget.Begin(t.Context(), budget.Write{Function: "users.Repo.Save"})
		for op, change := range changes {
			var failed *storetest.Invalidation
			if err := change(s, kind, ctx, invalidate.Mode{}); !errors.As(err, &failed) || failed.Function != "users.Repo.Save" || failed.Op != op {
				t.Errorf("%s: %v", op, err)
			}
		}
		if took := time.Since(began); took != 750*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if got := len(other.Lines("received")); got != len(changes)+1 { // invalidate sends two
			t.Errorf("%d messages: %q", got, other.Lines("received"))
		}
		recovered()
	})
}

// Keys and tags go in as many round trips as tags alone, the number of tag changes before the
// stamps.
func TestKeysAndTagsAreDeletedInTheRoundTripsOfTags(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	set(t, s, s.Kind(""), "k", "v", "x")
	var calls []string
	shared.SetBefore(func(_ context.Context, op string, keys []string) error {
		calls = append(calls, op+" "+strings.Join(keys, " "))
		return nil
	})
	if err := s.Invalidate.Invalidate(t.Context(), []string{"k", "l"}, []string{"x", "x"}, invalidate.Mode{}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"delete k l !t", "delete !s:t:x"}; !slices.Equal(calls, want) {
		t.Errorf("%q, want %q", calls, want)
	}
	if got := s.Lines("deleted"); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// race R56: who does not get its turn in time does not write and is queued; the write before it,
// which takes long and succeeds, does not make up for it.
func TestAChangeWithoutATurnIsMadeAfterTheWriteBeforeIt(t *testing.T) {
	for _, op := range []string{"delete", "expire", "invalidate", "set", "a load"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var shared faketier.Shared
				// Who has a lease waits for nobody, and nobody for him.
				s := storetest.New(t, store.Config{L1: storetest.L1(), L2: faketier.Unleased(&shared)})
				kind := s.Kind("")
				var slow atomic.Bool
				shared.SetBefore(func(_ context.Context, op string, _ []string) error {
					if op == "set" && slow.CompareAndSwap(false, true) {
						time.Sleep(900 * time.Millisecond)
					}
					return nil
				})
				late := budget.Begin(t.Context(), budget.Write{})
				time.Sleep(800 * time.Millisecond)
				var first error
				done := make(chan struct{})
				go func() {
					defer close(done)
					if op == "a load" {
						_, first = s.GetOrSet(context.Background(), load.Request{Kind: kind, Policy: hour, Load: storetest.Returns("first")}, "k")
					} else {
						first = s.Invalidate.Set(context.Background(), kind, "k", "first", &hour, nil)
					}
				}()
				time.Sleep(time.Millisecond)
				change := changes["delete"]
				if op != "a load" {
					change = changes[op]
				}
				began := time.Now()
				err := change(s, kind, late, invalidate.Mode{})
				if took := time.Since(began); took != 199*time.Millisecond || !budget.Spent(err) || s.Outbox.Len() == 0 {
					t.Errorf("after %v: %v, %d pending", took, err, s.Outbox.Len())
				}
				if <-done; first != nil {
					t.Fatal(first)
				}
				for range 2 {
					if value, stale := get(t, s, kind, "k"); value == "first" && !stale {
						t.Error("what was written before it is served")
					}
					time.Sleep(time.Minute)
				}
				if s.Outbox.Len() > 0 {
					t.Error("still pending")
				}
			})
		})
	}
}

// race R56, of stamps: they take no turns.
func TestAChangeOfAStampDoesNotMakeUpForOneThatBeganLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		var slow atomic.Bool
		shared.SetAfter(func(op string, keys []string) {
			if op == "delete" && slices.Contains(keys, "!s:t:x") && slow.CompareAndSwap(false, true) {
				time.Sleep(500 * time.Millisecond) // the answer comes late
			}
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := s.Invalidate.DeleteByTag(context.Background(), []string{"x"}, invalidate.Mode{}); err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(time.Millisecond)
		shared.Down(errDown)
		if err := s.Invalidate.DeleteByTag(t.Context(), []string{"x"}, invalidate.Mode{}); !errors.Is(err, errDown) {
			t.Error(err)
		}
		if <-done; s.Outbox.Len() == 0 {
			t.Error("nothing is pending, and the second has not reached the tier")
		}
		shared.Down(nil)
		time.Sleep(time.Minute)
	})
}

// What a driver refuses is an error although failures are logged: trying again does not help.
func TestWhatIsRefusedIsReportedEitherWay(t *testing.T) {
	refused := func(_ context.Context, op string, _ []string) error {
		if op == "set" || op == "delete" {
			return drivers.ErrRefused
		}
		return nil
	}
	for op, change := range changes {
		synctest.Test(t, func(t *testing.T) {
			var shared faketier.Shared
			s := storetest.New(t, store.Config{L2: &shared})
			shared.SetBefore(refused)
			if err := change(s, s.Kind(""), t.Context(), invalidate.Mode{Log: true}); !errors.Is(err, drivers.ErrRefused) && !strings.HasPrefix(op, "expire") {
				t.Errorf("%s: %v", op, err)
			}
			time.Sleep(time.Minute)
		})
	}
	s := storetest.New(t, store.Config{L2: new(faketier.Shared)})
	kind := s.Kind("")
	kind.Encode = func(any) ([]byte, error) { return nil, errDown }
	if err := changes["set"](s, kind, t.Context(), invalidate.Mode{Log: true}); !errors.Is(err, errDown) {
		t.Errorf("a value without a form: %v", err)
	}
}

// While the breaker is open nobody waits, and what the tier does not get is queued.
func TestNobodyWaitsForATierThatHasHungBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus sickBus
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Bus: &bus, BreakFor: 5 * time.Second})
		recovered := hang(&shared)
		bus.hangs.Store(true)
		for range 3 {
			_ = s.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{})
		}
		began := time.Now()
		for range 100 {
			if err := s.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{}); !errors.Is(err, remote.ErrCircuitOpen) {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
		recovered()
		bus.hangs.Store(false)
		time.Sleep(time.Minute)
	})
}

// Nor does anybody wait for the turn of what is tried again meanwhile, for which nobody waits.
func TestNobodyWaitsForWhatIsTriedAgainWhileTheBreakerIsOpen(t *testing.T) {
	for op, change := range changes {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var shared faketier.Shared
				s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, BreakFor: time.Minute})
				kind := s.Kind("")
				set(t, s, kind, "k", "old", "x")
				recovered := hang(&shared)
				for range 3 {
					_ = s.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{})
				}
				for range 50 {
					time.Sleep(70 * time.Millisecond)
					began := time.Now()
					err := change(s, kind, t.Context(), invalidate.Mode{})
					if took := time.Since(began); took > 75*time.Millisecond || !errors.Is(err, remote.ErrCircuitOpen) {
						t.Errorf("after %v: %v", took, err)
					}
				}
				recovered()
				time.Sleep(time.Minute)
				if value, stale := get(t, s, kind, "k"); value == "old" && !stale {
					t.Error("the old value is served")
				}
				if err := change(s, kind, t.Context(), invalidate.Mode{}); err != nil || s.Outbox.Len() > 0 {
					t.Errorf("when the tier is back: %v, %d pending", err, s.Outbox.Len())
				}
			})
		})
	}
}
