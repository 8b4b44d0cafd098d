package bus

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// trust is that of the stores of these tests, and interval what follows from it.
const (
	trust    = 3 * time.Second
	interval = time.Second
)

// A member is one of several stores on a bus.
type member struct {
	*Conn
	*recorder
	line *faketier.Line
}

func (m *member) publish(t *testing.T, names ...string) {
	t.Helper()
	if _, err := m.Publish(t.Context(), Drop, names); err != nil {
		t.Error(err)
	}
}

// heardFor returns how long ago all was known to be heard.
func (m *member) heardFor() time.Duration {
	return time.Duration(clock.Now() - m.hearing.heard.Load())
}

// told checks what the member was told since that was asked last.
func (m *member) told(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := m.take(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func joinLine(t *testing.T, b *faketier.Bus, origin uint64) *member {
	t.Helper()
	m := &member{recorder: &recorder{}, line: &faketier.Line{Bus: b}}
	m.Conn = New(m.line, emit.New("test", slog.New(slog.DiscardHandler), event.Hooks{}), "app:", origin, time.Second, trust)
	if err := m.Join(m.recorder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Leave)
	m.told(t, "connected")
	return m
}

// bubble runs f in virtual time, with a bus of some members.
func bubble(t *testing.T, members int, f func(t *testing.T, b *faketier.Bus, all []*member)) {
	synctest.Test(t, func(t *testing.T) {
		var b faketier.Bus
		var all []*member
		for i := range members {
			all = append(all, joinLine(t, &b, uint64(i+1)))
		}
		time.Sleep(time.Millisecond)
		f(t, &b, all)
	})
}

// loses returns a filter that loses the next n messages of a kind.
func loses(n int, heartbeats bool) func([]byte) bool {
	return func(message []byte) bool {
		if faketier.IsHeartbeat(message) != heartbeats || n == 0 {
			return false
		}
		n--
		return true
	}
}

// race R24: a message that is lost although the connection stands is missed when the next one
// arrives.
func TestAMessageThatIsLostIsMissed(t *testing.T) {
	bubble(t, 3, func(t *testing.T, _ *faketier.Bus, all []*member) {
		a, b, c := all[0], all[1], all[2]
		a.publish(t, "one")
		b.line.Lose(loses(1, false))
		a.publish(t, "two")
		a.publish(t, "three")
		b.told(t, "drop one", "missed", "drop three")
		c.told(t, "drop one", "drop two", "drop three")
		a.publish(t, "four")
		b.told(t, "drop four")
		a.told(t)
	})
}

// race R24: and if none comes, when a heartbeat follows; there are two.
func TestALastMessageThatIsLostIsMissed(t *testing.T) {
	for lost, within := range []time.Duration{interval, 2 * interval} {
		bubble(t, 2, func(t *testing.T, _ *faketier.Bus, all []*member) {
			a, b := all[0], all[1]
			b.line.Lose(func(message []byte) bool {
				m, _ := Parse(message)
				if !faketier.IsHeartbeat(message) {
					return true
				}
				if m.Origin == 1 && lost > 0 {
					lost--
					return true
				}
				return false
			})
			a.publish(t, "last")
			after(within - 1)
			b.told(t)
			after(1)
			b.told(t, "missed")
			after(time.Minute)
			b.told(t)
		})
	}
}

// race R24: nor does it need more time if its sender leaves right after it.
func TestTheLastMessageOfOneWhoLeavesIsMissed(t *testing.T) {
	for lost := range 2 {
		bubble(t, 2, func(t *testing.T, _ *faketier.Bus, all []*member) {
			a, b := all[0], all[1]
			b.line.Lose(func(message []byte) bool {
				if !faketier.IsHeartbeat(message) {
					return true
				}
				lost--
				return lost >= 0
			})
			a.publish(t, "last")
			a.Leave()
			synctest.Wait()
			b.told(t, "missed")
		})
	}
}

// race R24: what comes twice, or late, is no gap. What comes late was missed, and is carried out.
func TestWhatComesTwiceOrLateIsCarriedOut(t *testing.T) {
	bubble(t, 2, func(t *testing.T, bus *faketier.Bus, all []*member) {
		a, b := all[0], all[1]
		var kept [][]byte
		b.line.Lose(func(message []byte) bool {
			if keep := !faketier.IsHeartbeat(message) && len(kept) < 2; keep {
				kept = append(kept, message)
				return true
			}
			return false
		})
		for _, name := range []string{"one", "two", "three"} {
			a.publish(t, name)
		}
		b.told(t, "missed", "drop three")
		for _, message := range append(kept, kept...) {
			(*listener)(b.Conn).Message(message)
		}
		b.told(t, "drop one", "drop two", "drop one", "drop two")
		a.publish(t, "four")
		b.told(t, "drop four")
	})
}

// race R24: of a store that is heard for the first time, only what it has said since this one is
// connected can have been missed; and of one that has begun anew, nothing of before counts.
func TestWhatWasSaidBeforeAStoreWasConnectedIsNotMissed(t *testing.T) {
	bubble(t, 1, func(t *testing.T, bus *faketier.Bus, all []*member) {
		a := all[0]
		a.publish(t, "before")
		after(time.Minute)
		late := joinLine(t, bus, 7)
		after(time.Millisecond)
		a.publish(t, "heard")
		late.told(t, "drop heard")

		deaf := joinLine(t, bus, 8)
		deaf.line.Lose(loses(1, false))
		a.publish(t, "lost")
		after(time.Millisecond)
		a.publish(t, "next")
		deaf.told(t, "missed", "drop next")
		late.told(t, "drop lost", "drop next")

		again := joinLine(t, bus, 9)
		again.publish(t, "of another")
		late.told(t, "drop of another")
	})
}

// race R24: what was missed until a reconnect has been made up for.
func TestWhatWasMissedBeforeAReconnectIsNotMissedAgain(t *testing.T) {
	bubble(t, 2, func(t *testing.T, bus *faketier.Bus, all []*member) {
		a, b := all[0], all[1]
		a.publish(t, "one")
		b.line.Lose(func([]byte) bool { return true })
		a.publish(t, "lost")
		b.told(t, "drop one")
		(*listener)(b.Conn).Down(faketier.ErrCut)
		after(time.Second / 2)
		(*listener)(b.Conn).Up()
		b.line.Lose(nil)
		a.publish(t, "two")
		after(time.Minute)
		b.told(t, "disconnected", "connected", "drop two")
	})
}

// race R24: what is missed of many at once is made up for once, and once more.
func TestGapsThatAreFoundTogetherAreOne(t *testing.T) {
	bubble(t, 20, func(t *testing.T, bus *faketier.Bus, all []*member) {
		b := all[0]
		for _, a := range all[1:] {
			b.line.Lose(loses(1, false))
			a.publish(t, "lost")
		}
		after(50 * time.Millisecond)
		for _, a := range all[1:] {
			a.publish(t, "heard")
			time.Sleep(time.Millisecond)
		}
		missed := func(calls []string) (n int) {
			for _, call := range calls {
				if call == "missed" {
					n++
				}
			}
			return n
		}
		if got := b.take(); missed(got) != 1 || got[0] != "missed" {
			t.Errorf("%q", got)
		}
		after(time.Minute)
		if n := missed(b.take()); n > 1 {
			t.Errorf("%d more gaps", n)
		}
	})
}

// A fleet has one heartbeat an interval or so, and those that others send before they have heard
// it. And all is heard all the time.
func TestAFleetHasAHeartbeatAnIntervalTogether(t *testing.T) {
	const latency = 5 * time.Millisecond
	for _, members := range []int{1, 2, 50} {
		synctest.Test(t, func(t *testing.T) {
			b := &slow{takes: latency}
			var sent atomic.Int64
			var all []*Conn
			for i := range members {
				c := New(countingBus{b, &sent}, emit.New("test", slog.New(slog.DiscardHandler), event.Hooks{}), "app:", uint64(i+1), time.Second, trust)
				if err := c.Join(&recorder{}); err != nil {
					t.Fatal(err)
				}
				defer c.Leave()
				all = append(all, c)
			}
			const intervals = 200
			for range intervals * 10 {
				after(interval / 10)
				for i, c := range all {
					if silent := time.Duration(clock.Now() - c.hearing.heard.Load()); silent > 3*interval/2+latency || c.hearing.behind != 0 {
						t.Fatalf("store %d of %d has heard nothing for %v", i, members, silent)
					}
				}
			}
			if n := sent.Load(); n < intervals/2 || n > intervals*2 {
				t.Errorf("%d stores sent %d heartbeats in %d intervals", members, n, intervals)
			}
		})
	}
}

type countingBus struct {
	*slow
	sent *atomic.Int64
}

func (b countingBus) Publish(ctx context.Context, channel string, message []byte) error {
	b.sent.Add(1)
	time.Sleep(b.takes)
	return b.slow.Publish(ctx, channel, message)
}

// race R49: a process that is deaf without knowing it trusts what it has for as long as one that
// knows, and from when it heard something last.
func TestADeafProcessTrustsNothingForLong(t *testing.T) {
	bubble(t, 2, func(t *testing.T, _ *faketier.Bus, all []*member) {
		a, b := all[0], all[1]
		after(10 * time.Second)
		b.line.Lose(func([]byte) bool { return true })
		deaf := time.Now()
		after(100 * time.Millisecond)
		a.publish(t, "lost")
		after(time.Minute)
		if until := time.Unix(0, b.TrustedUntil(0)); until.After(deaf.Add(trust)) {
			t.Errorf("trusted until %v after it became deaf", until.Sub(deaf))
		}
		if at := clock.Now() - 1; b.TrustedUntil(at) != at+int64(trust) {
			t.Error("what was found just now is not trusted")
		}
		b.told(t)
	})
}

// race R47: a process that was stopped trusts nothing again because of what was sent while it
// was: of that there may be more. It trusts when it has heard itself, for then it has heard all.
func TestAfterAStopOnlyTheOwnEchoProvesAnything(t *testing.T) {
	bubble(t, 2, func(t *testing.T, _ *faketier.Bus, all []*member) {
		a, b := all[0], all[1]
		a.publish(t, "before")
		after(10 * time.Second)
		b.told(t, "drop before")
		stopped := time.Now()
		b.line.Stop()
		for i := range 50 {
			a.publish(t, fmt.Sprint(i))
			time.Sleep(100 * time.Millisecond)
		}
		resumed := time.Now()
		for i := 0; b.line.Continue(); i++ {
			if until := time.Unix(0, b.TrustedUntil(0)); until.After(stopped.Add(trust)) {
				t.Fatalf("after message %d it trusts until %v after it was stopped", i, until.Sub(stopped))
			}
			if i == 0 {
				b.told(t, "missed", "drop 0")
			}
			time.Sleep(time.Millisecond)
		}
		after(0)
		if b.heardFor() > time.Since(resumed)+time.Second { // what it sent while it was stopped counts from then
			t.Errorf("after its heartbeat has come back it has heard nothing for %v", b.heardFor())
		}
		after(2 * interval)
		if b.heardFor() > 3*interval/2 {
			t.Errorf("it does not recover: %v", b.heardFor())
		}
	})
}

// race R47: a process that never stands still for long, but hears more and more late, notices.
func TestAProcessThatFallsBehindNotices(t *testing.T) {
	bubble(t, 2, func(t *testing.T, _ *faketier.Bus, all []*member) {
		a, b := all[0], all[1]
		a.publish(t, "before")
		b.line.Stop()
		delayed := func(m time.Duration) {
			for range 40 { // a message every 500 ms arrives every 600 ms
				a.publish(t, "k")
				time.Sleep(m)
			}
		}
		go delayed(500 * time.Millisecond)
		synctest.Wait()
		worst := time.Duration(0)
		for i := range 35 {
			if i > 0 {
				time.Sleep(600 * time.Millisecond)
				synctest.Wait()
			}
			sentAt := time.Duration(i) * 500 * time.Millisecond
			now := time.Duration(i) * 600 * time.Millisecond
			_ = b.line.Continue()
			// All is known until this message was sent, or less.
			if b.heardFor() < now-sentAt {
				worst = max(worst, now-sentAt-b.heardFor())
			}
		}
		if worst > 2*interval {
			t.Errorf("it believes to have heard what comes %v later", worst)
		}
		for b.line.Continue() {
		}
		after(3 * interval)
		if b.heardFor() > 3*interval/2 || b.hearing.behind != 0 {
			t.Errorf("it does not recover: %v, %d", b.heardFor(), b.hearing.behind)
		}
	})
}

// race R47: numbers say what was missed in a short silence. After a long one they do not: what
// followed the message may be lost with it.
func TestASilenceThatIsTooLongIsAGap(t *testing.T) {
	for silence, want := range map[time.Duration][]string{
		2 * interval:   {},
		2*interval + 1: {"missed"},
	} {
		bubble(t, 2, func(t *testing.T, _ *faketier.Bus, all []*member) {
			a, b := all[0], all[1]
			_, _ = a.Publish(t.Context(), Drop, []string{"before"})
			b.told(t, "drop before")
			b.line.Lose(func([]byte) bool { return true })
			time.Sleep(silence)
			b.line.Lose(nil)
			(*listener)(b.Conn).Message(Append(nil, &Message{Origin: 9}))
			b.told(t, want...)
		})
	}
}

// A bus on which each message takes its time is no reason to trust nothing.
func TestALatencyIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{takes: 400 * time.Millisecond}
		var all []*Conn
		for i := range 3 {
			c := New(slowBus{b}, emit.New("test", slog.New(slog.DiscardHandler), event.Hooks{}), "app:", uint64(i+1), time.Second, trust)
			if err := c.Join(&recorder{}); err != nil {
				t.Fatal(err)
			}
			defer c.Leave()
			all = append(all, c)
		}
		for range 1000 {
			after(100 * time.Millisecond)
			for _, c := range all {
				if c.hearing.behind != 0 || time.Duration(clock.Now()-c.hearing.heard.Load()) > 2*interval {
					t.Fatal("behind")
				}
			}
		}
	})
}

// A slowBus lets heartbeats wait, too.
type slowBus struct{ *slow }

func (b slowBus) Publish(ctx context.Context, channel string, message []byte) error {
	time.Sleep(b.takes)
	return b.slow.Publish(ctx, channel, message)
}

// Heartbeats are no events, and one that fails is nothing.
func TestHeartbeatsAreNotToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hanging{}
		told := func(m event.Message) { t.Errorf("the hooks are told: %+v", m) }
		var log logCounter
		c := New(failingBeats{h}, emit.New("test", slog.New(&log), event.Hooks{Published: told, Received: told}), "app:", 1, time.Second, trust)
		if err := c.Join(&recorder{}); err != nil {
			t.Fatal(err)
		}
		defer c.Leave()
		after(time.Minute)
		if log.lines.Load() != 0 || c.breaker.State() != 0 {
			t.Error(log.lines.Load(), "lines, breaker", c.breaker.State())
		}
	})
}

type failingBeats struct{ *hanging }

func (failingBeats) Publish(context.Context, string, []byte) error { return faketier.ErrCut }

type logCounter struct{ lines atomic.Int64 }

func (l *logCounter) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *logCounter) WithGroup(string) slog.Handler      { return l }

func (l *logCounter) Enabled(context.Context, slog.Level) bool { return true }

func (l *logCounter) Handle(context.Context, slog.Record) error {
	l.lines.Add(1)
	return nil
}

// The table of stores that were heard has a bound.
func TestStoresThatHaveEndedAreForgotten(t *testing.T) {
	var o origins
	for i := range uint64(3 * maxOrigins) {
		if missed, _ := o.note(&Message{Origin: i, Number: 1}, 0, int64(i)); missed || len(o.of) > maxOrigins {
			t.Fatal(i, len(o.of))
		}
	}
	if _, ok := o.of[3*maxOrigins-1]; !ok || len(o.of) < maxOrigins/2 {
		t.Error("the last one is forgotten, or too many are:", len(o.of))
	}
}

// What is trusted has a shortest and heartbeats a longest interval.
func TestTheIntervalFollowsFromTheTrust(t *testing.T) {
	for given, want := range map[time.Duration][2]time.Duration{
		time.Millisecond:       {300 * time.Millisecond, 100 * time.Millisecond},
		900 * time.Millisecond: {900 * time.Millisecond, 300 * time.Millisecond},
		time.Hour:              {time.Hour, time.Second},
	} {
		var h hearing
		h.start(given, 1, 0, func() {})
		if h.stop(); h.trust != want[0] || h.interval != want[1] {
			t.Errorf("%v: %v, %v", given, h.trust, h.interval)
		}
	}
}

// race R47: what an own message proves: that all was heard until it was sent, whenever that was;
// and that all is well, if it was sent after that was doubtful, and was not under way for long.
func TestWhatAnOwnMessageProves(t *testing.T) {
	for name, test := range map[string]struct {
		sent   time.Duration // after the silence has ended, when something of an unknown store arrived
		takes  time.Duration
		heard  time.Duration // then, after the same
		behind bool
	}{
		"from before the silence":     {sent: -4 * time.Second, takes: 4 * time.Second, heard: -4 * time.Second, behind: true},
		"from just before its end":    {sent: -1, takes: 1, heard: -1, behind: true},
		"sent after it":               {sent: 0, takes: 500 * time.Millisecond, heard: 500 * time.Millisecond},
		"that was under way for long": {sent: 0, takes: interval + 1, heard: 0, behind: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h hearing
				h.start(trust, 1, clock.Now(), func() {})
				defer h.stop()
				h.connected(clock.Now())
				time.Sleep(5 * time.Second)
				at := clock.Now()
				if err := h.arrives(&Message{Origin: 2}, false, 0); err != errSilence {
					t.Error(err)
				}
				h.carriedOut(false, 0)
				if h.heard.Load() != at-int64(5*time.Second) || h.next() != 0 {
					t.Error("what arrives after a silence is believed, or the store does not ask itself at once")
				}
				time.Sleep(max(test.sent+test.takes, 0))
				_ = h.arrives(&Message{Origin: 1}, true, at+int64(test.sent))
				h.carriedOut(true, at+int64(test.sent))
				if heard := time.Duration(h.heard.Load() - at); heard != test.heard || h.behind > 0 != test.behind {
					t.Errorf("heard until %v, behind %v", heard, h.behind > 0)
				}
			})
		})
	}
}

// A way that has become longer, or a clock that goes faster, is noticed once: when an own message
// has come back it is the way that messages take.
func TestALongerWayIsGotUsedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h hearing
		h.start(trust, 1, clock.Now(), func() {})
		defer h.stop()
		h.connected(clock.Now())
		made := clock.Now()
		behind := 0
		for i := range 100 {
			time.Sleep(interval)
			way := int64(10 * time.Millisecond)
			if i >= 50 {
				way = int64(2 * time.Second)
			}
			_ = h.arrives(&Message{Origin: 2, Sent: time.Duration(clock.Now() - made - way)}, false, 0)
			h.carriedOut(false, 0)
			if h.behind > 0 {
				behind++
				sent := clock.Now()
				time.Sleep(time.Millisecond)
				_ = h.arrives(&Message{Origin: 1}, true, sent)
				h.carriedOut(true, sent)
			}
		}
		if behind != 1 {
			t.Errorf("it was behind %d times", behind)
		}
	})
}

// What cannot be read, many times in a row, makes nobody confirm everything all the time.
func TestGapsAreToldNotTooOften(t *testing.T) {
	bubble(t, 1, func(t *testing.T, _ *faketier.Bus, all []*member) {
		b := all[0]
		for range 250 {
			(*listener)(b.Conn).Message(nil)
			time.Sleep(time.Millisecond)
		}
		b.told(t, "missed", "missed", "missed")
		after(time.Second)
		b.told(t, "missed")
	})
}
