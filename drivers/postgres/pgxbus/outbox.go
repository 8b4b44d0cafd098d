package pgxbus

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqloutbox"
	"github.com/cachegen/cachegen/drivers/postgres"
)

// OutboxOptions are the options of [NewOutbox]. The zero value is right for most programs.
type OutboxOptions struct {
	// Table, SkipCreate and BusyTimeout are those of postgres.OutboxOptions.
	Table       string
	SkipCreate  bool
	BusyTimeout time.Duration
	// PingInterval is that of [Options], for the connection that listens.
	PingInterval time.Duration
}

// An Outbox is the outbox of package postgres, whose processes are told by NOTIFY of what a
// transaction has written into it. So entries that a process has left behind are found soon
// although the table is looked into rarely. Its methods may be called by many goroutines at once.
type Outbox struct {
	table *postgres.Outbox
	name  string
	bus   *Bus
	db    *sql.DB
}

var (
	_ drivers.Outbox         = (*Outbox)(nil)
	_ drivers.OutboxNotifier = (*Outbox)(nil)
	_ drivers.Checker        = (*Outbox)(nil)
)

// NewOutbox returns an outbox in a table of the database of pool. NewOutbox does not connect. pool
// stays open when the outbox is closed; close pool after the outbox.
//
// PostgreSQL commits transactions that notify one after the other. A program that commits more
// than some hundreds of transactions with invalidations in a second uses the outbox of package
// postgres, which looks into the table from time to time.
//
// If pool is nil, or an option is wrong, the outbox cannot be used: every operation fails,
// [Outbox.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it as their
// error.
func NewOutbox(pool *pgxpool.Pool, options OutboxOptions) *Outbox {
	o := &Outbox{
		name: cmp.Or(options.Table, postgres.DefaultOutboxTable),
		bus:  New(pool, Options{PingInterval: options.PingInterval}),
	}
	if pool != nil {
		o.db = stdlib.OpenDBFromPool(pool)
	}
	o.table = postgres.NewOutbox(o.db, postgres.OutboxOptions{
		Table: options.Table, SkipCreate: options.SkipCreate, BusyTimeout: options.BusyTimeout, Notify: true,
	})
	return o
}

// Append writes entries with exec in the transaction of the caller. See [drivers.Outbox].
func (o *Outbox) Append(ctx context.Context, exec drivers.Exec, entries []drivers.OutboxEntry, wait time.Duration) error {
	return o.table.Append(ctx, exec, entries, wait)
}

// Take returns committed entries that nobody holds, and holds them. See [drivers.Outbox].
func (o *Outbox) Take(ctx context.Context, request drivers.OutboxRequest) ([]drivers.OutboxEntry, error) {
	return o.table.Take(ctx, request)
}

// Postpone gives entries back that could not be carried out. See [drivers.Outbox].
func (o *Outbox) Postpone(ctx context.Context, ids []drivers.OutboxID, wait time.Duration) error {
	return o.table.Postpone(ctx, ids, wait)
}

// Remove removes entries. See [drivers.Outbox].
func (o *Outbox) Remove(ctx context.Context, ids []drivers.OutboxID) error {
	return o.table.Remove(ctx, ids)
}

// Notify calls l when a transaction was committed that has appended entries. See
// [drivers.OutboxNotifier].
func (o *Outbox) Notify(l drivers.Listener) (stop func(), err error) {
	return o.bus.Subscribe(sqloutbox.Channel(o.name), l)
}

// Err returns why the outbox cannot be used, or nil. See [drivers.Checker].
func (o *Outbox) Err() error {
	if o.table == nil {
		return errors.New("pgxbus: zero Outbox: make it with pgxbus.NewOutbox")
	}
	return cmp.Or(o.bus.Err(), o.table.Err())
}

// Close ends what listens, and makes every later call fail. It returns when no listener is called
// any more. Calling Close twice is safe. See [drivers.Outbox].
func (o *Outbox) Close() error {
	err := errors.Join(o.bus.Close(), o.table.Close())
	if o.db != nil {
		err = errors.Join(err, o.db.Close())
	}
	if err != nil {
		return fmt.Errorf("pgxbus: close: %w", err)
	}
	return nil
}
