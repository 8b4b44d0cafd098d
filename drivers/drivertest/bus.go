package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// Bus tests a bus. The buses that open returns must be connected with each other, like those
// of several processes.
func Bus(t *testing.T, open func(t *testing.T) drivers.Bus) {
	t.Run("ReachesEveryProcess", func(t *testing.T) { busReaches(t, open(t), open(t)) })
	t.Run("MessagesAreBytes", func(t *testing.T) { busBytes(t, open(t)) })
	t.Run("OrderOfOnePublisher", func(t *testing.T) { busOrder(t, open(t), open(t)) })
	t.Run("ChannelsAreIsolated", func(t *testing.T) { busChannels(t, open(t)) })
	t.Run("Unsubscribe", func(t *testing.T) { busUnsubscribe(t, open(t)) })
	t.Run("ListenerIsCalledOneAtATime", func(t *testing.T) { busSerial(t, open(t)) })
	t.Run("EndedContext", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		mustFail(t, "Publish", open(t).Publish(ctx, unique("bus"), []byte("x")), context.Canceled)
	})
	t.Run("CloseTwice", func(t *testing.T) { busClose(t, open(t), open(t)) })
}

// listener records what a subscription delivers.
type listener struct {
	t        *testing.T
	inside   atomic.Int32 // calls under way
	mu       sync.Mutex
	events   []string // "up" and "down"
	messages [][]byte
	ended    bool // no call may come any more
}

func (l *listener) enter() func() {
	if l.inside.Add(1) != 1 {
		l.t.Error("two calls of one listener at once")
	}
	l.mu.Lock()
	if l.ended {
		l.t.Error("a listener was called after its subscription had ended")
	}
	return func() { l.mu.Unlock(); l.inside.Add(-1) }
}

func (l *listener) Up() {
	defer l.enter()()
	l.events = append(l.events, "up")
}

func (l *listener) Down(err error) {
	defer l.enter()()
	if err == nil || err.Error() == "" {
		l.t.Error("Down without a reason")
	}
	if n := len(l.events); n > 0 && l.events[n-1] == "down" {
		l.t.Errorf("Down twice without Up between, the second: %v", err)
	}
	l.events = append(l.events, "down")
}

func (l *listener) Message(message []byte) {
	defer l.enter()()
	if n := len(l.events); n == 0 || l.events[n-1] != "up" {
		l.t.Error("a message while down")
	}
	l.messages = append(l.messages, message)
}

// end declares that the subscription has ended: a later call fails the test.
func (l *listener) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

func (l *listener) received() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([][]byte{}, l.messages...)
}

func (l *listener) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) == 0 {
		return ""
	}
	return l.events[len(l.events)-1]
}

func (l *listener) waitFor(event string) {
	l.t.Helper()
	eventually(l.t, "the listener's last event is "+event, func() bool { return l.last() == event })
}

// losses counts the calls of Down.
func (l *listener) losses() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, event := range l.events {
		if event == "down" {
			n++
		}
	}
	return n
}

// receives checks that a message arrives that is published while the listener is up. On a
// slow machine the subscription may be lost again before that: then the next message must
// arrive.
func (l *listener) receives(b drivers.Bus, channel string) {
	l.t.Helper()
	eventually(l.t, "a message arrives", func() bool {
		losses, before := l.losses(), len(l.received())
		l.waitFor("up")
		publish(l.t, b, channel, []byte("x"))
		eventually(l.t, "a message arrives, or Down is called", func() bool {
			return len(l.received()) > before || l.losses() > losses
		})
		return len(l.received()) > before
	})
}

// waitMessages waits for exactly want, in order.
func (l *listener) waitMessages(want ...[]byte) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("%d messages", len(want)), func() bool { return len(l.received()) >= len(want) })
	got := l.received()
	if len(got) != len(want) {
		l.t.Fatalf("got %d messages, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			l.t.Errorf("message %d: got %s, want %s", i, brief(got[i]), brief(want[i]))
		}
	}
}

// listen subscribes and waits until messages arrive.
func listen(t *testing.T, b drivers.Bus, channel string) (l *listener, unsubscribe func()) {
	t.Helper()
	l = &listener{t: t}
	unsubscribe, err := b.Subscribe(channel, l)
	must(t, "Subscribe", err)
	l.waitFor("up")
	return l, unsubscribe
}

func publish(t *testing.T, b drivers.Bus, channel string, messages ...[]byte) {
	t.Helper()
	for _, m := range messages {
		must(t, "Publish", b.Publish(testContext(t), channel, m))
	}
}

func busReaches(t *testing.T, a, b drivers.Bus) {
	channel := unique("bus")
	// A message without subscribers.
	publish(t, a, channel, []byte("lost"))
	own, stopOwn := listen(t, a, channel)
	defer stopOwn()
	twin, stopTwin := listen(t, a, channel)
	defer stopTwin()
	other, stopOther := listen(t, b, channel)
	defer stopOther()
	publish(t, a, channel, []byte("hello"))
	for _, l := range []*listener{own, twin, other} {
		l.waitMessages([]byte("hello"))
	}
	publish(t, b, channel, []byte("back"))
	for _, l := range []*listener{own, twin, other} {
		l.waitMessages([]byte("hello"), []byte("back"))
	}
}

func busBytes(t *testing.T, b drivers.Bus) {
	var all []byte
	for c := range 256 {
		all = append(all, byte(c))
	}
	channel := unique("bus")
	l, stop := listen(t, b, channel)
	defer stop()
	messages := [][]byte{{}, {0}, all, []byte("\r\n"), bytes.Repeat([]byte("x"), 5000)}
	publish(t, b, channel, messages...)
	l.waitMessages(messages...)
}

func busOrder(t *testing.T, a, b drivers.Bus) {
	channel := unique("bus")
	l, stop := listen(t, b, channel)
	defer stop()
	var want [][]byte
	for i := range 500 {
		want = append(want, fmt.Append(nil, i))
	}
	publish(t, a, channel, want...)
	l.waitMessages(want...)
}

func busChannels(t *testing.T, b drivers.Bus) {
	base := unique("bus")
	var all []*listener
	names := []string{base, base + "x", base + "*", base + "?", "*" + base, base + " ", base + ":x"}
	for _, name := range names {
		l, stop := listen(t, b, name)
		defer stop()
		all = append(all, l)
	}
	for _, name := range names {
		publish(t, b, name, []byte(name))
	}
	for i, name := range names {
		all[i].waitMessages([]byte(name))
	}
}

func busUnsubscribe(t *testing.T, b drivers.Bus) {
	channel := unique("bus")
	gone, unsubscribe := listen(t, b, channel)
	stays, stop := listen(t, b, channel)
	defer stop()
	publish(t, b, channel, []byte("one"))
	gone.waitMessages([]byte("one"))
	unsubscribe()
	gone.end()
	publish(t, b, channel, []byte("two"))
	stays.waitMessages([]byte("one"), []byte("two"))
	unsubscribe()

	again, stopAgain := listen(t, b, channel)
	defer stopAgain()
	publish(t, b, channel, []byte("three"))
	again.waitMessages([]byte("three"))
}

func busSerial(t *testing.T, b drivers.Bus) {
	const publishers, each = 8, 50
	channel := unique("bus")
	l, stop := listen(t, b, channel)
	defer stop()
	var wg sync.WaitGroup
	ctx := testContext(t)
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				if err := b.Publish(ctx, channel, fmt.Append(nil, p, i)); err != nil {
					t.Errorf("Publish: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "every message arrives", func() bool { return len(l.received()) == publishers*each })
}

func busClose(t *testing.T, a, b drivers.Bus) {
	channel := unique("bus")
	closed, unsubscribe := listen(t, a, channel)
	open, stop := listen(t, b, channel)
	defer stop()
	must(t, "Close", a.Close())
	closed.end()
	must(t, "second Close", a.Close())
	unsubscribe()
	mustFail(t, "Publish after Close", a.Publish(testContext(t), channel, []byte("x")), drivers.ErrClosed)
	_, err := a.Subscribe(channel, &listener{t: t})
	mustFail(t, "Subscribe after Close", err, drivers.ErrClosed)
	publish(t, b, channel, []byte("x"))
	open.waitMessages([]byte("x"))
}

// BusFaults tests that a subscription reports when its connection is lost, and connects again.
// It is for a bus whose server the test can stop and pause.
func BusFaults(t *testing.T, open func(t *testing.T) drivers.Bus, faults Faults) {
	if faults.Stop != nil {
		t.Run("StoppedServer", func(t *testing.T) {
			busOutage(t, open(t), faults.Stop, faults.Restart)
		})
		t.Run("SubscribedWhileStopped", func(t *testing.T) { busLateServer(t, open(t), faults) })
	}
	if faults.Pause != nil {
		t.Run("SilentServer", func(t *testing.T) {
			busOutage(t, open(t), faults.Pause, faults.Resume)
		})
		t.Run("SilentSince", func(t *testing.T) { busSilentSince(t, open(t), faults) })
		t.Run("ClosedWhileSilent", func(t *testing.T) { busSilentClose(t, open(t), faults) })
		t.Run("PublishToASilentServer", func(t *testing.T) { busSilentPublish(t, open(t), faults) })
	}
}

func busOutage(t *testing.T, b drivers.Bus, begin, end func()) {
	channel := unique("bus")
	l, stop := listen(t, b, channel)
	defer stop()
	for range 2 {
		begin()
		mend := sync.OnceFunc(end)
		defer mend()
		l.waitFor("down")
		mend()
		l.waitFor("up")
		l.receives(b, channel)
	}
}

// busSilentSince: a listener that asks for it learns when the server was heard last.
func busSilentSince(t *testing.T, b drivers.Bus, faults Faults) {
	l := &lossListener{listener: listener{t: t}, heard: make(chan time.Time, 1)}
	began := time.Now()
	stop, err := b.Subscribe(unique("bus"), l)
	must(t, "Subscribe", err)
	defer stop()
	l.waitFor("up")
	faults.Pause()
	paused := time.Now()
	resume := sync.OnceFunc(faults.Resume)
	defer resume()
	l.waitFor("down")
	select {
	case heard := <-l.heard:
		if heard.Before(began) || heard.After(paused) {
			t.Errorf("heard last %v after the server was silent", heard.Sub(paused))
		}
	default:
		t.Error("Down was called in place of DownSince")
	}
	resume()
	l.waitFor("up")
}

// A lossListener is a drivers.LossListener.
type lossListener struct {
	listener
	heard chan time.Time // of the first loss
}

func (l *lossListener) MaxSilence() time.Duration { return 400 * time.Millisecond }

func (l *lossListener) DownSince(heard time.Time, err error) {
	select {
	case l.heard <- heard:
	default:
	}
	l.Down(err)
}

func busLateServer(t *testing.T, b drivers.Bus, faults Faults) {
	faults.Stop()
	restart := sync.OnceFunc(faults.Restart)
	defer restart()
	channel := unique("bus")
	l := &listener{t: t}
	stop, err := b.Subscribe(channel, l)
	must(t, "Subscribe without a server", err)
	defer stop()
	l.waitFor("down")
	restart()
	l.waitFor("up")
	l.receives(b, channel)
}

// busSilentClose: a program can end while its server does not answer.
func busSilentClose(t *testing.T, b drivers.Bus, faults Faults) {
	_, unsubscribe := listen(t, b, unique("bus"))
	listen(t, b, unique("bus"))
	faults.Pause()
	defer faults.Resume()
	start := time.Now()
	unsubscribe()
	must(t, "Close", b.Close())
	if took := time.Since(start); took > patience/4 {
		t.Errorf("unsubscribing and closing took %s", took)
	}
}

func busSilentPublish(t *testing.T, b drivers.Bus, faults Faults) {
	publish(t, b, unique("bus"), []byte("x")) // connects
	faults.Pause()
	defer faults.Resume()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	mustFail(t, "Publish", b.Publish(ctx, unique("bus"), []byte("x")), context.DeadlineExceeded)
	if took := time.Since(start); took > patience/4 {
		t.Errorf("returned after %s", took)
	}
}
