package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	gonats "github.com/nats-io/nats.go"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/subscriptions"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

var (
	errBroken   = errors.New("the connection is lost")
	errReplaced = errors.New("the connection was lost and replaced by another")
	errSilent   = errors.New("the server did not answer")
)

// A subscription delivers the messages of one channel to its listener, and reports whether
// the channel is connected. After a reconnect nats.go subscribes again; messages published
// in the meantime are lost.
type subscription struct {
	conn    *gonats.Conn
	channel string
	subject string
	ping    time.Duration

	// Used by the watcher only: the server's refusal of the subscription, and its session.
	refusal   error
	refusedBy uint64

	// The listener is called by a goroutine of nats.go, which delivers messages, and by
	// the watcher, which reports the connection. mu is held during the calls, so there is
	// one at a time, and no message while down.
	mu       sync.Mutex
	listener drivers.Listener
	state    state
	ended    bool      // it may not be called any more
	heard    time.Time // when the server was heard last
	session  uint64    // the number of reconnects at the last Up
}

type state int

const (
	starting state = iota // neither Up nor Down was called
	up
	down
)

// run watches the subscription until ctx ends. It does not wait for nats.go, which can wait
// for a server that takes nothing more while it holds its lock.
func (s *subscription) run(ctx context.Context) {
	s.heard = time.Now()
	_ = within.Do(ctx, func() error {
		s.watch(ctx)
		return nil
	})
	s.end()
}

func (s *subscription) watch(ctx context.Context) {
	// Before the first check, so that no later change is missed.
	changes := s.conn.StatusChanged()
	defer s.conn.RemoveStatusListener(changes)
	sub, err := s.conn.Subscribe(s.subject, s.deliver)
	if err != nil {
		s.lost(err)
		<-ctx.Done() // the connection is closed forever
		return
	}
	defer sub.Unsubscribe()
	defer s.end() // runs before Unsubscribe, so that no message is delivered during it
	full := sub.StatusChanged(gonats.SubscriptionSlowConsumer)

	ticker := time.NewTicker(s.ping)
	defer ticker.Stop()
	for {
		if err := s.check(ctx); ctx.Err() != nil {
			return
		} else if err != nil {
			s.lost(err)
		}
		select {
		case status := <-changes:
			if status != gonats.CONNECTED {
				s.lost(s.reason())
			}
		case _, ok := <-full:
			if !ok { // the program has closed the connection
				full = nil
				break
			}
			s.lost(gonats.ErrSlowConsumer)
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// check calls Up if the server answers a flush. The server answers in order, so it then has
// the subscription. The error says why messages may be lost.
func (s *subscription) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.ping)
	defer cancel()
	var before uint64
	asked := time.Now()
	err := within.Do(ctx, func() error {
		before = s.conn.Stats().Reconnects
		if !s.conn.IsConnected() {
			return s.reason()
		}
		if err := s.conn.FlushWithContext(ctx); err != nil {
			return err
		}
		if s.conn.Stats().Reconnects != before {
			return errReplaced
		}
		return denied(s.conn, s.subject)
	})
	// The connection keeps one such error only, and another can replace it.
	if errors.Is(err, gonats.ErrPermissionViolation) {
		s.refusal, s.refusedBy = err, before
	} else if err == nil && s.refusal != nil && s.refusedBy == before {
		err = s.refusal
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w for %s", errSilent, 2*s.ping)
	}
	if err == nil {
		s.confirmed(before, asked)
	}
	return err
}

// reason returns why the connection is lost.
func (s *subscription) reason() error {
	if s.conn.IsClosed() {
		return connected(s.conn)
	}
	if err := s.conn.LastError(); err != nil {
		return err
	}
	return errBroken
}

// The listener is called with s.mu held.

// confirmed reports that the server has the subscription, in the connection after so many
// reconnects: it has answered what it was asked at a time.
func (s *subscription) confirmed(session uint64, asked time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.state == up && session == s.session {
		s.heard = asked
		return
	}
	if s.state == up {
		subscriptions.Down(s.listener, s.heard, s.wrap(errReplaced))
	}
	s.state, s.session, s.heard = up, session, asked
	s.listener.Up()
}

func (s *subscription) deliver(m *gonats.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	if s.state == up && !s.ended {
		s.listener.Message(m.Data)
	}
}

func (s *subscription) lost(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != down && !s.ended {
		s.state = down
		subscriptions.Down(s.listener, s.heard, s.wrap(err))
	}
}

func (s *subscription) wrap(err error) error {
	return fmt.Errorf("nats: subscription to %q: %w", s.channel, err)
}

// end returns when the listener is not being called, and will not be any more.
func (s *subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}
