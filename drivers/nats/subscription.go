package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	gonats "github.com/nats-io/nats.go"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

var (
	errBroken   = errors.New("the connection is broken")
	errReplaced = errors.New("the connection was replaced")
	errSilent   = errors.New("the server is silent")
)

// A subscription tells its listener what one channel says, and whether it can be
// heard. nats.go subscribes again whenever it has connected again; what was published
// meanwhile is lost.
type subscription struct {
	conn    *gonats.Conn
	channel string
	subject string
	ping    time.Duration

	// Of the watcher alone: the server's refusal, and the session that it is of.
	refusal   error
	refusedBy uint64

	// nats.go delivers messages from a goroutine of its own, the watcher tells of the
	// connection: one at a time, and no message while down.
	mu       sync.Mutex
	listener drivers.Listener
	state    state
	ended    bool   // nothing may be delivered any more
	session  uint64 // the connections there had been at the last Up
}

type state int

const (
	starting state = iota // neither Up nor Down was called
	up
	down
)

// run watches the subscription until ctx ends.
func (s *subscription) run(ctx context.Context) {
	// Before anything is asked, so that no change is missed after the answer.
	changes := s.conn.StatusChanged()
	defer s.conn.RemoveStatusListener(changes)
	sub, err := s.conn.Subscribe(s.subject, s.deliver)
	if err != nil {
		s.lost(err)
		<-ctx.Done() // the connection is closed, and stays so
		return
	}
	defer sub.Unsubscribe()
	defer s.end() // first, so that nothing is delivered while the other waits
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
			if !ok { // somebody has closed the connection
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

// check calls Up if the server answers, which it does in order: it has then seen the
// subscription. An error says why messages may be lost.
func (s *subscription) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.ping)
	defer cancel()
	var before uint64
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
	// The connection has room for one such error, which another can replace.
	if errors.Is(err, gonats.ErrPermissionViolation) {
		s.refusal, s.refusedBy = err, before
	} else if err == nil && s.refusal != nil && s.refusedBy == before {
		err = s.refusal
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w for %s", errSilent, 2*s.ping)
	}
	if err == nil {
		s.confirmed(before)
	}
	return err
}

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

func (s *subscription) confirmed(session uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == up && session == s.session {
		return
	}
	if s.state == up {
		s.listener.Down(s.wrap(errReplaced))
	}
	s.state, s.session = up, session
	s.listener.Up()
}

func (s *subscription) deliver(m *gonats.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == up && !s.ended {
		s.listener.Message(m.Data)
	}
}

func (s *subscription) lost(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != down {
		s.state = down
		s.listener.Down(s.wrap(err))
	}
}

func (s *subscription) wrap(err error) error {
	return fmt.Errorf("nats: subscription to %q: %w", s.channel, err)
}

// end returns when no message is being delivered, and none will be.
func (s *subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}
