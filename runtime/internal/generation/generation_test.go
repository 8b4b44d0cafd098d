package generation

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func yes() bool { return true }

func TestNothingIsKeptAfterAMove(t *testing.T) {
	var s Stripes
	mark := s.Mark(1)
	kept := 0
	keep := func() { kept++ }
	if !s.If(1, mark, keep) || kept != 1 {
		t.Fatal("refused before the move")
	}
	s.Move(1, func(before Mark) {
		if before != mark {
			t.Errorf("before is %d, want %d", before, mark)
		}
	})
	if s.If(1, mark, keep) || kept != 1 {
		t.Fatal("kept after the move")
	}
	if !s.If(1, s.Mark(1), keep) {
		t.Fatal("refused with a new mark")
	}
	mark = s.Mark(2)
	s.MoveAll()
	if s.If(2, mark, keep) || !s.If(2, s.Mark(2), keep) {
		t.Fatal("MoveAll left a stripe alone")
	}
}

func TestWritesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Stripes
		one, _ := s.Fill(1, yes)
		two, _ := s.Fill(1, yes)
		_, three := s.Change([]uint64{1, 2})
		if _, ok := s.Fill(1, yes); ok {
			t.Error("a fill began while an invalidation was under way")
		}
		if _, ok := s.Fill(3, func() bool { return false }); ok {
			t.Error("a fill began although it may not")
		}
		_, four := s.Change([]uint64{2})
		start := time.Now()
		go func() { time.Sleep(time.Second); one.End() }()
		go func() { time.Sleep(2 * time.Second); two.End() }()
		go func() { three.Wait(time.Minute); time.Sleep(time.Second); three.End() }()
		four.Wait(time.Minute)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("waited %v, want until all before had ended", took)
		}
		four.End()
		if last, ok := s.Fill(2, yes); !ok {
			t.Error("no fill after all had ended")
		} else {
			last.Wait(time.Minute)
			last.End()
		}
	})
}

func TestAWaitEndsWithItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Stripes
		hung, _ := s.Fill(1, yes)
		hung.Wait(time.Second)
		_, turn := s.Change([]uint64{1})
		start := time.Now()
		turn.Wait(time.Second)
		if time.Since(start) != time.Second {
			t.Error("did not wait for the fill")
		}
		turn.End()
		hung.End()
	})
}

// Changes over many stripes in any order neither overlap nor wait for each other
// in a circle.
func TestChangesOverManyStripesDoNotDeadlock(t *testing.T) {
	var s Stripes
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
				_, turn := s.Change(hashes)
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
