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
	// connectTimeout bounds what no ping watches yet.
	connectTimeout = 10 * time.Second
	// closeTimeout bounds the farewell to a server that may be gone.
	closeTimeout = 200 * time.Millisecond
)

var errSilent = errors.New("the connection is silent")

// A subscription tells its listener what one channel says, and whether it can be
// heard. It is one goroutine.
type subscription struct {
	pool     *pgxpool.Pool
	channel  string
	ping     time.Duration
	listener drivers.Listener
	down     bool // Down was called after the last Up
}

// run keeps the subscription up until ctx ends.
func (s *subscription) run(ctx context.Context) {
	subscriptions.Keep(ctx, s.session, func(err error) {
		if !s.down {
			s.down = true
			s.listener.Down(fmt.Errorf("postgres: subscription to %q: %w", s.channel, err))
		}
	})
}

// session lives as long as one connection, and returns why it ended.
func (s *subscription) session(ctx context.Context) error {
	connection, err := s.listen(ctx)
	if err != nil {
		return err
	}
	defer hangUp(connection)
	s.down = false
	s.listener.Up()
	var parts assembly
	for {
		notification, err := s.next(ctx, connection)
		if err != nil {
			return err
		}
		if message, whole := parts.add(notification.Payload); whole {
			s.listener.Message(message)
		}
		// The listener may have taken its time, and ctx may have ended meanwhile.
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// listen connects and returns when notifications of the channel arrive.
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
	config.OnNotification = nil // what is not nil gets them in place of us
	connection, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err := connection.Exec(ctx, "LISTEN "+pgx.Identifier{identifier(s.channel)}.Sanitize()); err != nil {
		hangUp(connection)
		return nil, err
	}
	return connection, nil
}

// next waits for a notification, and asks a silent connection whether it is alive.
func (s *subscription) next(ctx context.Context, connection *pgx.Conn) (*pgconn.Notification, error) {
	for {
		n, err := wait(ctx, s.ping, connection.WaitForNotification)
		if err == nil {
			return n, nil
		}
		// The end of a wait for notifications alone leaves the connection as it is.
		if ctx.Err() != nil || connection.IsClosed() || !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		_, err = wait(ctx, s.ping, func(ctx context.Context) (struct{}, error) { return struct{}{}, connection.Ping(ctx) })
		switch {
		case err == nil:
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			return nil, fmt.Errorf("%w for %s", errSilent, 2*s.ping)
		default:
			return nil, err
		}
	}
}

func wait[T any](ctx context.Context, d time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx)
}

func hangUp(connection *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = connection.Close(ctx)
}
