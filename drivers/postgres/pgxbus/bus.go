// Package pgxbus is a bus on PostgreSQL's LISTEN and NOTIFY, for programs whose shared
// tier is a table of package postgres and that want no other server. It takes a pool
// of github.com/jackc/pgx/v5.
//
//	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
//	store, err := runtime.NewStore("main",
//		runtime.L2(postgres.New(stdlib.OpenDBFromPool(pool), postgres.Options{})),
//		runtime.WithBus(pgxbus.New(pool, pgxbus.Options{})))
//
// # Limits
//
// Each subscription holds a connection of its own, beside the pool, and needs one that
// is its own on the server too: not a pooler that gives each transaction another one,
// and not a replica.
//
// A notification has at most 8000 bytes of text, so a message is sent in Base64, and
// one of more than 5900 bytes in several notifications of one transaction. Postgres
// serializes the commits of transactions that notify; hundreds of messages a second
// are fine, tens of thousands are not.
package pgxbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/subscriptions"
)

// DefaultPingInterval is what [Options] with zero mean.
const DefaultPingInterval = time.Second

// Options of a [Bus]. The zero value is usable.
type Options struct {
	// PingInterval is how often a subscription asks whether its connection is alive,
	// while it hears nothing. No answer within the same time gives it up, so a
	// network that drops packets without a word is noticed within two intervals.
	PingInterval time.Duration
}

// Bus implements [drivers.Bus]. Each subscription has a goroutine that keeps it up
// until the subscription or the bus ends: reconnecting with a back-off of at most two
// seconds.
type Bus struct {
	pool *pgxpool.Pool
	ping time.Duration
	all  *subscriptions.Set
}

var (
	_ drivers.Bus     = (*Bus)(nil)
	_ drivers.Checker = (*Bus)(nil)
)

// New returns a bus on pool, which stays the caller's to close, after the bus. Messages
// are published through the pool; subscriptions connect as it does. New does not
// connect.
func New(pool *pgxpool.Pool, options Options) *Bus {
	var err error
	b := &Bus{pool: pool, ping: options.PingInterval}
	switch {
	case pool == nil:
		err = errors.New("postgres: the pool is nil")
	case b.ping < 0:
		err = fmt.Errorf("postgres: PingInterval is %s, must not be negative", b.ping)
	case b.ping == 0:
		b.ping = DefaultPingInterval
	}
	b.all = subscriptions.New("postgres", err)
	return b
}

// Err returns what makes the bus unusable, or nil.
func (b *Bus) Err() error { return b.all.Err() }

// Publish implements [drivers.Bus]. It says nothing about whether anybody listens.
func (b *Bus) Publish(ctx context.Context, channel string, message []byte) error {
	return b.all.Publish(ctx, channel, func() error { return b.notify(ctx, channel, message) })
}

// notify tries again while the pool hands out connections that broke without its
// noticing, as all do when the server restarts. A message may arrive twice then.
func (b *Bus) notify(ctx context.Context, channel string, message []byte) error {
	for left := b.pool.Stat().TotalConns(); ; left-- {
		_, err := b.pool.Exec(ctx, "SELECT pg_notify($1, part) FROM unnest($2::text[]) AS part", identifier(channel), split(message))
		var answer *pgconn.PgError
		var refused *pgconn.ConnectError
		if err == nil || left <= 0 || ctx.Err() != nil || errors.As(err, &answer) || errors.As(err, &refused) {
			return err
		}
	}
}

// Subscribe implements [drivers.Bus].
func (b *Bus) Subscribe(channel string, l drivers.Listener) (unsubscribe func(), err error) {
	s := &subscription{pool: b.pool, channel: channel, listener: l, ping: b.ping}
	return b.all.Subscribe(channel, s.run)
}

// Close implements [drivers.Bus]. It returns when no listener is called any more,
// and must not be called from one.
func (b *Bus) Close() error {
	return b.all.Close()
}
