// Package subscriptions implements what buses have in common, whatever their broker: a bus
// is open until Close, each subscription has a goroutine, and a subscription reconnects
// after a lost connection.
//
// Set.mu guards the closed flag and the start of goroutines against Close, and is not held
// while a subscription runs.
package subscriptions

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A Set holds the subscriptions of one bus.
type Set struct {
	bus    string
	err    error
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex // guards closed, and orders running.Go before the Wait of Close
	closed  bool
	running sync.WaitGroup
}

// New returns the Set of a bus whose errors begin with name. unusable, if not nil, is why
// the options of the bus are unusable; the Set is then closed from the beginning.
func New(name string, unusable error) *Set {
	s := &Set{bus: name, err: unusable, closed: unusable != nil}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Err returns why the options of the bus are unusable, or nil.
func (s *Set) Err() error { return s.err }

// Publish calls publish, unless ctx has ended or the Set is closed. Its error names the bus
// and the channel.
func (s *Set) Publish(ctx context.Context, channel string, publish func() error) error {
	err := ctx.Err()
	if s.isClosed() {
		err = drivers.ErrClosed
	}
	if err == nil {
		err = publish()
	}
	if err != nil {
		return fmt.Errorf("%s: publish on %q: %w", s.bus, channel, err)
	}
	return nil
}

func (s *Set) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Subscribe starts run in a goroutine. The context of run ends when the returned function
// is called or the Set is closed; both wait until run returns.
func (s *Set) Subscribe(channel string, run func(context.Context)) (unsubscribe func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("%s: subscribe to %q: %w", s.bus, channel, drivers.ErrClosed)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan struct{})
	s.running.Go(func() {
		defer close(done)
		run(ctx)
	})
	return func() {
		cancel()
		<-done
	}, nil
}

// Close ends every subscription. Calling it twice is safe.
func (s *Set) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
	return nil
}

// minInterval is how often a server is pinged at most because a listener wants to know of a
// loss soon.
const minInterval = 100 * time.Millisecond

// Interval returns how often a subscription pings its server so that l learns of a loss in
// time: at least once in wanted. The loss is noticed within three intervals.
func Interval(l drivers.Listener, wanted time.Duration) time.Duration {
	if s, ok := drivers.LossListenerOf(l); ok {
		return min(wanted, max(s.MaxSilence()/3, minInterval))
	}
	return wanted
}

// Down tells l that the connection is lost, which showed a sign of life last at a time.
func Down(l drivers.Listener, heard time.Time, err error) {
	if s, ok := drivers.LossListenerOf(l); ok {
		s.DownSince(heard, err)
		return
	}
	l.Down(err)
}

const (
	minBackoff = 20 * time.Millisecond
	// MaxBackoff is the longest pause between two connections.
	MaxBackoff = 2 * time.Second
)

// Keep runs one session after the other until ctx ends. A session lasts as long as one
// connection and returns why the connection was lost, and Keep calls lost with that error.
func Keep(ctx context.Context, session func(context.Context) error, lost func(error)) {
	backoff := minBackoff
	for {
		start := time.Now()
		err := session(ctx)
		if ctx.Err() != nil {
			return
		}
		lost(err)
		// A connection that breaks soon after it was made does not reset the back-off.
		if time.Since(start) > MaxBackoff {
			backoff = minBackoff
		}
		// Random, so that the processes that lost a server do not reconnect all at once.
		wait := time.NewTimer(backoff/2 + rand.N(backoff/2))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		}
		backoff = min(2*backoff, MaxBackoff)
	}
}
