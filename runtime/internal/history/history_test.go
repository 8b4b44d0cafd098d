package history

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A teller tells what it is told to.
type teller struct {
	text atomic.Pointer[string]
	err  error
	asks atomic.Int64
}

func (s *teller) History(context.Context) (string, error) {
	s.asks.Add(1)
	if s.err != nil {
		return "", s.err
	}
	return *s.text.Load(), nil
}

func (s *teller) set(text string) { s.text.Store(&text) }

func newWatch(text string) (*Watch, *teller, *[]string) {
	s := new(teller)
	s.set(text)
	var mu sync.Mutex
	told := new([]string)
	return &Watch{Historian: s, WentBack: func(from, to string) {
		mu.Lock()
		defer mu.Unlock()
		*told = append(*told, from+">"+to)
	}}, s, told
}

// race R46: what was answered in one history is not believed in another.
func TestAnAnswerIsBelievedIfTheHistoryIsTheSameAfterIt(t *testing.T) {
	w, s, told := newWatch("a")
	in := w.In()
	run := func(during func(), in *In) error {
		return w.Believed(func(context.Context) error { during(); return nil }, in)(t.Context())
	}
	if err := run(func() {}, in); err != nil || in.state == nil || s.asks.Load() != 2 {
		t.Fatal(err, in, s.asks.Load())
	}
	first := in.state
	if err := run(func() {}, in); err != nil || in.state != first || s.asks.Load() != 3 {
		t.Fatal(err, in, s.asks.Load())
	}
	if err := run(func() { s.set("b") }, in); err != ErrWentBack || len(*told) != 1 || (*told)[0] != "a>b" || in.state != first {
		t.Fatal(err, *told, in)
	}
	if err := run(func() {}, in); err != ErrWentBack || len(*told) != 1 { // the rest of what was begun before
		t.Fatal(err, *told)
	}
	in = w.In()
	if err := run(func() {}, in); err != nil || in.state == first || in.state.number == first.number || len(*told) != 1 {
		t.Fatal(err, in, *told)
	}
	if err := run(func() {}, nil); err != nil { // of whom nobody asks
		t.Fatal(err)
	}
	failed := errors.New("failed")
	if err := w.Believed(func(context.Context) error { return failed }, nil)(t.Context()); err != failed {
		t.Error(err)
	}
	s.err = errors.New("no answer")
	if err := run(func() {}, nil); err != s.err {
		t.Error(err)
	}
	if err := (&Watch{Historian: s}).Believed(func(context.Context) error { t.Error("it was run"); return nil }, nil)(t.Context()); err != s.err {
		t.Error(err)
	}
}

func TestWithoutAHistorianEverythingIsBelieved(t *testing.T) {
	w := new(Watch)
	if err := w.Believed(func(context.Context) error { return nil }, w.In())(t.Context()); err != nil || w.In() != nil {
		t.Error(err, w.In())
	}
	w.Settle(nil)
	if w.Number() != 0 || !w.Settled() || !w.Accept(5, nil) {
		t.Error("it knows of a history")
	}
}

func TestOfManyWhoNoticeOneReacts(t *testing.T) {
	w, s, told := newWatch("0")
	for i := range 20 {
		var begun, wg sync.WaitGroup
		var believed atomic.Int64
		begun.Add(8)
		for range 8 {
			wg.Go(func() {
				err := w.Believed(func(context.Context) error {
					begun.Done()
					begun.Wait()
					s.set(fmt.Sprint(i + 1))
					return nil
				}, nil)(context.Background())
				if err == nil {
					believed.Add(1)
				}
			})
		}
		wg.Wait()
		if believed.Load() != 0 || len(*told) != i+1 {
			t.Fatalf("%d were believed, %q", believed.Load(), *told)
		}
	}
}

// race R46: the stamp of an earlier history is as good as none, and two processes that are told
// different histories do not replace each other's for ever.
func TestAStampOfAnotherHistoryIsAcceptedOnceTheOwnOneIsKnown(t *testing.T) {
	w, s, _ := newWatch("a")
	in := func() *In {
		in := w.In()
		_ = w.Believed(func(context.Context) error { return nil }, in)(t.Context())
		return in
	}
	a := in()
	if w.Number() == 0 || w.Number() != a.state.number || w.Settled() || !w.Accept(a.state.number, a) || w.Accept(a.state.number+2, a) || w.Accept(0, a) {
		t.Error("at the beginning")
	}
	w.Settle(a)
	if !w.Settled() || !w.Accept(a.state.number+2, a) || !w.Accept(0, a) {
		t.Error("when it is settled")
	}
	s.set("b")
	in()
	b := in()
	if w.Settled() || w.Accept(a.state.number, b) || !w.Accept(b.state.number, b) {
		t.Error("in the next history")
	}
	w.Settle(a) // of a read that began before
	if w.Settled() || w.Accept(a.state.number, b) {
		t.Error("settled by an earlier one")
	}
	if w.Untold() {
		t.Error("it tells")
	}
	s.set("")
	in()
	if none := in(); none.state.number != 0 || w.Number() != 0 || !w.Accept(a.state.number, none) || !w.Untold() {
		t.Error("of a tier that cannot tell")
	}
	if unasked := (&Watch{Historian: s}); unasked.Untold() || !new(Watch).Untold() {
		t.Error("before it was asked")
	}
}
