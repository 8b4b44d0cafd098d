package remote_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

// learned returns the cells of names, with stamps that are in the shared tier.
func learned(t *testing.T, s *storetest.Store, names ...string) (cells []*stamp.Cell) {
	t.Helper()
	for _, name := range names {
		cells = append(cells, s.Stamps.Cell(name))
	}
	if _, err := s.Remote.Read(t.Context(), time.Second, nil, cells); err != nil {
		t.Fatal(err)
	}
	return cells
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
		shared.Before = func(context.Context, string, []string) error {
			s.Stamps.Gap(true)
			return errDown
		}
		s.Remote.RefreshStamps(t.Context(), time.Second, cells)
		if trusted(cells[0]) > 0 {
			t.Errorf("trusted for %v", trusted(cells[0]))
		}
		shared.Before = nil
	})
}

func TestAStampWithAPendingChangeDoesNotKeepTheOthersFromBeingRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		cells := learned(t, s, "t:x", "t:y")
		time.Sleep(5 * time.Second)
		shared.Put("!d:t:y", stamp.Bytes(99))
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
		shared.Put("!d:t:x", stamp.Bytes(99))
		time.Sleep(time.Second)
		release := make(chan struct{})
		shared.Before = func(context.Context, string, []string) error {
			<-release
			return nil
		}
		for range 3 { // while it is read, nobody reads it again
			if !s.Remote.RefreshInBackground(c, until, time.Now().UnixNano()) {
				t.Error("it may not be used meanwhile")
			}
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if v, _, _ := c.Current(); v.Delete != 99 || shared.Calls("get") != 2 {
			t.Errorf("%v after %d reads", v, shared.Calls("get"))
		}
		shared.Before = nil
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
		shared.Before = func(context.Context, string, []string) error { panic("boom") }
		s.Remote.RefreshInBackground(c, until, until)
		synctest.Wait()
		if c.Refreshing.Load() || !s.Told("warn", "boom") {
			t.Errorf("refreshing for ever, %q", s.Lines("warn"))
		}
		shared.Before = nil
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if !s.Remote.RefreshInBackground(c, until, until) || c.Refreshing.Load() {
			t.Error("it waits for a refresh that does not run")
		}
	})
}

func TestARotationWritesOneHalfAndFirstTheNumberOfTagChanges(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared, Prefix: "app"})
	var writes [][]string
	shared.Before = func(_ context.Context, op string, keys []string) error {
		if op == "set" {
			writes = append(writes, slices.Clone(keys))
		}
		return nil
	}
	rotate := func(expire bool, names ...string) {
		t.Helper()
		if err := s.Remote.RotateStamps(t.Context(), names, expire); err != nil {
			t.Fatal(err)
		}
	}
	rotate(false, "t:x", "t:y")
	number := shared.Keys()["app:!t"]
	rotate(true, entry.StoreStamp)
	rotate(true, "t:x")
	want := [][]string{{"app:!t"}, {"app:!d:t:x", "app:!d:t:y"}, {"app:!x:s"}, {"app:!t"}, {"app:!x:t:x"}}
	if !slices.EqualFunc(writes, want, slices.Equal[[]string]) {
		t.Errorf("%q, want %q", writes, want)
	}
	if slices.Equal(number, shared.Keys()["app:!t"]) {
		t.Error("the number has not changed")
	}
}

// Who sees a new stamp has to see the new number.
func TestARotationWhoseNumberCannotBeWrittenWritesNoStamp(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared})
	shared.Before = func(_ context.Context, _ string, keys []string) error {
		if keys[0] == "!t" {
			return errDown
		}
		return nil
	}
	if err := s.Remote.RotateStamps(t.Context(), []string{"t:x"}, false); !errors.Is(err, errDown) || len(shared.Keys()) != 0 {
		t.Error(err, shared.Keys())
	}
}

func TestTheStampOfATagIsKeptForThirtyDaysAndTheOthersForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		if err := s.Remote.RotateStamps(t.Context(), []string{"t:x", "s"}, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30*24*time.Hour - 1)
		read := func() [][]byte {
			values, err := s.Remote.Read(t.Context(), time.Second, []string{"!d:t:x", "!d:s"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return values
		}
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
	if half, _ := stamp.Parse(shared.Keys()["!d:t:x"]); half != v.Delete || shared.Calls("add") != 0 {
		t.Errorf("%d in the tier, %d here", half, v.Delete)
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
		shared.Before = func(context.Context, string, []string) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		}
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
		shared.Before = nil
	})
}
