package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/breaker"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A slow bus takes time for each message, and remembers which messages it has got.
type slow struct {
	faketier.Bus
	takes time.Duration
	most  int
	fails func(Message) error

	mu       sync.Mutex
	at       []time.Time // when publications began
	messages []Message
}

func (s *slow) MaxMessage() int {
	if s.most == 0 {
		return maxMessage
	}
	return s.most
}

func (s *slow) Publish(ctx context.Context, channel string, message []byte) error {
	m, err := Parse(message)
	if err == nil && len(m.Changes) == 0 { // a heartbeat is not what these tests are about
		return s.Bus.Publish(ctx, channel, message)
	}
	if err != nil || len(message) > s.MaxMessage() {
		return fmt.Errorf("%w: %d bytes: %w", drivers.ErrRefused, len(message), err)
	}
	s.mu.Lock()
	s.at = append(s.at, time.Now())
	s.mu.Unlock()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.fails != nil {
		if err := s.fails(m); err != nil {
			return drivers.Answered(err) // which is not tried again
		}
	}
	s.mu.Lock()
	s.messages = append(s.messages, m)
	s.mu.Unlock()
	return s.Bus.Publish(ctx, channel, message)
}

// after waits until all that happens within d has happened.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func joinSlow(t *testing.T, b *slow) *Conn {
	t.Helper()
	c := New(b, emit.New("test", slog.New(slog.DiscardHandler), event.Hooks{}), "app:", 1, time.Second, time.Minute)
	if err := c.Join(&recorder{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Leave)
	return c
}

// What is said while a message is under way goes out in the next one together; who finds
// nothing under way does not wait.
func TestABurstGoesOutInFewMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{takes: 10 * time.Millisecond}
		c := joinSlow(t, b)
		began := time.Now()
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				kind := Drop
				if i%10 == 3 {
					kind = DeleteStamp
				}
				if open, err := c.Publish(t.Context(), kind, []string{fmt.Sprint("app:", i), fmt.Sprint("app:also:", i)}); err != nil || len(open) != 0 {
					t.Error(open, err)
				}
			})
		}
		all.Wait()
		names := make(map[string]int)
		for i, m := range b.messages {
			if m.Number != uint64(i+1) || m.Last != uint64(i) {
				t.Errorf("message %d has the number %d after %d", i, m.Number, m.Last)
			}
			for _, change := range m.Changes {
				for _, name := range change.Names {
					names[name]++
				}
			}
		}
		if len(b.messages) != 2 || len(names) != 2000 || time.Since(began) != 20*time.Millisecond {
			t.Errorf("%d names in %d messages, after %v", len(names), len(b.messages), time.Since(began))
		}
		if b.at[0] != began {
			t.Error("the first one waited")
		}
		after(time.Second)
		began = time.Now()
		if _, err := c.Publish(t.Context(), Drop, []string{"app:alone"}); err != nil || b.at[2] != began {
			t.Error("one that is alone waited", err)
		}
	})
}

// Each caller gets the error of the message that its own names were in, and what is open.
func TestInABurstEachCallerGetsItsOwnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("not taken")
		b := &slow{takes: time.Millisecond, most: 310}
		b.fails = func(m Message) error {
			if strings.Contains(fmt.Sprint(m), "bad") {
				return failed
			}
			return nil
		}
		c := joinSlow(t, b)
		var all sync.WaitGroup
		publish := func(wantOpen bool, names ...string) {
			all.Go(func() {
				open, err := c.Publish(t.Context(), Drop, names)
				switch {
				case !wantOpen && err != nil, wantOpen && !errors.Is(err, failed):
					t.Error(names[0], err)
				case wantOpen && !slices.Contains(open, names[len(names)-1]), !wantOpen && len(open) != 0:
					t.Error(names[0], open)
				}
			})
			synctest.Wait() // one after the other
		}
		long := strings.Repeat("x", 120)
		publish(false, "first")
		publish(false, "a"+long, "b"+long) // fills a message
		publish(true, "c"+long, "bad")     // leaves no room for the next
		publish(false, "d"+long, "e"+long)
		all.Wait()
		var heard []string
		for _, m := range b.messages {
			for _, change := range m.Changes {
				for _, name := range change.Names {
					heard = append(heard, name[:1])
				}
			}
		}
		if !slices.Equal(heard, []string{"f", "a", "b", "d", "e"}) {
			t.Error(heard)
		}
	})
}

// Who waits for others gives up when its own time is over, and knows what is open.
func TestABurstKeepsNobodyBeyondItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{takes: 700 * time.Millisecond}
		c := joinSlow(t, b)
		var all sync.WaitGroup
		all.Go(func() { _, _ = c.Publish(t.Context(), Drop, []string{"under way"}) })
		synctest.Wait()
		all.Go(func() {
			_, rest := budget.Start(t.Context(), 100*time.Millisecond, 0)
			began := time.Now()
			open, err := c.Publish(rest, Drop, []string{"short"})
			if !errors.Is(err, budget.ErrSpent) || !slices.Equal(open, []string{"short"}) || time.Since(began) != 100*time.Millisecond {
				t.Error(open, err, time.Since(began))
			}
		})
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if open, err := c.Publish(ctx, Drop, []string{"gone"}); !errors.Is(err, context.DeadlineExceeded) || len(open) != 1 {
				t.Error(open, err)
			}
		})
		all.Go(func() {
			began := time.Now()
			if open, err := c.Publish(t.Context(), Drop, []string{"long"}); err != nil || time.Since(began) != 1400*time.Millisecond {
				t.Error(open, err, time.Since(began))
			}
		})
		all.Wait()
		if n := len(b.messages); n != 2 || !slices.Equal(b.messages[1].Changes[0].Names, []string{"long"}) {
			t.Error(b.messages)
		}
	})
}

// A connection that ends leaves nobody waiting.
func TestWhoWaitsIsLetGoWhenTheChannelIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{takes: time.Minute}
		c := joinSlow(t, b)
		var all sync.WaitGroup
		all.Go(func() { _, _ = c.Publish(t.Context(), Drop, []string{"under way"}) })
		synctest.Wait()
		all.Go(func() {
			if open, err := c.Publish(t.Context(), Drop, []string{"waits"}); !errors.Is(err, drivers.ErrClosed) || len(open) != 1 {
				t.Error(open, err)
			}
		})
		c.PublishFilled([]string{"wake"})
		synctest.Wait()
		began := time.Now()
		c.Leave()
		if time.Since(began) != 0 {
			t.Error("the end waits for the bus")
		}
		c.PublishFilled([]string{"late"})
		all.Wait()
	})
}

// A message of which it is not known whether it arrived leaves no hole, whether it did or not.
func TestAMessageThatFailedLeavesNoHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{}
		c := joinSlow(t, b)
		b.fails = func(m Message) error {
			if m.Number == 2 || m.Number == 3 {
				return errors.New("unclear")
			}
			return nil
		}
		for range 5 {
			_, _ = c.Publish(t.Context(), Drop, []string{"k"})
			time.Sleep(time.Millisecond)
		}
		var got [][3]uint64
		for _, m := range b.messages {
			got = append(got, [3]uint64{m.Number, m.Last, uint64(m.Ago / time.Millisecond)})
		}
		if want := [][3]uint64{{1, 0, 0}, {4, 1, 3}, {5, 4, 1}}; !slices.Equal(got, want) {
			t.Error(got, "want", want)
		}
	})
}

// A name that no message can carry is not lost in silence, and keeps nothing else from being
// said.
func TestANameThatTheBusCannotCarryMakesTheOthersSuspectEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{most: 200}
		one := joinSlow(t, b)
		_, heard := join(t, &b.Bus, 2)
		long := strings.Repeat("x", 200)
		if open, err := one.Publish(t.Context(), Drop, []string{"a", long, long, "b"}); err != nil || len(open) != 0 {
			t.Error(open, err)
		}
		if got, want := heard.take(), []string{"connected", "drop a", "missed", "drop b"}; !slices.Equal(got, want) {
			t.Error(got)
		}
	})
}

// What cannot be read may have been a change: of a process that speaks another version, for
// example.
func TestWhatCannotBeReadCountsAsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b faketier.Bus
		_, heard := join(t, &b, 1)
		first := []byte{1, 0, 0, 0, 0, 0, 0, 0, 9, byte(Drop), 1, 1, 'k'} // of version 1
		for _, m := range [][]byte{first, {3}, nil} {
			heard.take()
			if err := b.Publish(t.Context(), "cachegen:app:!bus", m); err != nil {
				t.Fatal(err)
			}
			if got := heard.take(); !slices.Equal(got, []string{"missed"}) {
				t.Errorf("%v: %q", m, got)
			}
			after(gapsApart)
		}
	})
}

// A wake-up tells others that leases have ended, and is nothing else: hooks are not told, it
// has no number, and that it fails says nothing.
func TestAWakeUpIsHeardAndIsNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{takes: 10 * time.Millisecond}
		told := func(event.Message) { t.Error("the hooks are told") }
		c := New(b, emit.New("test", slog.New(slog.DiscardHandler), event.Hooks{Published: told, Received: told}), "app:", 1, time.Second, time.Minute)
		if err := c.Join(&recorder{}); err != nil {
			t.Fatal(err)
		}
		defer c.Leave()
		_, heard := join(t, &b.Bus, 2)
		for i := range 100 {
			began := time.Now()
			c.PublishFilled([]string{fmt.Sprint("k", i)})
			if time.Since(began) != 0 {
				t.Error("it waits")
			}
		}
		after(time.Second)
		n := 0
		for _, m := range b.messages {
			n += len(m.Changes[0].Names)
			if m.Number != 0 || m.Last != 0 {
				t.Errorf("it counts: %d after %d", m.Number, m.Last)
			}
		}
		if got := heard.take(); len(b.messages) > 2 || n != 100 || !slices.Equal(got[:2], []string{"connected", "woken k0"}) {
			t.Errorf("%d keys in %d messages, %q", n, len(b.messages), got)
		}
		b.fails = func(Message) error { return errors.New("not taken") }
		b.messages = nil
		c.PublishFilled([]string{"lost"})
		after(time.Minute)
		b.fails = nil
		after(time.Minute)
		if len(b.messages) != 0 || c.breaker.State() != breaker.Closed {
			t.Error("it was tried again, or was a failure of the bus:", b.messages, c.breaker.State())
		}
		var none *Conn
		none.PublishFilled([]string{"k"})
	})
}

// Invalidations do not wait for wake-ups that hang, and a bus that takes nothing gets none.
func TestAWakeUpThatHangsHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, h, _ := joinHanging(t)
		c.PublishFilled([]string{"hangs"})
		synctest.Wait()
		h.answer = func() error { return nil }
		began := time.Now()
		if _, err := c.Publish(t.Context(), Drop, []string{"k"}); err != nil || time.Since(began) != 0 {
			t.Error(err, time.Since(began))
		}
		after(time.Minute)
		h.answer = nil
		if _, err := c.Publish(t.Context(), Drop, []string{"k"}); err == nil {
			t.Error("taken")
		}
		calls := h.calls
		c.PublishFilled([]string{"not tried"})
		synctest.Wait()
		if h.calls != calls {
			t.Error("a bus that takes nothing is asked")
		}
	})
}
