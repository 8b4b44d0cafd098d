package remote_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

// record returns the bytes of a stamp.
func record(half uint64) []byte {
	return stamp.Record{Value: stamp.Value{Delete: half, Expire: half}, Until: math.MaxInt64}.Bytes()
}

// learned returns the cells of names, with stamps that are in the shared tier.
func learned(t *testing.T, s *storetest.Store, names ...string) (cells []*stamp.Cell) {
	t.Helper()
	for _, name := range names {
		cells = append(cells, s.Stamps.Cell(name))
	}
	if err := s.Remote.MakeStamps(t.Context(), cells, time.Hour); err != nil {
		t.Fatal(err)
	}
	return cells
}

func deleteTag(t *testing.T, s *storetest.Store, tag string) {
	t.Helper()
	if err := s.Invalidate.DeleteByTag(t.Context(), []string{tag}, invalidate.Mode{}); err != nil {
		t.Error(err)
	}
}

// trusted returns for how long the stamp of c is still trusted.
func trusted(c *stamp.Cell) time.Duration {
	_, until, _ := c.Current()
	if until == math.MinInt64 {
		return math.MinInt64
	}
	return time.Duration(until - time.Now().UnixNano())
}

// The cache must not be the outage.
func TestWhatIsKnownOfAStampIsTrustedOnWhileTheTierDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		cells := learned(t, s, "t:x")
		before, _, _ := cells[0].Current()
		time.Sleep(5 * time.Second)
		shared.Down(errDown)
		s.Remote.RefreshStamps(t.Context(), time.Second, cells)
		if v, _, _ := cells[0].Current(); v != before || trusted(cells[0]) != time.Second || !s.Told("warn", "read stamps") {
			t.Errorf("%v for %v", v, trusted(cells[0]))
		}
		shared.Down(nil)
	})
}

func TestACallerWhoGaveUpTellsNothingOfAStamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		cells := learned(t, s, "t:x")
		time.Sleep(5 * time.Second)
		gone, leave := context.WithCancel(t.Context())
		leave()
		s.Remote.RefreshStamps(gone, time.Second, cells)
		if trusted(cells[0]) > 0 || s.Lines("warn") != nil {
			t.Errorf("trusted for %v, %q", trusted(cells[0]), s.Lines("warn"))
		}
	})
}

// What was distrusted during the read is not trusted because the read failed.
func TestAStampIsNotTrustedOnThatWasDistrustedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		cells := learned(t, s, "t:x")
		time.Sleep(5 * time.Second)
		shared.SetBefore(func(context.Context, string, []string) error {
			s.Stamps.Gap(true)
			return errDown
		})
		s.Remote.RefreshStamps(t.Context(), time.Second, cells)
		if trusted(cells[0]) > 0 {
			t.Errorf("trusted for %v", trusted(cells[0]))
		}
		shared.SetBefore(nil)
	})
}

func TestAStampWithAPendingChangeDoesNotKeepTheOthersFromBeingRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		cells := learned(t, s, "t:x", "t:y")
		time.Sleep(5 * time.Second)
		shared.Put("!s:t:y", record(99))
		pend(s, deleteStamp, "t:x")
		s.Remote.RefreshStamps(t.Context(), time.Second, cells)
		if v, _, _ := cells[1].Current(); v.Delete != 99 {
			t.Error("the other was not read")
		}
		if trusted(cells[0]) != time.Second {
			t.Errorf("the one with a pending change is trusted for %v", trusted(cells[0]))
		}
	})
}

func TestAStampIsReadInTheBackgroundOnceItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		c := learned(t, s, "t:x")[0]
		_, until, _ := c.Current()
		shared.Put("!s:t:x", record(99))
		time.Sleep(time.Second)
		release := make(chan struct{})
		shared.SetBefore(func(context.Context, string, []string) error {
			<-release
			return nil
		})
		for range 3 { // while it is read, nobody reads it again
			if !s.Remote.RefreshInBackground(c, until, time.Now().UnixNano()) {
				t.Error("it may not be used meanwhile")
			}
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if v, _, _ := c.Current(); v.Delete != 99 || shared.Calls("get") != 1 {
			t.Errorf("%v after %d reads", v, shared.Calls("get"))
		}
		shared.SetBefore(nil)
		time.Sleep(2 * time.Second)
		_, until, _ = c.Current()
		if s.Remote.RefreshInBackground(c, until, until+int64(time.Second)) {
			t.Error("used although nobody has asked about it for longer than it is trusted")
		}
		if s.Remote.RefreshInBackground(c, math.MinInt64, until) {
			t.Error("used although it has changed")
		}
	})
}

func TestARefreshInTheBackgroundThatCannotBeginOrPanicsIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		c := learned(t, s, "t:x")[0]
		_, until, _ := c.Current()
		time.Sleep(time.Second)
		shared.SetBefore(func(context.Context, string, []string) error { panic("boom") })
		s.Remote.RefreshInBackground(c, until, until)
		synctest.Wait()
		if c.Refreshing.Load() || !s.Told("warn", "boom") {
			t.Errorf("refreshing for ever, %q", s.Lines("warn"))
		}
		shared.SetBefore(nil)
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if !s.Remote.RefreshInBackground(c, until, until) || c.Refreshing.Load() {
			t.Error("it waits for a refresh that does not run")
		}
	})
}

func TestARotationRemovesOrExpiresAndFirstTheNumberOfTagChanges(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared, Prefix: "app"})
	cells := learned(t, s, "t:x", "t:y", entry.StoreStamp)
	before := entry.Refs(cells)
	shared.Put("app:!t", []byte("number"))
	var writes []string
	shared.SetBefore(func(_ context.Context, op string, keys []string) error {
		if op != "get" {
			writes = append(writes, op+" "+strings.Join(keys, " "))
		}
		return nil
	})
	rotate := func(expire bool, names ...string) {
		t.Helper()
		if err := s.Remote.RotateStamps(t.Context(), names, expire, false); err != nil {
			t.Fatal(err)
		}
	}
	rotate(true, "t:x", "t:none")
	rotate(true, entry.StoreStamp)
	rotate(false, "t:y", "t:none")
	want := []string{"delete app:!t", "swap app:!s:t:x", "swap app:!s:s", "delete app:!t", "delete app:!s:t:y app:!s:t:none"}
	if !slices.Equal(writes, want) {
		t.Errorf("%q, want %q", writes, want)
	}
	x, _ := stamp.Parse(shared.Keys()["app:!s:t:x"])
	if x.Delete != before[0].Delete || x.Expire == before[0].Expire || len(shared.Keys()) != 2 {
		t.Errorf("%v after %v, %q", x, before[0], shared.Keys())
	}
}

// Who finds a stamp changed has to find the number changed.
func TestARotationWhoseNumberCannotBeChangedChangesNoStamp(t *testing.T) {
	for _, expire := range []bool{false, true} {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		learned(t, s, "t:x")
		before := shared.Keys()
		shared.SetBefore(func(_ context.Context, _ string, keys []string) error {
			if keys[0] == "!t" {
				return errDown
			}
			return nil
		})
		if err := s.Remote.RotateStamps(t.Context(), []string{"t:x"}, expire, false); !errors.Is(err, errDown) || !maps.EqualFunc(before, shared.Keys(), slices.Equal[[]byte]) {
			t.Error(err, shared.Keys())
		}
	}
}

// An expiry takes nothing from the entries but their freshness, and fails towards less: who
// cannot expire a stamp removes it.
func TestAnExpiryThatMeetsAnotherChangeIsNotLost(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(t *testing.T, shared *faketier.Shared, try int) error
		tier      func(*faketier.Shared) drivers.L2
		left      bool
	}{
		"extended once": {meanwhile: func(_ *testing.T, shared *faketier.Shared, try int) error {
			if r, _ := stamp.Parse(shared.Keys()["!s:t:x"]); try == 1 {
				r.Until++
				shared.Put("!s:t:x", r.Bytes())
			}
			return nil
		}, left: true},
		"extended all the time": {meanwhile: func(_ *testing.T, shared *faketier.Shared, _ int) error {
			r, _ := stamp.Parse(shared.Keys()["!s:t:x"])
			r.Until++
			shared.Put("!s:t:x", r.Bytes())
			return nil
		}},
		"foreign": {meanwhile: func(_ *testing.T, shared *faketier.Shared, _ int) error {
			shared.Put("!s:t:x", []byte("foreign"))
			return nil
		}},
		"refused":                             {meanwhile: func(*testing.T, *faketier.Shared, int) error { return drivers.ErrRefused }},
		"a tier that cannot compare and swap": {tier: func(shared *faketier.Shared) drivers.L2 { return basic{shared} }},
	} {
		t.Run(name, func(t *testing.T) {
			var shared faketier.Shared
			c := store.Config{L2: &shared}
			if test.tier != nil {
				c.L2 = test.tier(&shared)
			}
			s := storetest.New(t, c)
			cell := learned(t, s, "t:x")[0]
			before, _, _ := cell.Current()
			swaps := 0
			shared.SetBefore(func(_ context.Context, op string, _ []string) error {
				if op != "swap" {
					return nil
				}
				swaps++
				return test.meanwhile(t, &shared, swaps)
			})
			if err := s.Remote.RotateStamps(t.Context(), []string{"t:x"}, true, false); err != nil {
				t.Fatal(err)
			}
			r, ok := stamp.Parse(shared.Keys()["!s:t:x"])
			if ok != test.left || ok && (r.Delete != before.Delete || r.Expire == before.Expire) {
				t.Errorf("%v, %v after %v", r, ok, before)
			}
		})
	}
}

// A stamp lives as long as what carries it, and not for ever.
func TestAStampIsKeptAsLongAsTheEntriesThatCarryIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s, other := storetest.New(t, store.Config{L2: &shared}), storetest.New(t, store.Config{L2: &shared})
		kind := s.Kind("")
		until := func() time.Duration {
			t.Helper()
			values, err := shared.GetMany(t.Context(), []string{"!s:t:x"})
			r, ok := stamp.Parse(values[0])
			if err != nil || !ok {
				t.Fatalf("%v, %v", values, err)
			}
			if r.Until == math.MaxInt64 {
				return math.MaxInt64
			}
			return time.Duration(r.Until - time.Now().UnixNano())
		}
		cells := kind.Cells([]string{"x"})
		if err := s.Remote.MakeStamps(t.Context(), cells, time.Second); err != nil {
			t.Fatal(err)
		}
		if got := until(); got < time.Second || got > 2*time.Second+2*time.Minute {
			t.Errorf("kept for %v for an entry of a second", got)
		}
		if err := other.Remote.MakeStamps(t.Context(), other.Kind("").Cells([]string{"x"}), time.Hour); err != nil { // which is about to load one
			t.Fatal(err)
		}
		if got := until(); got < time.Hour || got > 3*time.Hour {
			t.Errorf("kept for %v for an entry of an hour that is being loaded", got)
		}
		value, _, _ := cells[1].Current()
		prolong := func(s *storetest.Store, p policy.Policy) {
			t.Helper()
			kind := s.Kind("")
			it := kind.New("k", "v", entry.Present, &p, time.Now().UnixNano(), entry.Refs(kind.Cells([]string{"x"})))
			if err := s.Remote.ProlongStamps(t.Context(), []*entry.Item{it, it}); err != nil {
				t.Error(err)
			}
			if now, _, _ := s.Stamps.Cell("t:x").Current(); now != value {
				t.Error("an extension has changed the stamp")
			}
		}
		prolong(s, policy.Policy{TTL: time.Hour, Grace: 2 * time.Hour})
		if got := until(); got < 3*time.Hour || got > 7*time.Hour {
			t.Errorf("kept for %v for an entry of three hours", got)
		}
		swaps := shared.Calls("swap")
		time.Sleep(time.Hour)
		prolong(s, policy.Policy{TTL: time.Hour, Grace: 2 * time.Hour})
		if shared.Calls("swap") != swaps {
			t.Error("it is extended for each entry")
		}
		prolong(other, policy.Policy{TTL: 12 * time.Hour}) // which knows of the first extension by the record only
		if got := until(); got < 12*time.Hour || got > 25*time.Hour {
			t.Errorf("kept for %v for an entry of twelve hours", got)
		}
		prolong(s, policy.Policy{TTL: time.Minute}) // and what is shorter does not shorten it
		if got := until(); got < 12*time.Hour {
			t.Errorf("kept for %v", got)
		}
		prolong(s, policy.Policy{TTL: math.MaxInt64})
		if got := until(); got != math.MaxInt64 {
			t.Errorf("kept for %v for an entry that lives for ever", got)
		}
		deleteTag(t, other, "x")
		prolongGone := kind.New("k", "v", entry.Present, &policy.Policy{TTL: math.MaxInt64}, 1, []entry.StampRef{{Cell: cells[1], Value: value}})
		if err := s.Remote.ProlongStamps(t.Context(), []*entry.Item{prolongGone}); err != nil || shared.Keys()["!s:t:x"] != nil {
			t.Errorf("an extension brings an invalidated stamp back: %v", err)
		}
	})
}

// Without compare and swap nothing can be extended safely: it could bring back what was
// invalidated meanwhile.
func TestWithoutCompareAndSwapTheStampOfATagIsKeptForThirtyDaysAndTheOthersForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: basic{&shared}})
		learned(t, s, "t:x", "s")
		read := func() [][]byte {
			t.Helper()
			values, err := shared.GetMany(t.Context(), []string{"!s:t:x", "!s:s"})
			if err != nil {
				t.Fatal(err)
			}
			return values
		}
		time.Sleep(30*24*time.Hour - 1)
		if values := read(); values[0] == nil || values[1] == nil {
			t.Error("gone too early")
		}
		time.Sleep(time.Nanosecond)
		if values := read(); values[0] != nil || values[1] == nil {
			t.Error("kept too long, or the other gone")
		}
	})
}

func TestWithoutAnAdderMissingStampsAreStoredAllTheSame(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: basic{&shared}})
	c := learned(t, s, "t:x")[0]
	v, _, _ := c.Current()
	if r, _ := stamp.Parse(shared.Keys()["!s:t:x"]); r.Value != v || shared.Calls("add") != 0 {
		t.Errorf("%v in the tier, %v here", r, v)
	}
}

func TestProvideAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		c := s.Stamps.Cell("t:x")
		s.Remote.Provide([]*stamp.Cell{c})
		if v, _, ok := c.Current(); !ok || !c.Provided(v) || trusted(c) > 0 || shared.Calls("get") != 0 {
			t.Errorf("%v, trusted for %v", v, trusted(c))
		}
	})
}

// Many stamps that are due at once need few reads, and few at a time.
func TestStampsThatAreDueAtOnceAreReadTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared, Background: 1})
		var names []string
		for i := range 10_000 {
			names = append(names, fmt.Sprint("t:", i))
		}
		cells := learned(t, s, names...)
		running, most := 0, 0
		var mu sync.Mutex
		shared.SetBefore(func(context.Context, string, []string) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		})
		_, until, _ := cells[0].Current()
		time.Sleep(time.Until(time.Unix(0, until)))
		reads := shared.Calls("get")
		for range 2 {
			for _, c := range cells {
				if !s.Remote.RefreshInBackground(c, until, until) {
					t.Fatal("not used meanwhile")
				}
			}
		}
		time.Sleep(time.Second)
		if n := shared.Calls("get") - reads; n > 4+10_000/250 || most > 4 {
			t.Errorf("%d reads, %d at a time", n, most)
		}
		for _, c := range cells {
			if _, trusted, _ := c.Current(); trusted <= until || c.Refreshing.Load() {
				t.Fatal("a stamp was not read again")
			}
		}
		shared.SetBefore(nil)
	})
}
