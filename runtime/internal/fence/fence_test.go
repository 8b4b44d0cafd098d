package fence

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func yes(int) bool { return true }

func TestNothingIsKeptAfterAMove(t *testing.T) {
	var s Fence
	mark := s.Mark(1)
	kept := 0
	keep := func() { kept++ }
	if !s.KeepIf(1, mark, keep) || kept != 1 {
		t.Fatal("refused before the move")
	}
	s.Advance(1, func(before Mark) {
		if before != mark {
			t.Errorf("before is %d, want %d", before, mark)
		}
	})
	if s.KeepIf(1, mark, keep) || kept != 1 {
		t.Fatal("kept after the move")
	}
	if !s.KeepIf(1, s.Mark(1), keep) {
		t.Fatal("refused with a new mark")
	}
	mark = s.Mark(2)
	s.AdvanceAll()
	if s.KeepIf(2, mark, keep) || !s.KeepIf(2, s.Mark(2), keep) {
		t.Fatal("AdvanceAll left a stripe alone")
	}
}

func TestWritesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Fence
		one := s.BeginFill([]uint64{1}, yes)
		two := s.BeginFill([]uint64{1}, yes)
		_, three := s.BeginChange([]uint64{1, 2})
		if s.BeginFill([]uint64{1, 2}, yes) != nil {
			t.Error("a fill began while an invalidation was under way")
		}
		if s.BeginFill([]uint64{3}, func(int) bool { return false }) != nil {
			t.Error("a fill began although it may not")
		}
		_, four := s.BeginChange([]uint64{2})
		start := time.Now()
		go func() { time.Sleep(time.Second); one.End() }()
		go func() { time.Sleep(2 * time.Second); two.End() }()
		go func() { three.Wait(time.Minute); time.Sleep(time.Second); three.End() }()
		four.Wait(time.Minute)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("waited %v, want until all before had ended", took)
		}
		four.End()
		if last := s.BeginFill([]uint64{2}, yes); last == nil {
			t.Error("no fill after all had ended")
		} else {
			last.Wait(time.Minute)
			last.End()
		}
	})
}

// A fill of many keys leaves out those that are being invalidated, and whoever
// changes one of the others waits for it.
func TestAFillOfManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Fence
		_, change := s.BeginChange([]uint64{2})
		var asked []int
		fill := s.BeginFill([]uint64{1, 2, 3, 3 + stripes, 4}, func(i int) bool { asked = append(asked, i); return i != 4 })
		if !slices.Equal(asked, []int{0, 2, 3, 4}) {
			t.Errorf("asked about %v", asked)
		}
		change.Wait(time.Minute)
		change.End()
		fill.Wait(time.Minute)
		for hash, wait := range map[uint64]time.Duration{1: time.Second, 2: 0, 3: time.Second, 4: 0} {
			go func() {
				_, turn := s.BeginChange([]uint64{hash})
				start := time.Now()
				turn.Wait(time.Minute)
				if took := time.Since(start); took != wait {
					t.Errorf("a change of %d waited %v, want %v", hash, took, wait)
				}
				turn.End()
			}()
		}
		time.Sleep(time.Second)
		fill.End()
		synctest.Wait()
		for i := range s.stripes {
			if len(s.stripes[i].queues) > 0 {
				t.Errorf("stripe %d is not empty after all had ended", i)
			}
		}
	})
}

func TestAWaitEndsWithItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Fence
		hung := s.BeginFill([]uint64{1}, yes)
		hung.Wait(time.Second)
		_, turn := s.BeginChange([]uint64{1})
		start := time.Now()
		turn.Wait(time.Second)
		if time.Since(start) != time.Second {
			t.Error("did not wait for the fill")
		}
		turn.End()
		hung.End()
	})
}

// Who has no time to wait for its turn does not write: those before it would overwrite that,
// and those behind it wait for those before it all the same.
func TestAWaitThatIsGivenUpIsNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Fence
		first := s.BeginFill([]uint64{1}, yes)
		first.Wait(time.Second)
		_, second := s.BeginChange([]uint64{1})
		_, third := s.BeginChange([]uint64{1})
		if first.Order() >= second.Order() || second.Order() >= third.Order() || third.Order() >= s.NextOrder() {
			t.Error("the order of the turns is not that of the queue")
		}
		start := time.Now()
		if second.WaitWithin(time.Hour, time.Second) || time.Since(start) != time.Second {
			t.Error("the turn has come, after", time.Since(start))
		}
		second.End()
		if third.WaitWithin(time.Hour, 2*time.Second) || time.Since(start) != 3*time.Second {
			t.Error("it did not wait for the first, after", time.Since(start))
		}
		third.End()
		_, fourth := s.BeginChange([]uint64{1})
		first.End()
		if !fourth.WaitWithin(time.Hour, time.Second) || time.Since(start) != 3*time.Second {
			t.Error("its turn does not come")
		}
		_, fifth := s.BeginChange([]uint64{1})
		if fifth.WaitWithin(time.Hour, 0) {
			t.Error("a turn without time has come")
		}
		fifth.End()
		fourth.End()
		if _, alone := s.BeginChange([]uint64{1}); !alone.WaitWithin(time.Hour, 0) {
			t.Error("nobody is before it")
		}
	})
}

// A wait is for one key: who writes another one, although on the same stripe, is not held
// up by it, nor by who waits for it.
func TestWritesOfOtherKeysOnAStripeWaitForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Fence
		hung := s.BeginFill([]uint64{1}, yes)
		_, change := s.BeginChange([]uint64{1, 2 + stripes}) // waits
		start := time.Now()
		fill := s.BeginFill([]uint64{1 + stripes, 2}, yes)
		if fill == nil {
			t.Fatal("a fill is refused because another key on its stripe is being invalidated")
		}
		fill.Wait(time.Minute)
		marks, other := s.BeginChange([]uint64{1 + 2*stripes})
		other.Wait(time.Minute)
		if took := time.Since(start); took != 0 {
			t.Errorf("writes of other keys waited %v", took)
		}
		s.Advance(1, nil)
		s.Advance(1+2*stripes, func(before Mark) {
			if before != marks[0] {
				t.Error("a change of another key on the stripe looks like one of this key")
			}
		})
		s.Advance(1+2*stripes, func(before Mark) {
			if before == marks[0] {
				t.Error("a change of the key goes unnoticed")
			}
		})
		s.AdvanceAll()
		s.Advance(1+2*stripes, func(before Mark) {
			if before != marks[0]+3 {
				t.Error("a change of all keys goes unnoticed")
			}
		})
		for _, turn := range []*Turn{hung, fill, other, change} {
			turn.End()
		}
	})
}

// One that hangs with many keys holds up those of them once, not once for each, and several
// that hang together hold up a key for one limit.
func TestTheLimitOfAWaitIsNotOneForEachKeyOrWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Fence
		var keys []uint64
		for i := range uint64(100) {
			keys = append(keys, i)
		}
		var hung []*Turn
		for i := range 10 {
			turn := s.BeginFill(keys[10*i:10*i+10], yes)
			turn.Wait(time.Second)
			hung = append(hung, turn)
		}
		_, turn := s.BeginChange(keys)
		start := time.Now()
		turn.Wait(time.Second)
		if took := time.Since(start); took != time.Second {
			t.Errorf("waited %v, want the limit", took)
		}
		for _, turn := range append(hung, turn) {
			turn.End()
		}
	})
}

// Changes over many stripes in any order neither overlap nor wait for each other
// in a circle.
func TestChangesOverManyStripesDoNotDeadlock(t *testing.T) {
	var s Fence
	var at [8]atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 8 {
		wg.Go(func() {
			for range 300 {
				var hashes []uint64
				for range 1 + rand.IntN(6) {
					hashes = append(hashes, uint64(rand.IntN(len(at))))
				}
				_, turn := s.BeginChange(hashes)
				turn.Wait(time.Minute)
				if ctx.Err() != nil {
					t.Error("waits for ever")
				}
				seen := map[uint64]bool{}
				for _, h := range hashes {
					if !seen[h] && at[h].Add(1) != 1 {
						t.Error("two changes of one stripe at a time")
					}
					seen[h] = true
				}
				for h := range seen {
					at[h].Add(-1)
				}
				turn.End()
			}
		})
	}
	wg.Wait()
}

// A write that the tier itself refuses waits for nobody and holds nobody up. It does not begin while
// its key is being changed, and has its place among the changes.
func TestAFillWithoutATurn(t *testing.T) {
	var s Fence
	mays := func(hashes ...uint64) (asked []int, o Order) {
		o = s.OrderFill(hashes, func(i int) bool {
			asked = append(asked, i)
			return true
		})
		return asked, o
	}
	first := s.NextOrder()
	fill := s.BeginFill([]uint64{1}, yes)
	asked, order := mays(1, 2)
	if !slices.Equal(asked, []int{0, 1}) || order <= first {
		t.Error(asked, order, first)
	}
	fill.End()
	_, change := s.BeginChange([]uint64{2})
	if change.Order() <= order {
		t.Error("the change began later", change.Order(), order)
	}
	asked, order = mays(1, 2, 3)
	if !slices.Equal(asked, []int{0, 2}) || order <= change.Order() {
		t.Error(asked, order, change.Order())
	}
	if !change.WaitWithin(time.Hour, 0) {
		t.Error("it waits for the fill")
	}
	change.End()
	if asked, _ = mays(2); len(asked) != 1 {
		t.Error("the change has ended")
	}
	if len(s.of(1).queues)+len(s.of(2).queues)+len(s.of(3).queues) != 0 {
		t.Error("something is left")
	}
}
