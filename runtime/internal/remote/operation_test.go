package remote_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("the server is down")

// basic hides the optional capabilities of a tier.
type basic struct{ drivers.L2 }

func set(t *testing.T, tier *remote.Tier, key, value string) {
	t.Helper()
	if err := tier.Set(t.Context(), []drivers.Item{{Key: key, Value: []byte(value)}}); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutASharedTierEveryOperationDoesNothing(t *testing.T) {
	s := storetest.New(t, store.Config{L1: storetest.L1()})
	r, ctx := s.Remote, t.Context()
	if r.Exists() {
		t.Error("it exists")
	}
	cells := []*stamp.Cell{s.Stamps.Cell("t:a"), s.Stamps.Cell("s")}
	values, err := r.Read(ctx, time.Second, []string{"a", "b"}, cells)
	if err != nil || len(values) != 2 || values[0] != nil || values[1] != nil {
		t.Errorf("Read: %v, %v", values, err)
	}
	for _, c := range cells {
		if v, trustUntil, ok := c.Current(); !ok || v == (stamp.Value{}) || trustUntil < 1<<62 {
			t.Errorf("the stamp of %s is %v until %d", c.Name, v, trustUntil)
		}
	}
	items, err := r.DecodeEntries(ctx, s.Kind(""), nil, []string{"a"}, values[:1])
	if err != nil || len(items) != 1 || items[0] != nil {
		t.Errorf("DecodeEntries: %v, %v", items, err)
	}
	r.RefreshStamps(ctx, time.Second, cells)
	absent, errAbsent := r.EnsureAbsent(ctx, "a")
	deleted, errDelete := r.CompareAndDelete(ctx, "a", []byte("v"))
	if !absent || deleted {
		t.Errorf("there is something: absent %v, deleted %v", absent, deleted)
	}
	pruned, errPrune := r.Prune(ctx)
	if pruned != 0 || r.InDoubtUntil("a") != 0 || r.KeyBlocked("a") {
		t.Error("it remembers something")
	}
	if err := errors.Join(
		r.Set(ctx, []drivers.Item{{Key: "a"}}), r.Delete(ctx, []string{"a"}), r.Expire(ctx, []string{"a"}), r.RotateStamps(ctx, []string{"t:a", "s"}, true, false),
		r.Ready(ctx), errAbsent, errDelete, errPrune,
	); err != nil {
		t.Error(err)
	}
	if lines := append(s.Lines("operation"), append(s.Lines("warn"), s.Lines("breaker")...)...); lines != nil {
		t.Errorf("it was told: %q", lines)
	}
}

func TestAnOperationEndsWithItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &faketier.Shared{}
		shared.SetBefore(func(ctx context.Context, _ string, _ []string) error {
			<-ctx.Done()
			return ctx.Err()
		})
		s := storetest.New(t, store.Config{L2: basic{shared}, L2SoftTimeout: 300 * time.Millisecond})
		for name, test := range map[string]struct {
			want time.Duration
			do   func() error
		}{
			"read": {time.Second, func() error {
				_, err := s.Remote.Read(t.Context(), s.Remote.ReadLimit(false), []string{"k"}, nil)
				return err
			}},
			"read with a fallback": {300 * time.Millisecond, func() error {
				_, err := s.Remote.Read(t.Context(), s.Remote.ReadLimit(true), []string{"k"}, nil)
				return err
			}},
			"write":  {time.Second, func() error { return s.Remote.Set(t.Context(), []drivers.Item{{Key: "k"}}) }},
			"delete": {time.Second, func() error { return s.Remote.Delete(t.Context(), []string{"k"}) }},
		} {
			s.Remote.CloseBreaker()
			began := time.Now()
			if err := test.do(); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != test.want {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
			if op, _, _ := strings.Cut(name, " "); !s.Told("operation", op+" 1: shared tier: "+op+": context deadline exceeded") {
				t.Errorf("%s: the hooks were not told: %q", name, s.Lines("operation"))
			}
		}
		shared.SetBefore(nil)
	})
}

func TestAShortLimitIsNotLongerThanTheTimeout(t *testing.T) {
	s := storetest.New(t, store.Config{L2: &faketier.Shared{}, L2SoftTimeout: time.Hour})
	if got := s.Remote.ReadLimit(true); got != time.Second {
		t.Error(got)
	}
}

func TestADriverThatPanicsOrMiscountsHasFailed(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: wrong{&shared}})
	if _, err := s.Remote.Read(t.Context(), time.Second, []string{"k"}, nil); err == nil || !strings.Contains(err.Error(), "0 results for 1 keys") {
		t.Error(err)
	}
	if err := s.Remote.Set(t.Context(), []drivers.Item{{Key: "k"}}); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Error(err)
	}
}

type wrong struct{ drivers.L2 }

func (wrong) GetMany(context.Context, []string) ([][]byte, error) { return nil, nil }
func (wrong) SetMany(context.Context, []drivers.Item) error       { panic("boom") }

func TestTheBreakerOpensAfterThreeFailuresAndSaysWhatOpenedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared, BreakFor: 5 * time.Second})
		shared.Down(errDown)
		read := func() error {
			_, err := s.Remote.Read(t.Context(), time.Second, []string{"k"}, nil)
			return err
		}
		for range 3 {
			if err := read(); !errors.Is(err, errDown) {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		err := read()
		if !errors.Is(err, remote.ErrCircuitOpen) || errors.Is(err, errDown) || !strings.Contains(err.Error(), "for 2s, after: shared tier: read: "+errDown.Error()) {
			t.Error(err)
		}
		if got := s.Lines("operation"); len(got) != 3 {
			t.Errorf("%d operations, want 3: %q", len(got), got)
		}
		shared.Down(nil)
		time.Sleep(3 * time.Second)
		if err := read(); err != nil {
			t.Error("after its pause:", err)
		}
		want := []string{"open: shared tier: read: " + errDown.Error(), "half-open", "closed"}
		if got := s.Lines("breaker"); strings.Join(got, ";") != strings.Join(want, ";") {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// race R51: what says nothing of the server's health does not open the breaker.
func TestTheBreakerDoesNotCountWhatTheTierIsNotToBlameFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared, L2SoftTimeout: time.Millisecond})
		gone, leave := context.WithCancel(t.Context())
		leave()
		shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "get" {
				time.Sleep(10 * time.Millisecond)
			}
			return nil
		})
		for range 5 {
			if err := s.Remote.Delete(gone, []string{"k"}); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if err := s.Remote.Set(t.Context(), []drivers.Item{{Key: "k", TTL: -1}}); !errors.Is(err, drivers.ErrRefused) {
				t.Error(err)
			}
			if _, err := s.Remote.Read(t.Context(), s.Remote.ReadLimit(true), []string{"k"}, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		if lines := s.Lines("breaker"); lines != nil {
			t.Error(lines)
		}
	})
}

func TestAPauseOfZeroNeverOpensTheBreaker(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared})
	s.Remote.SetBreakFor(0)
	shared.Down(errDown)
	for range 10 {
		if err := s.Remote.Delete(t.Context(), []string{"k"}); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
	}
}

func TestTheBreakerThatClosesWakesWhoWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared, BreakFor: time.Minute})
		shared.Down(errDown)
		for range 3 {
			_ = s.Remote.Delete(t.Context(), []string{"other"})
		}
		s.Outbox.Add([]string{"k"}, func(name string) pending.Target { return pending.Target{Kind: pending.Key, Name: name} }, pending.Item{Remote: true}, errDown)
		time.Sleep(30 * time.Second)
		shared.Down(nil)
		s.Remote.CloseBreaker()
		synctest.Wait()
		if s.Outbox.Len() != 0 {
			t.Error("what was pending still is")
		}
	})
}

type capable struct {
	*faketier.Shared
	ready error
}

func (c *capable) Ready(context.Context) error          { return c.ready }
func (c *capable) Prune(context.Context) (int64, error) { return 7, errDown }

func TestTheTierAsksItsDriverForWhatItCan(t *testing.T) {
	driver := &capable{Shared: &faketier.Shared{}, ready: errDown}
	r := remote.New(remote.Config{Driver: driver})
	if err := r.Ready(t.Context()); err != errDown {
		t.Error(err)
	}
	if n, err := r.Prune(t.Context()); n != 7 || err != errDown {
		t.Error(n, err)
	}
	plain := remote.New(remote.Config{Driver: &faketier.Shared{}})
	n, err := plain.Prune(t.Context())
	if err := errors.Join(err, plain.Ready(t.Context())); n != 0 || err != nil {
		t.Error(n, err)
	}
}
