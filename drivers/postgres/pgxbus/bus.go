// Package pgxbus is a bus on LISTEN and NOTIFY of PostgreSQL. It is for programs whose shared
// tier is a table of package postgres, and that have no other server. It uses a pool of
// github.com/jackc/pgx/v5, which the program makes and closes.
//
//	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
//	stores, err := runtime.OpenStore("main",
//		runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})),
//		runtime.L2(postgres.New(stdlib.OpenDBFromPool(pool), postgres.Options{})),
//		runtime.Bus(pgxbus.New(pool, pgxbus.Options{})))
//
// # Concurrency
//
// A [Bus] may be used by many goroutines at once. Each subscription is one goroutine. It alone
// uses the connection of the subscription and calls the listener, so that no lock is needed.
//
// # Limits
//
// Each subscription has a connection of its own, which is not one of the pool. It has to be
// one connection to the primary server. It cannot be a connection to a replica, or through a
// pooler that may use another connection for each transaction.
//
// PostgreSQL allows a notification 8000 bytes of text. So a message is sent in Base64, and a
// message of more than 5900 bytes is sent as several notifications of one transaction. A
// message may have 16 MB; a larger one is refused ([drivers.ErrRefused]). PostgreSQL commits
// transactions that notify one after the other: hundreds of messages in a second are possible,
// tens of thousands are not.
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

// Options are the options of [New]. The zero value is right for most programs.
type Options struct {
	// PingInterval is how long a subscription waits for a message before it pings the server;
	// [DefaultPingInterval] if zero. If the server does not answer the ping for as long again,
	// the connection is closed. So a network that loses packets without a word is noticed
	// within two intervals.
	//
	// A listener can ask to be told of a loss sooner ([drivers.LossListener]). The listener of
	// a store asks for it if runtime.StampTrust is short. The server is then pinged more
	// often.
	PingInterval time.Duration
}

// A Bus is a [drivers.Bus] that uses LISTEN and NOTIFY. Each subscription has a connection of
// its own, and a goroutine that connects again when the connection is lost, after pauses of up
// to two seconds.
type Bus struct {
	pool *pgxpool.Pool
	ping time.Duration
	all  *subscriptions.Set
}

var (
	_ drivers.Bus     = (*Bus)(nil)
	_ drivers.Checker = (*Bus)(nil)
)

// New returns a bus on pool. New does not connect. The bus publishes through the pool; a
// subscription connects with the configuration of the pool. pool stays open when the bus is
// closed; close pool after the bus.
//
// If pool is nil, or an option is wrong, the bus cannot be used: every operation fails,
// [Bus.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it as their
// error.
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

// Err returns why the bus cannot be used, or nil. See [drivers.Checker].
func (b *Bus) Err() error {
	if b.all == nil {
		return errors.New("pgxbus: zero Bus: make it with pgxbus.New")
	}
	return b.all.Err()
}

// Publish sends message to all subscribers of channel. The result does not say whether there
// are any. See [drivers.Bus].
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

// Subscribe delivers the messages of channel to l until unsubscribe is called or the bus is
// closed. See [drivers.Bus].
func (b *Bus) Subscribe(channel string, l drivers.Listener) (unsubscribe func(), err error) {
	s := &subscription{pool: b.pool, channel: channel, listener: l, ping: subscriptions.Interval(l, b.ping)}
	return b.all.Subscribe(channel, s.run)
}

// Close ends every subscription, and returns when no listener is called any more. A listener
// must not call Close. Calling Close twice is safe. See [drivers.Bus].
func (b *Bus) Close() error {
	return b.all.Close()
}
