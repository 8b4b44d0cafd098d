package generation

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestNothingIsStoredAfterAMove(t *testing.T) {
	var s Stripes
	mark := s.Mark(1)
	stored := 0
	store := func() { stored++ }
	if !s.If(1, mark, store) || stored != 1 {
		t.Fatal("refused before the move")
	}
	s.Move(1, nil)
	if s.If(1, mark, store) || stored != 1 {
		t.Fatal("stored after the move")
	}
	if _, ok := s.Fill(1, mark); ok {
		t.Fatal("a fill began after the move")
	}
	if !s.If(1, s.Mark(1), store) {
		t.Fatal("refused with a new mark")
	}
	s.MoveAll()
	if !s.If(2, s.Mark(2), store) || s.If(2, mark, store) {
		t.Fatal("MoveAll left a stripe alone")
	}
}

func TestAMoveWaitsForTheFillsBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Stripes
		one, _ := s.Fill(1, s.Mark(1))
		two, _ := s.Fill(1, s.Mark(1))
		mark, wait := s.Move(1, nil)
		later, ok := s.Fill(1, mark) // must not keep the first move waiting
		if !ok {
			t.Fatal("no fill after the move")
		}
		start := time.Now()
		go func() { time.Sleep(time.Second); one() }()
		go func() { time.Sleep(2 * time.Second); two() }()
		wait(t.Context())
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("waited %v, want until both had ended", took)
		}
		_, wait = s.Move(1, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wait(ctx)
		if ctx.Err() == nil {
			t.Error("did not wait for the later fill")
		}
		later()
		_, wait = s.Move(1, nil)
		wait(t.Context()) // nothing is left
	})
}
