package remote_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

var errFull = errors.New("OOM")

// refuseWrites makes a tier one that is full.
func refuseWrites(shared *faketier.Shared, full bool) (asked *int) {
	asked = new(int)
	shared.SetBefore(func(_ context.Context, op string, _ []string) error {
		if full && (op == "set" || op == "add" || op == "swap") {
			*asked++
			return drivers.Answered(errFull)
		}
		return nil
	})
	return asked
}

func readOne(t *testing.T, s *storetest.Store, key string) (string, error) {
	t.Helper()
	values, err := s.Remote.Read(t.Context(), time.Second, []string{key}, nil)
	if err != nil {
		return "", err
	}
	return string(values[0]), nil
}

// Kind: an answer taken for an outage. A server that refuses to write is up: reads and
// deletions go on, and so that a value is not sent in vain again and again, writes are held
// back by themselves.
func TestWhatTheServerRefusesStopsNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared, BreakFor: 5 * time.Second})
		set(t, s.Remote, "warm", "v")
		asked := refuseWrites(&shared, true)
		for i := range 16 {
			err := s.Remote.Fill(t.Context(), []drivers.Item{{Key: "new"}})
			if !errors.Is(err, drivers.ErrAnswered) || !remote.Refused(err) || !strings.Contains(err.Error(), "OOM") {
				t.Errorf("write %d: %v", i, err)
			}
			if held := errors.Is(err, remote.ErrCircuitOpen); held != (i >= 3) {
				t.Errorf("write %d: held back: %v", i, held)
			}
			if s.Remote.InDoubtUntil("new") != 0 {
				t.Errorf("write %d: in doubt", i)
			}
			if got, err := readOne(t, s, "warm"); got != "v" || err != nil {
				t.Errorf("read %d: %q, %v", i, got, err)
			}
			if err := s.Remote.Delete(t.Context(), []string{"other"}); err != nil {
				t.Errorf("delete %d: %v", i, err)
			}
		}
		if *asked != 3 {
			t.Errorf("asked %d times", *asked)
		}
		refuseWrites(&shared, false)
		time.Sleep(5 * time.Second)
		set(t, s.Remote, "new", "w")
		want := []string{"write open: shared tier: write: OOM", "write half-open", "write closed"}
		if got := s.Lines("breaker"); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestReadsThatTheServerRefusesStopNoWrites(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared})
	shared.SetBefore(func(_ context.Context, op string, _ []string) error {
		if op == "get" {
			return drivers.Answered(errors.New("NOPERM"))
		}
		return nil
	})
	for i := range 5 {
		if _, err := readOne(t, s, "k"); errors.Is(err, remote.ErrCircuitOpen) != (i >= 3) {
			t.Errorf("read %d: %v", i, err)
		}
		set(t, s.Remote, "k", "v")
		if err := s.Remote.Delete(t.Context(), []string{"k"}); err != nil {
			t.Error(err)
		}
	}
}

// An invalidation by tag needs no room: what is absent is invalid, too.
func TestStampsAreDeletedWhereNewOnesAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, expire := range []bool{false, true} {
			var shared faketier.Shared
			s := storetest.New(t, store.Config{L2: &shared})
			before, _, _ := learned(t, s, "t:x")[0].Current()
			shared.Put("!t", []byte("number"))
			refuseWrites(&shared, true)
			for range 5 {
				if err := s.Remote.RotateStamps(t.Context(), []string{"t:x"}, expire, false); err != nil {
					t.Fatal(err)
				}
			}
			keys := shared.Keys()
			if keys["!t"] != nil || keys["!s:t:x"] != nil {
				t.Errorf("expire %v: not deleted: %q", expire, keys)
			}
			refuseWrites(&shared, false)
			time.Sleep(time.Second)
			after, _, _ := learned(t, s, "t:x")[0].Current()
			if before.Delete == after.Delete || expire && before.Expire == after.Expire {
				t.Errorf("expire %v: %v, was %v", expire, after, before)
			}
		}
	})
}

// Kind: one outage that lasts longer for us than for the server. An invalidation is a trial
// of its own as soon as the server is back, also while reads stay away.
func TestAnInvalidationSucceedsAsSoonAsTheServerIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared, BreakFor: 5 * time.Second})
		invalidations := map[string]func() error{
			"delete": func() error { return s.Remote.Delete(t.Context(), []string{"k"}) },
			"expire": func() error { return s.Remote.Expire(t.Context(), []string{"k"}) },
			"set":    func() error { return s.Remote.Set(t.Context(), []drivers.Item{{Key: "k"}}) },
			"stamps": func() error { return s.Remote.RotateStamps(t.Context(), []string{"t:x", "s"}, false, false) },
		}
		for name, invalidate := range invalidations {
			shared.Down(errDown)
			shared.SetBefore(func(context.Context, string, []string) error { time.Sleep(10 * time.Millisecond); return nil })
			for range 5 {
				if _, err := readOne(t, s, "k"); err == nil {
					t.Fatal("read while it is down")
				}
			}
			for range 20 {
				if err := invalidate(); err == nil {
					t.Fatal("changed while it is down")
				}
				time.Sleep(10 * time.Millisecond)
			}
			shared.Down(nil)
			if _, err := readOne(t, s, "k"); !errors.Is(err, remote.ErrCircuitOpen) {
				t.Error(err)
			}
			if err := invalidate(); err != nil {
				t.Errorf("%s after it was back: %v", name, err)
			}
			if _, err := readOne(t, s, "k"); err != nil {
				t.Errorf("read after %s: %v", name, err)
			}
		}
	})
}

// While the server hangs, an invalidation does not wait for its whole limit each time.
func TestInvalidationsAreNotHeldUpByAServerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := new(faketier.Shared)
		shared.SetBefore(func(ctx context.Context, _ string, _ []string) error { <-ctx.Done(); return ctx.Err() })
		s := storetest.New(t, store.Config{L2: shared, BreakFor: 5 * time.Second})
		began := time.Now()
		for range 15 {
			if err := s.Remote.Delete(t.Context(), []string{"k"}); err == nil {
				t.Fatal("it has answered")
			}
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Error("15 deletions took", took)
		}
	})
}

// What says that the server may be back, such as a bus on the same server, ends the pause.
func TestTryNowEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		var b faketier.Bus
		s := storetest.New(t, store.Config{L2: &shared, Bus: &b, BreakFor: time.Hour})
		b.Cut(true)
		shared.Down(errDown)
		for range 3 {
			_, _ = readOne(t, s, "k")
		}
		shared.Down(nil)
		if _, err := readOne(t, s, "k"); !errors.Is(err, remote.ErrCircuitOpen) {
			t.Error(err)
		}
		b.Cut(false)
		if _, err := readOne(t, s, "k"); err != nil {
			t.Error("after the bus was back:", err)
		}
	})
}

// Kind: a connection that was cut counts as an outage. It is tried once more, but for what
// could overwrite something newer then.
func TestAConnectionThatWasCutIsTriedOnceMore(t *testing.T) {
	for name, test := range map[string]struct {
		do    func(t *testing.T, r *remote.Tier) error
		again bool
	}{
		"read": {func(t *testing.T, r *remote.Tier) error {
			_, err := r.Read(t.Context(), time.Second, []string{"k"}, nil)
			return err
		}, true},
		"delete": {func(t *testing.T, r *remote.Tier) error { return r.Delete(t.Context(), []string{"k"}) }, true},
		"stamps": {func(t *testing.T, r *remote.Tier) error {
			return r.RotateStamps(t.Context(), []string{"s"}, false, false)
		}, true},
		"fill": {func(t *testing.T, r *remote.Tier) error { return r.Fill(t.Context(), []drivers.Item{{Key: "k"}}) }, false},
		"set":  {func(t *testing.T, r *remote.Tier) error { return r.Set(t.Context(), []drivers.Item{{Key: "k"}}) }, false},
	} {
		for why, err := range map[string]error{"cut": errDown, "answered": drivers.Answered(errDown), "refused": drivers.ErrRefused, "closed": drivers.ErrClosed} {
			var shared faketier.Shared
			s := storetest.New(t, store.Config{L2: &shared})
			calls := 0
			shared.SetBefore(func(_ context.Context, op string, _ []string) error {
				if calls++; calls == 1 {
					return err
				}
				return nil
			})
			again := test.again && why == "cut"
			if err := test.do(t, s.Remote); (err == nil) != again {
				t.Errorf("%s, %s: %v", name, why, err)
			}
			if again != (calls == 2) {
				t.Errorf("%s, %s: %d calls", name, why, calls)
			}
		}
	}
}

// race R45: the first try may come late, after another process has changed the stamp. It is
// not what the second one has written, so it makes nothing valid again.
func TestAStampThatIsTriedOnceMoreIsAnother(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: lossy{&shared, new(int)}})
	learned(t, s, "s")
	first := string(shared.Keys()["lost"])
	if second := string(shared.Keys()["!s:s"]); first == "" || second == "" || first == second {
		t.Errorf("%x, then %x", first, second)
	}
}

// lossy loses the first reply, and shows what it belonged to under another key.
type lossy struct {
	*faketier.Shared
	calls *int
}

func (l lossy) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	if *l.calls++; *l.calls == 1 {
		l.Put("lost", items[0].Value)
		return nil, errors.New("EOF")
	}
	return l.Shared.AddMany(ctx, items)
}
