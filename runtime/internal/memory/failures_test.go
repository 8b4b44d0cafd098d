package memory_test

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

// fail remembers that a load of key has failed, for a second.
func fail(s *storetest.Store, key string, err error, tags ...string) *memory.Failure {
	cells := s.Kind("").Cells(tags)
	s.Remote.Provide(cells)
	failure := memory.NewFailure(key, err, clock.Now(), clock.Now()+int64(time.Second), entry.Refs(cells))
	f := lead(s, key)
	s.Memory.RememberFailure(s.Memory.Hash(key), f, failure)
	f.Finish(nil, err, false)
	return failure
}

// race R16: a failure is remembered for its time, and until it is invalidated.
func TestAFailureHoldsForItsTimeAndUntilItIsInvalidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		failed := func(key string) bool { return s.Memory.Failed(t.Context(), key) == errDown }
		fail(s, "k", errDown)
		fail(s, "tagged", errDown, "x")
		fail(s, "deleted", errDown)
		if !failed("k") || !failed("tagged") || !failed("deleted") || failed("other") {
			t.Error("not remembered, or of another key")
		}
		remove(s, "deleted")
		s.Stamps.Change("t:x", true, false) // there is no grace: stale is nothing
		if !failed("k") || failed("tagged") || failed("deleted") {
			t.Error("not invalidated")
		}
		time.Sleep(time.Second)
		if failed("k") {
			t.Error("still remembered")
		}
	})
}

func TestAFailureIsNotRememberedOfAFlightThatWasOvertaken(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	hash := s.Memory.Hash("k")
	failure := memory.NewFailure("k", errDown, clock.Now(), clock.Never, nil)
	kept := lead(s, "k")
	s.Memory.Put("k", hash, kept, s.Item(s.Kind(""), "k", "v", hour))
	s.Memory.RememberFailure(hash, kept, failure)
	if s.Memory.Failed(t.Context(), "k") != nil {
		t.Error("of a flight whose result was kept")
	}
	kept.Finish(nil, nil, false)
	poisoned := lead(s, "k")
	remove(s, "k")
	s.Memory.RememberFailure(hash, poisoned, failure)
	if s.Memory.Failed(t.Context(), "k") != nil {
		t.Error("of a flight that was poisoned")
	}
}

func TestForgettingAFailureLeavesALaterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		first := fail(s, "k", errors.New("first"))
		second := fail(s, "k", errDown)
		s.Memory.ForgetFailure(first)
		s.Memory.ForgetFailure(nil)
		if s.Memory.Failed(t.Context(), "k") != errDown {
			t.Error("the later one is forgotten")
		}
		s.Memory.ForgetFailure(second)
		if s.Memory.Failed(t.Context(), "k") != nil {
			t.Error("not forgotten")
		}
	})
}

// A source that fails for every key must not fill the memory.
func TestNoMoreThanTenThousandFailuresAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t, store.Config{L1: storetest.L1()})
		remembered := func(n int) (count int) {
			for i := range n {
				if s.Memory.Failed(t.Context(), strconv.Itoa(i)) != nil {
					count++
				}
			}
			return count
		}
		for i := range 5000 {
			fail(s, strconv.Itoa(i), errDown)
		}
		time.Sleep(time.Second) // these are over, and go first
		for i := 5000; i < 14000; i++ {
			fail(s, strconv.Itoa(i), errDown)
		}
		if n := remembered(14000); n != 9000 {
			t.Errorf("%d are remembered, want 9000: there was room", n)
		}
		for i := 14000; i < 16000; i++ {
			fail(s, strconv.Itoa(i), errDown)
		}
		if n := remembered(16000); n > 10000 || n < 8000 || s.Memory.Failed(t.Context(), "15999") == nil {
			t.Errorf("%d are remembered", n)
		}
	})
}
