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
// The database guards the rows.
package sqloutbox

import (
	"context"
	"database/sql"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
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
	base    *sqlbase.Table
	db      *sql.DB
	quoted  string // the table, for statements
	options Options
}

var _ drivers.Outbox = (*Outbox)(nil)

// New returns an Outbox in db. It does not access the database.
func New(db *sql.DB, dialect *Dialect, options Options) *Outbox {
	content := sqlbase.Content{
		Option: "outbox: ", One: "entry", Many: "entries",
		Schema: dialect.Schema, SchemaName: "OutboxSchema", Columns: columns,
	}
	if dialect.OnDuplicateKey {
		content.Columns += ", mark"
	}
	base := sqlbase.New(db, &dialect.Dialect.Dialect, content, sqlbase.Options{
		Table: options.Table, SkipCreate: options.SkipCreate, BusyTimeout: options.BusyTimeout,
	})
	return &Outbox{Dialect: dialect, base: base, db: db, quoted: base.Quoted(), options: options}
}

// Err returns why the options are unusable, or nil.
func (o *Outbox) Err() error { return o.base.Err() }

// Close makes running and later calls fail with [drivers.ErrClosed]. The database stays open.
func (o *Outbox) Close() error {
	o.base.Close()
	return nil
}

// A session runs statements: a transaction, or any connection of the pool.
type session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// do runs f in a transaction, or without one where a single statement is as good, and repeats it
// while the database is busy, for at most BusyTimeout.
func (o *Outbox) do(ctx context.Context, f func(on session) error) error {
	return o.base.WhileBusy(ctx, func() error {
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

// query calls row for each row.
func query(ctx context.Context, on session, text string, row func(*sql.Rows) error) error {
	rows, err := on.QueryContext(ctx, text)
	return sqlbase.Scan(rows, err, row)
}
