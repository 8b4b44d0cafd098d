package pgxbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/subscriptions"
)

const (
	// connectTimeout bounds the time until a connection listens and is watched by pings.
	connectTimeout = 10 * time.Second
	// closeTimeout bounds the close of a connection to a server that may not answer.
	closeTimeout = 200 * time.Millisecond
)

var errSilent = errors.New("the server did not answer")

// A subscription delivers the messages of one channel to its listener, and reports whether
// the channel is connected. Only one goroutine uses it.
type subscription struct {
	pool     *pgxpool.Pool
	channel  string
	ping     time.Duration
	listener drivers.Listener
	down     bool      // Down was called after the last Up
	heard    time.Time // when the server was heard last
}

// run keeps the subscription connected until ctx ends.
func (s *subscription) run(ctx context.Context) {
	s.heard = time.Now()
	subscriptions.Keep(ctx, s.session, func(err error) {
		if !s.down {
			s.down = true
			subscriptions.Down(s.listener, s.heard, fmt.Errorf("pgxbus: subscription to %q: %w", s.channel, err))
		}
	})
}

// session lasts as long as one connection, and returns why the connection ended.
func (s *subscription) session(ctx context.Context) error {
	connection, err := s.listen(ctx)
	if err != nil {
		return err
	}
	defer closeConnection(connection)
	s.down, s.heard = false, time.Now()
	s.listener.Up()
	var parts assembly
	for {
		notification, err := s.next(ctx, connection, &parts)
		if err != nil {
			return err
		}
		if message, whole := parts.add(notification.Payload, time.Now()); whole {
			s.listener.Message(message)
		}
		// ctx may have ended during the call of the listener.
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// listen connects and returns when the server has confirmed LISTEN.
func (s *subscription) listen(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	pool := s.pool.Config()
	config := pool.ConnConfig.Copy()
	if pool.BeforeConnect != nil {
		if err := pool.BeforeConnect(ctx, config); err != nil {
			return nil, err
		}
	}
	config.OnNotification = nil // a handler would take the notifications away from WaitForNotification
	connection, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err := connection.Exec(ctx, "LISTEN "+pgx.Identifier{identifier(s.channel)}.Sanitize()); err != nil {
		closeConnection(connection)
		return nil, err
	}
	return connection, nil
}

// next waits for a notification, and pings the server after each PingInterval without one.
func (s *subscription) next(ctx context.Context, connection *pgx.Conn, parts *assembly) (*pgconn.Notification, error) {
	for {
		parts.expire(time.Now())
		n, err := wait(ctx, s.ping, connection.WaitForNotification)
		if err == nil {
			s.heard = time.Now()
			return n, nil
		}
		// The end of a wait for notifications does not close the connection.
		if ctx.Err() != nil || connection.IsClosed() || !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		asked := time.Now()
		_, err = wait(ctx, s.ping, func(ctx context.Context) (struct{}, error) { return struct{}{}, connection.Ping(ctx) })
		switch {
		case err == nil:
			s.heard = asked
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			return nil, fmt.Errorf("%w for %s", errSilent, 2*s.ping)
		default:
			return nil, err
		}
	}
}

// wait calls f with a context that ends after d.
func wait[T any](ctx context.Context, d time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx)
}

func closeConnection(connection *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = connection.Close(ctx)
}
