// Package sqloutbox is an outbox in a table of an SQL database: the implementation of the SQL
// drivers, which differ only in their [Dialect]. It promises what package drivers promises of an
// Outbox.
//
// A row is an entry. The columns:
//
//	id        the entry's ID; the primary key
//	store     who can carry it out
//	payload   what is to be done
//	due       when it may be taken; an entry that somebody holds is due later
//	attempts  how often it was taken
//	created   when it was appended
//	mark      a random number of the call that took the entry last; not in every dialect
//
// Times are those of the database's clock, in milliseconds since 1970.
//
// Nothing here may make a transaction of the caller wait, or fail. So no call reads a row and
// then holds a lock on more than that row: entries are found by a read without locks, and then
// taken one by one by their primary key, if they are still due. And where a database locks the
// gaps between rows, or watches what a transaction has read, calls run at an isolation level at
// which it does not.
//
// No statement has parameters: bytes are written in hexadecimal digits. Libraries do not agree
// about how a parameter is written, and some poolers lose what is prepared for one.
//
// The database guards the rows. Outbox.preparing makes one goroutine at a time create the table.
package sqloutbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

// A Dialect describes how one kind of database differs from the others. Of the dialect of its
// table of values it uses what is the same for any table.
type Dialect struct {
	*sqltable.Dialect
	// Schema returns the statements that create the table and its index where they do not
	// exist. The name is not empty.
	Schema func(table string) []string
	// Hex surrounds hexadecimal digits, as in x'00ff'.
	Hex [2]string
	// Isolation is the level of a transaction that neither locks gaps nor is watched;
	// [sql.LevelDefault] where a single statement is as good as a transaction.
	Isolation sql.IsolationLevel
	// SkipLocked is the end of a query that leaves out rows which others are taking; empty if
	// there is no such thing.
	SkipLocked string
	// Inside returns statements that create the table where it does not exist, in a transaction
	// of the caller; nil if no transaction can create a table.
	Inside func(table string) []string
	// Missing reports that a statement has failed, and the transaction has not, because there is
	// no such table. It is nil where there is Inside.
	Missing func(error) bool
	// Tell returns the end of a statement that appends to a table, which tells others of it
	// when the transaction is committed; nil if the database cannot.
	Tell func(table string) string
}

// Options of an [Outbox]. The OutboxOptions of each driver have the same fields, with their
// documentation.
type Options struct {
	Table       string
	SkipCreate  bool
	BusyTimeout time.Duration
	Notify      bool
}

// An Outbox is a [drivers.Outbox] in one table of a database.
type Outbox struct {
	*Dialect
	db        *sql.DB
	table     string // as in Options
	quoted    string // for statements
	options   Options
	err       error
	closed    atomic.Bool
	preparing chan struct{} // full while a goroutine creates the table
	prepared  atomic.Bool
}

var _ drivers.Outbox = (*Outbox)(nil)

// The pattern excludes the form schema.table, which the name of an index cannot have.
var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// New returns an Outbox in db. It does not access the database.
func New(db *sql.DB, dialect *Dialect, options Options) *Outbox {
	o := &Outbox{
		Dialect: dialect, db: db, table: options.Table, quoted: dialect.Quote + options.Table + dialect.Quote,
		options: options, preparing: make(chan struct{}, 1),
	}
	o.err = o.check()
	o.closed.Store(o.err != nil)
	return o
}

func (o *Outbox) check() error {
	switch {
	case o.db == nil:
		return fmt.Errorf("%s: outbox: the database is nil", o.Name)
	case !tableName.MatchString(o.table):
		return fmt.Errorf("%s: outbox: table %q: want letters, digits and underscores, not beginning with a digit", o.Name, o.table)
	case o.Reserved != "" && strings.HasPrefix(strings.ToLower(o.table), o.Reserved):
		return fmt.Errorf("%s: outbox: table %q: names that begin with %s are reserved by the database", o.Name, o.table, o.Reserved)
	case o.MaxTable > 0 && len(o.table) > o.MaxTable:
		return fmt.Errorf("%s: outbox: table %q: the name is longer than %d bytes", o.Name, o.table, o.MaxTable)
	case o.options.BusyTimeout < 0:
		return fmt.Errorf("%s: outbox: BusyTimeout is %s, must not be negative", o.Name, o.options.BusyTimeout)
	}
	return nil
}

// Err returns why the options are unusable, or nil.
func (o *Outbox) Err() error { return o.err }

// Close makes running and later calls fail with [drivers.ErrClosed]. The database stays open.
func (o *Outbox) Close() error {
	o.closed.Store(true)
	return nil
}

// execute runs an operation and returns when f does or when ctx ends. f must own what it uses:
// not every wait in database/sql and below watches the context.
func (o *Outbox) execute(ctx context.Context, operation string, entries int, f func() error) error {
	err := o.usable(ctx)
	if err == nil {
		err = within.Do(ctx, func() error {
			if err := o.prepare(ctx); err != nil {
				return err
			}
			return f()
		})
	}
	return o.failed(ctx, operation, entries, err)
}

func (o *Outbox) usable(ctx context.Context) error {
	if o.closed.Load() {
		return drivers.ErrClosed
	}
	return ctx.Err()
}

// failed returns err with the driver, the operation, the number of entries and the table, and
// says of it what the callers of a driver have to know. Nil stays nil.
func (o *Outbox) failed(ctx context.Context, operation string, entries int, err error) error {
	if err == nil {
		return nil
	}
	switch {
	case errors.Is(err, drivers.ErrClosed), errors.Is(err, drivers.ErrRefused):
	case o.closed.Load(), strings.Contains(err.Error(), databaseClosed):
		err = fmt.Errorf("%w (%w)", drivers.ErrClosed, err)
	case o.TooLarge(err):
		err = fmt.Errorf("%w: %w", drivers.ErrRefused, err)
	case ctx.Err() == nil && o.Answered(err):
		err = drivers.Answered(err)
	}
	switch entries {
	case 0:
	case 1:
		operation += " 1 entry"
	default:
		operation = fmt.Sprintf("%s %d entries", operation, entries)
	}
	return fmt.Errorf("%s: %s in table %q: %w", o.Name, operation, o.table, err)
}

// databaseClosed is how database/sql says that its user has closed it, which no exported error
// does.
const databaseClosed = "sql: database is closed"

// A session runs statements: a transaction, or any connection of the pool.
type session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// do runs f in a transaction, or without one where a single statement is as good, and repeats it
// while the database is busy, for at most BusyTimeout.
func (o *Outbox) do(ctx context.Context, f func(on session) error) error {
	return o.whileBusy(ctx, func() error {
		if o.Isolation == sql.LevelDefault {
			return f(o.db)
		}
		tx, err := o.db.BeginTx(ctx, &sql.TxOptions{Isolation: o.Isolation})
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := f(tx); err != nil {
			return err
		}
		return tx.Commit()
	})
}

const (
	minBusyWait = time.Millisecond
	maxBusyWait = 50 * time.Millisecond
)

// whileBusy repeats f while the database is busy, and at once on connections that the server has
// ended: all that the pool had may be of that kind.
func (o *Outbox) whileBusy(ctx context.Context, f func() error) error {
	var deadline time.Time
	dead := o.db.Stats().OpenConnections
	for wait := minBusyWait; ; wait = min(2*wait, maxBusyWait) {
		err := f()
		if err != nil && dead > 0 && ctx.Err() == nil && o.Cut != nil && o.Cut(err) {
			dead--
			continue
		}
		if err == nil || !o.Busy(err) {
			return err
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(o.options.BusyTimeout)
		}
		if time.Until(deadline) < wait {
			return err
		}
		// Random, so that two processes that collided do not collide again.
		pause := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// query calls row for each row.
func query(ctx context.Context, on session, text string, row func(*sql.Rows) error) error {
	rows, err := on.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}
