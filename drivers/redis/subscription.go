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
	"github.com/cachegen/cachegen/drivers/internal/within"
)

var (
	errSilent   = errors.New("the server did not answer")
	errReplaced = errors.New("the connection was lost and replaced by another")
	errMoved    = errors.New("another server has the channel now")
)

// moveTime is how long the nodes of a Cluster may take, or a little longer, until all of them know
// that a slot has another node.
const moveTime = 5 * time.Second

// A subscription delivers the messages of one channel to its listener, and reports whether
// the channel is connected.
type subscription struct {
	client  goredis.UniversalClient
	channel string
	cluster bool // the channel is also one of a shard
	ping    time.Duration
	take    func(*goredis.Message) // delivers a message to the listener

	// The listener is called by the reader and by the watcher, which reports a connection
	// without an answer while the reader may be blocked in the client. mu is held during
	// the calls, so there is one at a time, and none about a connection that was given up.
	mu       sync.Mutex
	listener drivers.Listener
	state    state

	began time.Time
	heard atomic.Int64 // nanoseconds from began to when the server was heard last
}

type state int

const (
	starting state = iota // neither Up nor Down was called
	up
	down
)

// run keeps the subscription connected until ctx ends. It does not wait for the client,
// which watches no context while it makes a connection: what is left then ends with the
// client's timeouts, and no longer calls the listener.
func (s *subscription) run(ctx context.Context) {
	s.began = time.Now()
	_ = within.Do(ctx, func() error {
		subscriptions.Keep(ctx, s.session, func(err error) {
			s.lost(ctx, err)
			lookForMasters(ctx, s.client)
		})
		return nil
	})
	s.mu.Lock() // waits for a call of the listener that is under way
	defer s.mu.Unlock()
}

// session lasts as long as one connection, and returns why the connection ended.
func (s *subscription) session(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	pubsub, err := s.subscribe(ctx)
	if err != nil {
		return err
	}
	defer pubsub.Close()
	// The end of ctx stops a dial, and closing the connection stops a read.
	stop := context.AfterFunc(ctx, func() { pubsub.Close() })
	defer stop()

	var heard atomic.Uint64
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	watching.Go(func() {
		if err := s.watch(ctx, pubsub, &heard); err != nil {
			// In this order, so that the reader cannot call Up in between; and by this
			// goroutine, because the reader may be blocked in a dial.
			cancel(err)
			s.lost(parent, err)
		}
	})
	var h handshake
	for {
		// Without a read timeout, which could end within a message and lose the position
		// in the stream. The watcher decides when the server has not answered for too long.
		received, err := pubsub.Receive(ctx)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if h.half && unknownCommand(err) {
			err = nil // it has no channels of shards, and nobody can publish on one
			received = &goredis.Subscription{Kind: "ssubscribe"}
		}
		if err == nil {
			heard.Add(1)
			err = s.received(ctx, received, &h)
		}
		if err != nil {
			return fmt.Errorf("redis: subscription to %q: %w", s.channel, err)
		}
	}
}

// A handshake is how far a new connection to a node of a Cluster is: it confirms the channel that
// all nodes have, and then that of the shard. Until then messages can be missed.
type handshake struct {
	half   bool
	before time.Time // when the server was heard last before the connection
}

// received handles what came over a connection.
func (s *subscription) received(ctx context.Context, received any, h *handshake) error {
	last, kind := s.heardAt(), ""
	if sub, ok := received.(*goredis.Subscription); ok {
		kind = sub.Kind
	}
	switch {
	case kind == "subscribe" && s.cluster:
		h.half, h.before = true, last
	case kind == "ssubscribe":
		h.half, last = false, h.before
	}
	if !h.half {
		s.heard.Store(int64(time.Since(s.began)))
	}
	switch {
	case kind == "sunsubscribe":
		return errMoved
	case kind != "" && !h.half:
		s.confirmed(ctx, last)
	}
	if m, ok := received.(*goredis.Message); ok {
		s.deliver(ctx, m)
	}
	return nil
}

// subscribe ignores that connecting may fail: Receive tries again then and returns the
// error. The client panics for a Ring without a live shard.
//
// In a Cluster it subscribes to two channels of the same name over one connection: that of the
// shard, and the one that all nodes have, on which other processes may publish.
func (s *subscription) subscribe(ctx context.Context) (pubsub *goredis.PubSub, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("redis: subscribe to %q: %v", s.channel, p)
		}
	}()
	pubsub = s.client.Subscribe(ctx, s.channel)
	if s.cluster {
		if err := pubsub.SSubscribe(ctx, s.channel); err != nil {
			pubsub.Close()
			return nil, fmt.Errorf("redis: subscribe to %q: %w", s.channel, err)
		}
	}
	return pubsub, nil
}

// watch pings the server, and returns an error when nothing was received for two
// intervals, or nil when ctx has ended.
func (s *subscription) watch(ctx context.Context, pubsub *goredis.PubSub, heard *atomic.Uint64) error {
	ticker := time.NewTicker(s.ping)
	defer ticker.Stop()
	var pings sync.WaitGroup
	defer pings.Wait()
	silent, before := 0, heard.Load() // silent: intervals without anything received
	for {
		if silent == 0 {
			// In a goroutine, because a ping can block on the network, or on the client's
			// lock while it connects. An error ends the connection, which the reader sees.
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

// The listener is called with s.mu held. A session that has ended may not call it: its ctx
// has ended, which is checked with s.mu held.

// confirmed reports that the server has confirmed the subscription. It was heard last before
// that at a time.
func (s *subscription) confirmed(ctx context.Context, before time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	if s.state == up {
		// After a failed ping the client has reconnected by itself.
		subscriptions.Down(s.listener, before, fmt.Errorf("redis: subscription to %q: %w", s.channel, errReplaced))
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
		heard := s.heardAt()
		if errors.Is(err, errMoved) {
			// The other server may have had the channel before this one knew.
			heard = heard.Add(-moveTime)
		}
		subscriptions.Down(s.listener, heard, err)
	}
}

// heardAt returns when the server was heard last.
func (s *subscription) heardAt() time.Time { return s.began.Add(time.Duration(s.heard.Load())) }
