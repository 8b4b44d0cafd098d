package faketier

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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheSharedTierKeepsWhatDriversPromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Shared
		ctx := t.Context()
		if err := s.SetMany(ctx, []drivers.Item{{Key: "a", Value: []byte("1"), TTL: time.Second}, {Key: "b", Value: nil}}); err != nil {
			t.Fatal(err)
		}
		stored, err := s.AddMany(ctx, []drivers.Item{{Key: "a", Value: []byte("2")}, {Key: "c", Value: []byte("3")}})
		if err != nil || string(stored[0]) != "1" || string(stored[1]) != "3" {
			t.Fatal(stored, err)
		}
		swapped, err := s.SwapMany(ctx, []drivers.Swap{
			{Key: "a", Old: []byte("2"), New: []byte("9")}, {Key: "c", Old: []byte("3")}, {Key: "d", New: []byte("4")}, {Key: "b", Old: nil, New: []byte("9")},
		})
		if err != nil || !slices.Equal(swapped, []bool{false, true, true, false}) {
			t.Fatal(swapped, err)
		}
		time.Sleep(time.Second)
		got, err := s.GetMany(ctx, []string{"a", "b", "c", "d"})
		if err != nil || got[0] != nil || got[1] == nil || len(got[1]) != 0 || got[2] != nil || string(got[3]) != "4" {
			t.Fatal(got, err)
		}
		for _, err := range []error{s.SetMany(ctx, []drivers.Item{{TTL: -1}}), second(s.AddMany(ctx, []drivers.Item{{TTL: -1}}))} {
			if !errors.Is(err, drivers.ErrRefused) {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := s.DeleteMany(ended, []string{"d"}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

type listener struct {
	t     *testing.T
	busy  atomic.Bool
	heard []string
}

func (l *listener) once(what string) {
	if l.busy.Swap(true) {
		l.t.Error("two calls at a time")
	}
	l.heard = append(l.heard, what)
	l.busy.Store(false)
}

func (l *listener) Up()              { l.once("up") }
func (l *listener) Down(error)       { l.once("down") }
func (l *listener) Message(m []byte) { l.once(string(m)) }

func TestTheBusKeepsWhatDriversPromise(t *testing.T) {
	var b Bus
	l, other := &listener{t: t}, &listener{t: t}
	stop, _ := b.Subscribe("c", l)
	_, _ = b.Subscribe("d", other)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := b.Publish(t.Context(), "c", []byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	b.Hold = func(m []byte) bool { return string(m) == "held" }
	_ = b.Publish(t.Context(), "c", []byte("held"))
	b.Cut(true)
	b.Cut(false)
	stop()
	_ = b.Publish(t.Context(), "c", []byte("late"))
	if got := strings.Join(l.heard, " "); got != "up x x x x x x x x down up" {
		t.Error(got)
	}
	if got := strings.Join(other.heard, " "); got != "up down up" {
		t.Error(got)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	var s Shared
	refused := errors.New("refused")
	s.SetBefore(func(_ context.Context, op string, _ []string) error {
		if op == "delete" {
			return refused
		}
		return nil
	})
	var seen []string
	s.SetAfter(func(op string, _ []string) { seen = append(seen, op) })
	if err := s.DeleteMany(t.Context(), []string{"a"}); !errors.Is(err, refused) {
		t.Error(err)
	}
	s.Put("a", []byte("x"))
	if got, err := s.GetMany(t.Context(), []string{"a"}); err != nil || string(got[0]) != "x" || s.Calls("get") != 1 || len(seen) != 1 {
		t.Error(got, err, seen)
	}
	s.Evict("a")
	s.Down(refused)
	if _, err := s.GetMany(t.Context(), nil); !errors.Is(err, refused) || len(s.Keys()) != 0 {
		t.Error(err)
	}
	var b Bus
	b.Cut(true)
	if err := b.Publish(t.Context(), "c", nil); !errors.Is(err, ErrCut) {
		t.Error(err)
	}
}
