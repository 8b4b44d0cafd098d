// Package pgxbus is a bus on LISTEN and NOTIFY of PostgreSQL, for programs whose shared tier
// is a table of package postgres and that use no other server. It uses a pool of
// github.com/jackc/pgx/v5.
//
//	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
//	store, err := runtime.NewStore("main",
//		runtime.L2(postgres.New(stdlib.OpenDBFromPool(pool), postgres.Options{})),
//		runtime.Bus(pgxbus.New(pool, pgxbus.Options{})))
//
// # Concurrency
//
// A [Bus] may be used by many goroutines at once. Each subscription is one goroutine, which
// alone uses the subscription's connection and calls its listener, so it needs no lock.
//
// # Limits
//
// Each subscription holds a connection of its own in addition to the pool. It must be one
// connection to the primary server: not through a pooler that may give each transaction
// another connection, and not to a replica.
//
// A notification has at most 8000 bytes of text, so a message is sent in Base64, and a
// message of more than 5900 bytes in several notifications of one transaction. PostgreSQL
// serializes the commits of transactions that notify: hundreds of messages in a second are
// possible, tens of thousands are not. A message may have 16 MB.
package pgxbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/subscriptions"
)

// DefaultPingInterval is the default of [Options].PingInterval.
const DefaultPingInterval = time.Second

// Options of a [Bus]. The zero value is usable.
type Options struct {
	// PingInterval is after which time without notifications a subscription pings the
	// server; [DefaultPingInterval] if zero. A connection without an answer within the
	// same time is closed, so a network that drops packets silently is noticed within two
	// intervals. A listener that wants to know of a loss sooner ([drivers.LossListener]) has
	// the server pinged more often.
	PingInterval time.Duration
}

// A Bus is a [drivers.Bus]. Each subscription has a connection of its own and a goroutine,
// which reconnects, with a back-off of at most two seconds, until the subscription or the
// bus ends.
type Bus struct {
	pool *pgxpool.Pool
	ping time.Duration
	all  *subscriptions.Set
}

var (
	_ drivers.Bus     = (*Bus)(nil)
	_ drivers.Checker = (*Bus)(nil)
)

// New returns a bus on pool. pool stays open after Close; close it after the bus. Messages
// are published through the pool; subscriptions connect with its configuration. New does
// not connect. If pool is nil or options are unusable, every operation fails: Err returns
// the reason, and runtime.NewStore refuses the bus.
func New(pool *pgxpool.Pool, options Options) *Bus {
	var err error
	b := &Bus{pool: pool, ping: options.PingInterval}
	switch {
	case pool == nil:
		err = errors.New("pgxbus: the pool is nil")
	case b.ping < 0:
		err = fmt.Errorf("pgxbus: PingInterval is %s, must not be negative", b.ping)
	case b.ping == 0:
		b.ping = DefaultPingInterval
	}
	b.all = subscriptions.New("pgxbus", err)
	return b
}

// Err implements [drivers.Checker]: it returns why the bus is unusable, or nil.
func (b *Bus) Err() error { return b.all.Err() }

// Publish implements [drivers.Bus]. Its result does not say whether there are subscribers.
func (b *Bus) Publish(ctx context.Context, channel string, message []byte) error {
	return b.all.Publish(ctx, channel, func() error {
		if len(message) > maxMessage {
			return fmt.Errorf("%w: the message has %d bytes, at most %d are allowed", drivers.ErrRefused, len(message), maxMessage)
		}
		return b.notify(ctx, channel, message)
	})
}

// notify tries again while the pool returns connections that have broken without its
// knowledge, as all connections do when the server restarts. The message can then arrive
// twice.
func (b *Bus) notify(ctx context.Context, channel string, message []byte) error {
	for left := b.pool.Stat().TotalConns(); ; left-- {
		_, err := b.pool.Exec(ctx, "SELECT pg_notify($1, part) FROM unnest($2::text[]) AS part", identifier(channel), split(message))
		var answer *pgconn.PgError
		var refused *pgconn.ConnectError
		switch {
		case err != nil && strings.Contains(err.Error(), "closed pool"): // of a module that pgx alone requires
			return fmt.Errorf("%w (%w)", drivers.ErrClosed, err)
		case errors.As(err, &answer) && terminated[answer.Code] && left > 0 && ctx.Err() == nil:
		case err == nil || left <= 0 || ctx.Err() != nil || answer != nil || errors.As(err, &refused):
			return err
		}
	}
}

// terminated are the codes with which a server ends a session: see package postgres.
var terminated = map[string]bool{"57P01": true, "57P02": true, "57P05": true}

// Subscribe implements [drivers.Bus].
func (b *Bus) Subscribe(channel string, l drivers.Listener) (unsubscribe func(), err error) {
	s := &subscription{pool: b.pool, channel: channel, listener: l, ping: subscriptions.Interval(l, b.ping)}
	return b.all.Subscribe(channel, s.run)
}

// Close implements [drivers.Bus]. It returns when no listener is called any more, and must
// not be called by a listener.
func (b *Bus) Close() error {
	return b.all.Close()
}
