// Package subscriptions is what buses have in common, whatever their broker: they are
// open until Close, each subscription has a goroutine, and it comes back after a loss.
package subscriptions

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A Set is the subscriptions of one bus.
type Set struct {
	bus    string
	err    error
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex // guards closed, and running against Close's Wait
	closed  bool
	running sync.WaitGroup
}

// New returns the set of a bus whose errors begin with a name. unusable is what is wrong
// with its options: if not nil, the set is closed from the beginning.
func New(name string, unusable error) *Set {
	s := &Set{bus: name, err: unusable, closed: unusable != nil}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Err returns what makes the bus unusable, or nil.
func (s *Set) Err() error { return s.err }

// Publish calls publish, unless ctx has ended or the set is closed, and says in an error
// what it was about.
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

// Subscribe starts run, whose context ends when the returned function is called or the
// set is closed; both wait for the end of run.
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

const (
	minBackoff = 20 * time.Millisecond
	// MaxBackoff is the longest pause between two connections.
	MaxBackoff = 2 * time.Second
)

// Keep runs one session after the other until ctx ends. A session lives as long as one
// connection and returns why it ended, which lost is told.
func Keep(ctx context.Context, session func(context.Context) error, lost func(error)) {
	backoff := minBackoff
	for {
		start := time.Now()
		err := session(ctx)
		if ctx.Err() != nil {
			return
		}
		lost(err)
		// A connection that is broken as soon as it is made counts as a failure.
		if time.Since(start) > MaxBackoff {
			backoff = minBackoff
		}
		// Processes that lost one server must not come back to it all at once.
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
