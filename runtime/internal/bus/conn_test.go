package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A recorder is a handler that remembers what it was told.
type recorder struct {
	mu    sync.Mutex
	calls []string
}

func (r *recorder) add(call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
}

// take returns what was told since the last take.
func (r *recorder) take() (calls []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls, r.calls = r.calls, nil
	return calls
}

func (r *recorder) Connected()          { r.add("connected") }
func (r *recorder) Disconnected()       { r.add("disconnected") }
func (r *recorder) Missed()             { r.add("missed") }
func (r *recorder) Received(c Change)   { r.add(c.Kind.String() + " " + c.Names[0]) }
func (r *recorder) Woken(keys []string) { r.add("woken " + keys[0]) }
func (r *recorder) Changed([]string)    { r.add("changed") }

func join(t *testing.T, b *faketier.Bus, origin uint64) (*Conn, *recorder) {
	r := &recorder{}
	c := New(b, emit.New("test", slog.New(slog.DiscardHandler), event.Hooks{}), "app:", origin, time.Second, time.Minute)
	if err := c.Join(r); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Leave)
	return c, r
}

func TestOthersHearWhatAStorePublishesAndItDoesNotHearItself(t *testing.T) {
	var b faketier.Bus
	one, heardByOne := join(t, &b, 1)
	_, heardByTwo := join(t, &b, 2)
	if _, err := one.Publish(t.Context(), Drop, []string{"app:user:1"}); err != nil {
		t.Fatal(err)
	}
	if got, want := heardByTwo.take(), []string{"connected", "drop app:user:1"}; !slices.Equal(got, want) {
		t.Error(got)
	}
	if got, want := heardByOne.take(), []string{"connected"}; !slices.Equal(got, want) {
		t.Error(got)
	}
}

func TestALostConnectionIsTold(t *testing.T) {
	var b faketier.Bus
	c, r := join(t, &b, 1)
	if c.WaitConnected(t.Context()) != nil {
		t.Fatal("not connected")
	}
	b.Cut(true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.WaitConnected(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if open, err := c.Publish(t.Context(), Drop, []string{"k"}); !errors.Is(err, faketier.ErrCut) || len(open) != 1 {
		t.Error(err)
	}
	b.Cut(false)
	if got, want := r.take(), []string{"connected", "disconnected", "connected"}; !slices.Equal(got, want) || c.WaitConnected(t.Context()) != nil {
		t.Error(got)
	}
}

func TestAStoreWithoutABusPublishesToNobody(t *testing.T) {
	var c *Conn
	if _, err := c.Publish(t.Context(), Drop, []string{"k"}); err != nil || c.TrustedUntil(1) != clock.Never || c.WaitConnected(t.Context()) != nil {
		t.Fatal("a nil Conn does something")
	}
	c.TryNow()
	c.Leave()
}

// hanging is a bus that lets publishers wait until it is told what to answer.
type hanging struct {
	faketier.Bus
	answer func() error // nil: none
	calls  int
}

func (h *hanging) Publish(ctx context.Context, channel string, message []byte) error {
	if faketier.IsHeartbeat(message) {
		return h.Bus.Publish(ctx, channel, message)
	}
	h.calls++
	if h.answer == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return h.answer()
}

func joinHanging(t *testing.T) (*Conn, *hanging, *int) {
	h, taken := &hanging{}, new(int)
	c := New(h, emit.New("test", slog.New(slog.DiscardHandler), event.Hooks{}), "app:", 1, time.Second, time.Minute)
	c.OnTaken(func() { *taken++ })
	if err := c.Join(&recorder{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Leave)
	return c, h, taken
}

// Kind: every caller waits in vain for what the last one has just waited for in vain.
func TestABusThatHangsKeepsOneCallerWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, h, taken := joinHanging(t)
		publish := func() error { _, err := c.Publish(t.Context(), Drop, []string{"k"}); return err }
		began := time.Now()
		for range 15 {
			if err := publish(); err == nil {
				t.Fatal("published")
			}
		}
		if err := publish(); !errors.Is(err, errNotTaken) || errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second || h.calls != 1 {
			t.Errorf("16 messages took %v, %d calls", took, h.calls)
		}
		time.Sleep(pause)
		h.answer = func() error { return nil }
		if err := publish(); err != nil || *taken != 1 {
			t.Error("it is back:", err, *taken)
		}
	})
}

func TestABusThatIsBackGetsTheNextMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, h, taken := joinHanging(t)
		_, _ = c.Publish(t.Context(), Drop, []string{"k"})
		h.answer = func() error { return nil }
		(*listener)(c).Up()
		if _, err := c.Publish(t.Context(), Drop, []string{"k"}); err != nil || *taken != 1 {
			t.Error(err, *taken)
		}
	})
}

// What fails at once costs no time, and may be tried with each message.
func TestABusThatRefusesConnectionsIsAskedEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, refusal := range []error{errors.New("connection refused"), drivers.ErrRefused, drivers.Answered(errors.New("NOPERM"))} {
			c, h, _ := joinHanging(t)
			h.answer = func() error { return refusal }
			for range 5 {
				if _, err := c.Publish(t.Context(), Drop, []string{"k"}); !errors.Is(err, refusal) {
					t.Error(err)
				}
			}
			h.answer = func() error { return nil }
			if _, err := c.Publish(t.Context(), Drop, []string{"k"}); err != nil {
				t.Error("after it was back:", err)
			}
		}
	})
}

func TestAMessageIsSentOnceMoreOnAnotherConnection(t *testing.T) {
	for err, want := range map[error]int{errors.New("EOF"): 2, drivers.ErrClosed: 1, drivers.ErrRefused: 1, drivers.ErrAnswered: 1} {
		c, h, _ := joinHanging(t)
		h.answer = func() error {
			if h.calls == 1 {
				return err
			}
			return nil
		}
		if _, got := c.Publish(t.Context(), Drop, []string{"k"}); (got == nil) != (want == 2) || h.calls != want {
			t.Errorf("%v: %v, %d calls", err, got, h.calls)
		}
	}
}

// A limited bus takes messages up to a size, as a server does.
type limited struct {
	faketier.Bus
	limit, sent int
}

func (l *limited) MaxMessage() int { return l.limit }

func (l *limited) Publish(ctx context.Context, channel string, message []byte) error {
	if len(message) > l.limit {
		return fmt.Errorf("%w: %d bytes", drivers.ErrRefused, len(message))
	}
	if l.sent++; l.sent == 2 {
		return drivers.Answered(faketier.ErrCut) // which is tried again at once
	}
	return l.Bus.Publish(ctx, channel, message)
}

// What is told of at once may be more than a message holds: it is cut into messages that are
// each valid by themselves, and after a failure it is known who has not been told of what.
func TestMessagesAreCutToWhatTheBusTakes(t *testing.T) {
	for _, limit := range []int{1 << 10, 64 << 20} {
		b := &limited{limit: limit}
		one := New(b, emit.New("test", slog.New(slog.DiscardHandler), event.Hooks{}), "app:", 1, time.Minute, time.Minute)
		if err := one.Join(&recorder{}); err != nil {
			t.Fatal(err)
		}
		defer one.Leave()
		var heard []string
		two := New(b, emit.New("test", slog.New(slog.DiscardHandler), event.Hooks{Received: func(m event.Message) { heard = append(heard, m.Targets...) }}), "app:", 2, time.Minute, time.Minute)
		if err := two.Join(&recorder{}); err != nil {
			t.Fatal(err)
		}
		defer two.Leave()
		names := make([]string, 60_000)
		for i := range names {
			names[i] = fmt.Sprintf("app:user:%d", i)
		}
		open, err := one.Publish(t.Context(), Drop, names)
		if !errors.Is(err, faketier.ErrCut) || len(open) == 0 || !slices.Equal(names, slices.Concat(heard, open)) {
			t.Fatalf("limit %d: %d heard, %d open, %v", limit, len(heard), len(open), err)
		}
		if open, err = one.Publish(t.Context(), Drop, open); err != nil || len(open) != 0 || !slices.Equal(names, heard) {
			t.Errorf("limit %d: %d heard, %d open, %v", limit, len(heard), len(open), err)
		}
	}
}

// race R49: since when messages may be missed counts from when the bus was heard last, and
// not from when somebody noticed.
func TestALossCountsFromTheLastThingHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b faketier.Bus
		c, _ := join(t, &b, 1)
		l := (*listener)(c)
		if l.MaxSilence() != time.Minute {
			t.Error(l.MaxSilence())
		}
		heard := time.Now()
		b.Mute() // so that nothing is heard
		time.Sleep(time.Minute)
		l.DownSince(heard, faketier.ErrCut)
		until := func(want time.Time) {
			t.Helper()
			if late := time.Duration(c.TrustedUntil(0) - want.Add(time.Minute).UnixNano()); late != 0 {
				t.Errorf("%v late", late)
			}
		}
		until(heard)
		l.DownSince(time.Now(), faketier.ErrCut) // it is lost already
		until(heard)
		l.Up()
		l.DownSince(time.Now().Add(time.Hour), faketier.ErrCut) // in the future
		until(time.Now())
	})
}
