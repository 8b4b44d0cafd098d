package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/subscriptions"
)

var (
	errSilent   = errors.New("the connection is silent")
	errReplaced = errors.New("the connection was replaced")
)

// A subscription tells its listener what one channel says, and whether it can be
// heard.
type subscription struct {
	client  goredis.UniversalClient
	channel string
	ping    time.Duration
	take    func(*goredis.Message) // hands a message to the listener

	// The watcher of a silent connection reports it while the reader may be stuck
	// in the client, so the listener is called by two goroutines: one at a time,
	// and not about a connection that has been given up.
	mu       sync.Mutex
	listener drivers.Listener
	state    state
}

type state int

const (
	starting state = iota // neither Up nor Down was called
	up
	down
)

// run keeps the subscription up until ctx ends.
func (s *subscription) run(ctx context.Context) {
	subscriptions.Keep(ctx, s.session, func(err error) { s.lost(ctx, err) })
}

// session lives as long as one connection, and returns why it ended.
func (s *subscription) session(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	pubsub, err := s.subscribe(ctx)
	if err != nil {
		return err
	}
	defer pubsub.Close()
	// Ending ctx stops a dial, closing the connection stops a read.
	stop := context.AfterFunc(ctx, func() { pubsub.Close() })
	defer stop()

	var heard atomic.Uint64
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	watching.Go(func() {
		if err := s.watch(ctx, pubsub, &heard); err != nil {
			// In this order, so that the reader cannot call Up in between; and from
			// here, because it may be waiting for a dial that gets no answer.
			cancel(err)
			s.lost(parent, err)
		}
	})
	for {
		// No read timeout: one that fires within a message would lose the place in
		// the stream. The watcher decides when silence has lasted too long.
		received, err := pubsub.Receive(ctx)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			return fmt.Errorf("redis: subscription to %q: %w", s.channel, err)
		}
		heard.Add(1)
		switch m := received.(type) {
		case *goredis.Subscription:
			if m.Kind == "subscribe" {
				s.confirmed(ctx)
			}
		case *goredis.Message:
			s.deliver(ctx, m)
		}
	}
}

// subscribe ignores that connecting may fail: receiving then tries again and
// tells. Only a Ring without a live shard panics.
func (s *subscription) subscribe(ctx context.Context) (pubsub *goredis.PubSub, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("redis: subscribe to %q: %v", s.channel, p)
		}
	}()
	return s.client.Subscribe(ctx, s.channel), nil
}

// watch pings, and returns an error when nothing was heard for two intervals, or
// nil when ctx has ended.
func (s *subscription) watch(ctx context.Context, pubsub *goredis.PubSub, heard *atomic.Uint64) error {
	ticker := time.NewTicker(s.ping)
	defer ticker.Stop()
	var pings sync.WaitGroup
	defer pings.Wait()
	silent, before := 0, heard.Load()
	for {
		if silent == 0 {
			// Sending can block, on the network or on the client's lock while it
			// connects; the clock must go on. An error ends the connection, which
			// the reader sees.
			pings.Go(func() { _ = pubsub.Ping(ctx) })
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if now := heard.Load(); now != before {
			silent, before = 0, now
		} else if silent++; silent == 2 {
			return fmt.Errorf("redis: subscription to %q: %w for %s", s.channel, errSilent, 2*s.ping)
		}
	}
}

// The listener is called with s.mu held. A session that has ended may call no more:
// that is what ctx says, checked under the lock that lost holds.

func (s *subscription) confirmed(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	if s.state == up {
		// The client has reconnected by itself, in answer to a failed ping.
		s.listener.Down(fmt.Errorf("redis: subscription to %q: %w", s.channel, errReplaced))
	}
	s.state = up
	s.listener.Up()
}

func (s *subscription) deliver(ctx context.Context, m *goredis.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil && s.state == up {
		s.take(m)
	}
}

func (s *subscription) lost(ctx context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil && s.state != down {
		s.state = down
		s.listener.Down(err)
	}
}
