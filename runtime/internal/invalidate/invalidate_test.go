package invalidate_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/fence"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDown = errors.New("the server is down")
	hour    = policy.Policy{TTL: time.Hour, Grace: time.Hour}
)

// shapes are the stores that there are: with either tier or both, with a bus or without.
func shapes(t *testing.T, f func(t *testing.T, s *storetest.Store)) {
	for name, shape := range map[string]struct{ l1, l2, bus bool }{
		"memory": {true, false, false}, "memory and bus": {true, false, true}, "shared": {false, true, false},
		"shared and bus": {false, true, true}, "both": {true, true, false}, "both and bus": {true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c store.Config
				if shape.l1 {
					c.L1 = storetest.L1()
				}
				if shape.l2 {
					c.L2 = &faketier.Shared{}
				}
				if shape.bus {
					c.Bus = &faketier.Bus{}
				}
				s := storetest.New(t, c)
				f(t, s)
				if lines := slices.Concat(s.Lines("warn"), s.Lines("breaker"), s.Lines("pending")); lines != nil {
					t.Errorf("nothing has failed, and it was told: %q", lines)
				}
			})
		})
	}
}

// get returns the value of key, and whether it is stale; nothing is loaded.
func get(t *testing.T, s *storetest.Store, kind *entry.Kind, key string) (value any, stale bool) {
	t.Helper()
	items, err := s.Lookups.Get(t.Context(), &load.Request{Kind: kind, Policy: hour}, []load.Query{s.Query(key)}, true)
	if err != nil {
		t.Fatal(err)
	}
	if items[0] == nil {
		return nil, false
	}
	return items[0].Value, s.Memory.Check(t.Context(), items[0]) != memory.Fresh
}

func set(t *testing.T, s *storetest.Store, kind *entry.Kind, key, value string, tags ...string) {
	t.Helper()
	if err := s.Invalidate.Set(t.Context(), kind, key, value, &hour, tags); err != nil {
		t.Fatal(err)
	}
}

func TestEachChangeReachesEveryTierInEveryShapeOfStore(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		v, ctx, kind, other := s.Invalidate, t.Context(), s.Kind("a.Load"), s.Kind("b.Load")
		for name, change := range map[string]struct {
			do    func() error
			value any
			stale bool
		}{
			"nothing":        {func() error { return nil }, "v", false},
			"delete":         {func() error { return v.Delete(ctx, []string{"k"}, invalidate.Mode{}) }, nil, false},
			"silent delete":  {func() error { return v.Delete(ctx, []string{"k"}, invalidate.Mode{Silent: true}) }, nil, false},
			"expire":         {func() error { return v.Expire(ctx, []string{"k"}, invalidate.Mode{}) }, "v", true},
			"both":           {func() error { return v.Invalidate(ctx, []string{"k"}, []string{"y"}, invalidate.Mode{}) }, nil, false},
			"both, by tag":   {func() error { return v.Invalidate(ctx, []string{"l"}, []string{"x"}, invalidate.Mode{}) }, nil, false},
			"delete by tag":  {func() error { return v.DeleteByTag(ctx, []string{"x"}, invalidate.Mode{}) }, nil, false},
			"expire by tag":  {func() error { return v.ExpireByTag(ctx, []string{"x"}, invalidate.Mode{}) }, "v", true},
			"clear":          {func() error { return v.Clear(ctx, entry.Cache{Name: "a.Load"}, invalidate.Mode{}) }, nil, false},
			"clear all":      {func() error { return v.Clear(ctx, entry.Cache{}, invalidate.Mode{}) }, nil, false},
			"clear another":  {func() error { return v.Clear(ctx, entry.Cache{Name: "b.Load"}, invalidate.Mode{}) }, "v", false},
			"set":            {func() error { return v.Set(ctx, kind, "k", "new", &hour, nil) }, "new", false},
			"set to nothing": {func() error { return v.Set(ctx, kind, "k", "new", &policy.Policy{}, nil) }, nil, false},
			"pull": {func() error {
				it, err := v.Pull(ctx, kind, &hour, "k")
				if it == nil || it.Value != "v" {
					t.Errorf("pulled %v", it)
				}
				return err
			}, nil, false},
		} {
			set(t, s, kind, "k", "v", "x")
			set(t, s, other, "other", "v")
			if err := change.do(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for range 2 {
				if value, stale := get(t, s, kind, "k"); value != change.value || stale != change.stale {
					t.Errorf("%s: %v, stale: %v", name, value, stale)
				}
			}
			if value, _ := get(t, s, other, "other"); value != "v" && !strings.Contains(name, "all") && !strings.Contains(name, "another") {
				t.Errorf("%s: another entry is %v", name, value)
			}
		}
		if err := errors.Join(v.Delete(ctx, nil, invalidate.Mode{}), v.Expire(ctx, nil, invalidate.Mode{}), v.DeleteByTag(ctx, nil, invalidate.Mode{}), v.ExpireByTag(ctx, nil, invalidate.Mode{})); err != nil {
			t.Error(err)
		}
	})
}

func TestAnInvalidationIsToldToTheHooksAndTheOtherProcesses(t *testing.T) {
	var shared faketier.Shared
	var b faketier.Bus
	s, other := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Bus: &b}), storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared, Bus: &b})
	kind := s.Kind("a.Load")
	v, ctx := s.Invalidate, t.Context()
	set(t, s, kind, "k", "v")
	if err := errors.Join(
		v.Delete(ctx, []string{"k"}, invalidate.Mode{}), v.Delete(ctx, []string{"silent"}, invalidate.Mode{Silent: true}), v.Expire(ctx, []string{"k"}, invalidate.Mode{}),
		v.DeleteByTag(ctx, []string{"x", "x"}, invalidate.Mode{}), v.ExpireByTag(ctx, []string{"x"}, invalidate.Mode{}), v.Clear(ctx, entry.Cache{Namespace: []string{"users", "inner"}}, invalidate.Mode{}), v.Clear(ctx, entry.Cache{Name: "a.Load"}, invalidate.Mode{}),
	); err != nil {
		t.Fatal(err)
	}
	want := []string{"drop k", "drop k", "expire k", "delete stamp t:x", "expire stamp t:x", "delete stamp n:@users@inner", "delete stamp c::a.Load"}
	if got := other.Lines("received"); !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
	for hook, want := range map[string][]string{
		"written": {"k"}, "deleted": {"k", "silent", "x"}, "expired": {"k", "x"}, "cleared": {"users/inner", "a.Load"},
	} {
		if got := s.Lines(hook); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", hook, got, want)
		}
	}
}

// race R1: those who wait for a flight still get its value; nobody joins it, and nothing
// is kept of it.
func TestAnInvalidationPoisonsTheFlightsOfItsKeys(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		f := s.Memory.Flights.Join("k", false, new(flight.Batch), s.Stamps.Epoch).Flight
		if err := s.Invalidate.Expire(t.Context(), []string{"k"}, invalidate.Mode{}); err != nil || !f.Poisoned() {
			t.Error(err, f.Poisoned())
		}
	})
}

// race R5: a reader between the change of the shared tier and that of memory must not
// bring back what was there before.
func TestWhatIsReadWhileAnInvalidationIsUnderWayIsNotKept(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	kind := s.Kind("")
	set(t, s, kind, "k", "old")
	hash := s.Memory.Hash("k")
	it := s.Memory.Find("k", hash)
	for _, before := range []bool{true, false} {
		s.Memory.Set(hash, it)
		readAndKeep := func(op string) {
			if op == "delete" {
				s.Memory.PutRead(hash, s.Memory.Fence.Mark(hash), it, memory.Fresh)
			}
		}
		if before {
			shared.SetBefore(func(_ context.Context, op string, _ []string) error { readAndKeep(op); return nil })
		} else {
			shared.SetAfter(func(op string, _ []string) { readAndKeep(op) })
		}
		earlier, during := s.Memory.Fence.Mark(hash), s.Memory.Fence.Mark(hash)+1
		if err := s.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{}); err != nil {
			t.Fatal(err)
		}
		for _, mark := range []fence.Mark{earlier, during} { // whoever keeps only now what was read then
			s.Memory.PutRead(hash, mark, it, memory.Fresh)
		}
		if s.Memory.Find("k", hash) != nil {
			t.Errorf("the old value is back, before the change: %v", before)
		}
		shared.SetBefore(nil)
		shared.SetAfter(nil)
	}
}

// race R4, R27: with two writers of one key, both tiers end with one value, or memory with
// none.
func TestTwoSetsOfOneKeyLeaveMemoryWithWhatTheSharedTierHas(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	kind := s.Kind("")
	for range 200 {
		var wg sync.WaitGroup
		for _, value := range []string{"one", "two"} {
			wg.Go(func() { set(t, s, kind, "k", value) })
		}
		wg.Wait()
		_, remote, err := entry.Parse(shared.Keys()["k"])
		if err != nil {
			t.Fatal(err)
		}
		if it := s.Memory.Find("k", s.Memory.Hash("k")); it != nil && it.Value != string(remote) {
			t.Fatalf("%v in memory, %s in the shared tier", it.Value, remote)
		}
	}
}

// race R32: an invalidation that failed is queued before its caller knows, and nothing of
// what it concerns is read until it is through.
func TestAnInvalidationThatFailsIsPendingAndHoldsHere(t *testing.T) {
	for name, do := range map[string]func(*storetest.Store, *entry.Kind) error{
		"delete": func(s *storetest.Store, _ *entry.Kind) error {
			return s.Invalidate.Delete(context.Background(), []string{"k"}, invalidate.Mode{})
		},
		"expire": func(s *storetest.Store, _ *entry.Kind) error {
			return s.Invalidate.Expire(context.Background(), []string{"k"}, invalidate.Mode{})
		},
		"delete by tag": func(s *storetest.Store, _ *entry.Kind) error {
			return s.Invalidate.DeleteByTag(context.Background(), []string{"x"}, invalidate.Mode{})
		},
		"clear": func(s *storetest.Store, _ *entry.Kind) error {
			return s.Invalidate.Clear(context.Background(), entry.Cache{}, invalidate.Mode{})
		},
		"set": func(s *storetest.Store, kind *entry.Kind) error {
			return s.Invalidate.Set(context.Background(), kind, "k", "new", &hour, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var shared faketier.Shared
				s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
				kind := s.Kind("")
				set(t, s, kind, "k", "old", "x")
				shared.Down(errDown)
				err := do(s, kind)
				var failed *storetest.Invalidation
				if !errors.As(err, &failed) || !errors.Is(err, errDown) || failed.Op != name || s.Outbox.Len() == 0 || s.Lines("pending") == nil {
					t.Fatalf("%v, %d pending, %q", err, s.Outbox.Len(), s.Lines("pending"))
				}
				shared.Down(nil)
				s.Remote.CloseBreaker()
				items, errGet := s.Lookups.Get(t.Context(), &load.Request{Kind: kind, Policy: policy.Policy{TTL: time.Hour, SuppressL2Errors: true}}, []load.Query{s.Query("k")}, false)
				if errGet != nil || items[0] != nil && items[0].Value == "old" {
					t.Errorf("the old value was read: %v, %v", items[0], errGet)
				}
				time.Sleep(time.Minute)
				if s.Outbox.Len() != 0 {
					t.Error("still pending")
				}
				if value, stale := get(t, s, kind, "k"); value == "old" && !stale {
					t.Errorf("it is back")
				}
			})
		})
	}
}

func TestAnInvalidationThatTheOthersDoNotHearOfIsPublishedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b faketier.Bus
		s, other := storetest.New(t, store.Config{L1: storetest.L1(), Bus: &b}), storetest.New(t, store.Config{L1: storetest.L1(), Bus: &b})
		b.Cut(true)
		for _, err := range []error{
			s.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{}), s.Invalidate.ExpireByTag(t.Context(), []string{"x"}, invalidate.Mode{}),
		} {
			if !errors.Is(err, faketier.ErrCut) {
				t.Error(err)
			}
		}
		if err := s.Invalidate.Delete(t.Context(), []string{"silent"}, invalidate.Mode{Silent: true}); err != nil {
			t.Error("nobody was to be told:", err)
		}
		b.Cut(false)
		time.Sleep(time.Minute)
		if got := other.Lines("received"); !slices.Equal(got, []string{"drop k", "expire stamp t:x"}) {
			t.Errorf("%q", got)
		}
	})
}

// The caller has usually changed the source already.
func TestAChangeIsCarriedOutAlthoughItsCallerIsGone(t *testing.T) {
	shapes(t, func(t *testing.T, s *storetest.Store) {
		kind := s.Kind("")
		gone, leave := context.WithCancel(t.Context())
		leave()
		for name, do := range map[string]func() error{
			"delete":        func() error { return s.Invalidate.Delete(gone, []string{"k"}, invalidate.Mode{}) },
			"delete by tag": func() error { return s.Invalidate.DeleteByTag(gone, []string{"x"}, invalidate.Mode{}) },
			"set":           func() error { return s.Invalidate.Set(gone, kind, "k", "new", &hour, nil) },
		} {
			set(t, s, kind, "k", "old", "x")
			if err := do(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if value, _ := get(t, s, kind, "k"); value == "old" {
				t.Errorf("%s: not carried out", name)
			}
		}
	})
}

func TestAClosedStoreChangesNothing(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &faketier.Shared{}})
	kind := s.Kind("")
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Forget()
	ctx := t.Context()
	_, errPull := s.Invalidate.Pull(ctx, kind, &hour, "k")
	for _, err := range []error{
		errPull, s.Invalidate.Delete(ctx, []string{"k"}, invalidate.Mode{}), s.Invalidate.Expire(ctx, []string{"k"}, invalidate.Mode{}), s.Invalidate.DeleteByTag(ctx, []string{"x"}, invalidate.Mode{}),
		s.Invalidate.Clear(ctx, entry.Cache{}, invalidate.Mode{}), s.Invalidate.Set(ctx, kind, "k", "v", &hour, nil),
	} {
		if !errors.Is(err, background.ErrClosed) {
			t.Error(err)
		}
	}
	for _, hook := range []string{"deleted", "expired", "cleared", "written", "operation"} {
		if s.Lines(hook) != nil {
			t.Errorf("%s %q", hook, s.Lines(hook))
		}
	}
}

func TestAChangeTakesItsTurnAmongThoseWhoWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L2: &faketier.Shared{}})
		_, turn := s.Memory.Fence.BeginChange([]uint64{s.Memory.Hash("k")})
		turn.Wait(0)
		var done atomic.Bool
		go func() {
			_ = s.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{})
			done.Store(true)
		}()
		time.Sleep(time.Second / 2)
		if done.Load() {
			t.Error("it did not wait")
		}
		turn.End()
		synctest.Wait()
		if !done.Load() {
			t.Error("it waits for ever")
		}
		_, hangs := s.Memory.Fence.BeginChange([]uint64{s.Memory.Hash("k")})
		hangs.Wait(0)
		began := time.Now()
		if err := s.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{}); err == nil || time.Since(began) != s.Remote.Timeout {
			t.Error(err, time.Since(began))
		}
		time.Sleep(s.Remote.TurnLimit())
		if err := s.Invalidate.Delete(t.Context(), []string{"k"}, invalidate.Mode{}); err != nil {
			t.Error("who hangs for long holds up the others for ever:", err)
		}
		hangs.End()
	})
}

func TestAValueThatTheSharedTierDoesNotTakeReplacesTheOldOneAllTheSame(t *testing.T) {
	for name, test := range map[string]struct {
		p      policy.Policy
		spoil  func(*entry.Kind, *faketier.Shared)
		local  bool // memory keeps it
		failed bool
	}{
		"for memory alone": {policy.Policy{TTL: time.Hour, SkipL2Write: true}, func(*entry.Kind, *faketier.Shared) {}, true, false},
		"refused": {hour, func(_ *entry.Kind, shared *faketier.Shared) {
			shared.SetBefore(func(_ context.Context, op string, _ []string) error {
				if op == "set" {
					return drivers.ErrRefused
				}
				return nil
			})
		}, true, false},
		"without a form": {hour, func(kind *entry.Kind, _ *faketier.Shared) {
			kind.Encode = func(any) ([]byte, error) { return nil, errDown }
		}, false, true},
	} {
		for _, withMemory := range []bool{true, false} {
			var shared faketier.Shared
			c := store.Config{L2: &shared}
			if withMemory {
				c.L1 = storetest.L1()
			}
			s := storetest.New(t, c)
			kind := s.Kind("")
			set(t, s, kind, "k", "old")
			test.spoil(kind, &shared)
			err := s.Invalidate.Set(t.Context(), kind, "k", "new", &test.p, nil)
			if failed := test.failed || name == "refused" && !withMemory; (err != nil) != failed {
				t.Errorf("%s, with memory %v: %v", name, withMemory, err)
			}
			if shared.Keys()["k"] != nil {
				t.Errorf("%s: the old value is in the shared tier", name)
			}
			it := s.Memory.Find("k", s.Memory.Hash("k"))
			if kept := test.local && withMemory; (it != nil) != kept || kept && (it.Value != "new" || !it.LocalOnly) {
				t.Errorf("%s, with memory %v: %+v", name, withMemory, it)
			}
		}
	}
}

// race R34: that there is no value is stored, for its own time.
func TestAValueThatMeansThereIsNoneIsStoredAsSuch(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &faketier.Shared{}})
	kind := s.Kind("")
	kind.Absent = func(v any) bool { return v == "" }
	kind.ResultTags = func(v any) []string { return []string{"of " + v.(string)} }
	p := hour.Apply(policy.Options{NotFoundTTL: policy.Some(time.Minute)})
	if err := s.Invalidate.Set(t.Context(), kind, "k", "", &p, nil); err != nil {
		t.Fatal(err)
	}
	it := s.Memory.Find("k", s.Memory.Hash("k"))
	if it == nil || it.Presence != entry.Absent || it.FreshUntil > clock.Now()+int64(time.Minute) || len(it.Stamps) != 1 {
		t.Errorf("%+v", it)
	}
	set(t, s, kind, "k", "v", "x")
	if err := s.Invalidate.DeleteByTag(t.Context(), []string{"of v"}, invalidate.Mode{}); err != nil {
		t.Fatal(err)
	}
	if value, _ := get(t, s, kind, "k"); value != nil {
		t.Error("a tag that the value tells does not invalidate it:", value)
	}
}

// race R45: what an earlier write in doubt could overwrite is kept in memory alone.
func TestASetAfterAWriteInDoubtIsNotOverwrittenByIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
		kind := s.Kind("")
		shared.Down(errDown)
		_ = s.Remote.Set(t.Context(), []drivers.Item{{Key: "k", Value: []byte("late")}})
		shared.Down(nil)
		set(t, s, kind, "k", "new")
		if it := s.Memory.Find("k", s.Memory.Hash("k")); it == nil || !it.LocalOnly || shared.Keys()["k"] != nil {
			t.Errorf("%+v, %q", it, shared.Keys()["k"])
		}
		shared.Put("k", []byte("late")) // it lands
		time.Sleep(time.Minute)
		if value, _ := get(t, s, kind, "k"); value != "new" || shared.Keys()["k"] != nil {
			t.Errorf("%v, %q", value, shared.Keys()["k"])
		}
	})
}

// race R2: what was loaded before the new stamp is on its way is not kept under it,
// although this process has not heard of the end of the change.
func TestAStampIsAnnouncedBeforeItChanges(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L1: storetest.L1(), L2: &shared})
	epoch, asked := s.Stamps.Epoch(), false
	shared.SetBefore(func(_ context.Context, op string, _ []string) error {
		if op == "delete" {
			asked = true
			if !s.Stamps.ChangedSince("t:x", epoch) {
				t.Error("the change is not announced")
			}
		}
		return nil
	})
	if err := s.Invalidate.DeleteByTag(t.Context(), []string{"x"}, invalidate.Mode{}); err != nil || !asked {
		t.Error(err, asked)
	}
}
