// Package mysql is a shared tier in a table of a MySQL or MariaDB database. It uses the
// program's own *sql.DB, opened with github.com/go-sql-driver/mysql, and so also the
// connections of sqlx, GORM, Bun or ent; it imports none of them.
//
//	db, err := sql.Open("mysql", os.Getenv("MYSQL_DSN"))
//	store, err := runtime.NewStore("main", runtime.L2(mysql.New(db, mysql.Options{})))
//
// # Concurrency
//
// A [Driver] may be used by many goroutines and processes at once. The rows are guarded
// by the database: each statement is atomic, and ends a key's lease together with the
// change of the key. In the process one lock guards the prepared statements; it is not
// held during a call to the database.
//
// # Limits
//
// It needs MySQL 5.7, MariaDB 10.3 or newer, and a connection that reads and writes: on a
// read replica a read could miss a finished write. A key and its value, or a key and both
// values of a swap, must fit into the server's max_allowed_packet, with one kilobyte to
// spare; larger ones are refused. With interpolateParams the client library can double
// the size of a value, so only values of up to half the limit are sure to fit.
//
// Times are those of the database's clock, so the clocks of the processes need not agree.
// A TTL is rounded up to the next millisecond, plus one. Expired items are absent at once
// but take space until Prune or until their key is written; Options.PruneEvery prunes in
// the background.
//
// MySQL has no statement that reports the rows that it changed. An add, a swap and a lease
// are each one statement, followed by a query for the changed rows in the same
// transaction; swaps that remove take one statement for each key.
//
// A *sql.DB keeps two idle connections by default: set SetMaxIdleConns to about the number
// of connections in use, or most of the time is spent on connecting.
//
// Batches that change the same keys at once can end in a deadlock. The database aborts one
// of them, and the driver repeats it for up to Options.BusyTimeout.
//
// If a connection breaks after a write was sent, the call fails, and neither the driver nor
// database/sql sends it again.
package mysql

import (
	"cmp"
	"database/sql"
	"time"

	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

const (
	// DefaultTable is the default of [Options].Table.
	DefaultTable = "cachegen"

	// DefaultBusyTimeout is the default of [Options].BusyTimeout.
	DefaultBusyTimeout = 5 * time.Second
)

// Options of a [Driver]. The zero value is usable. The SQL drivers of this project have
// the same options.
type Options struct {
	// Table is the name of the table: letters, digits and underscores, not beginning with
	// a digit, at most 64 bytes; [DefaultTable] if empty.
	Table string
	// SkipCreate makes the program responsible for creating the table and its index, with
	// the statements of [Schema]. Otherwise the first operation creates what is missing.
	SkipCreate bool
	// Unprepared sends statements without preparing them. Set it where a proxy or pooler
	// between program and database loses prepared statements.
	Unprepared bool
	// BusyTimeout is for how long an operation is repeated after a deadlock;
	// [DefaultBusyTimeout] if zero. The end of the operation's context ends it sooner.
	BusyTimeout time.Duration
	// PruneEvery is about how often expired items are removed in the background, until
	// Close. Zero is never.
	PruneEvery time.Duration
	// OnPrune, if not nil, is called after each removal in the background with its
	// result. It must not call Close.
	OnPrune func(removed int64, err error)
}

// New returns a shared tier in a table of db. db stays open after Close; close it after
// the driver. New does not access the database. If options are unusable or db is nil,
// every operation fails: Err returns the reason, and runtime.NewStore refuses the tier.
func New(db *sql.DB, options Options) *Driver {
	options.Table = cmp.Or(options.Table, DefaultTable)
	options.BusyTimeout = cmp.Or(options.BusyTimeout, DefaultBusyTimeout)
	return &Driver{sqltable.New(db, &dialect, sqltable.Options(options))}
}

// Schema returns the statements that create a table and its index, for programs that
// keep their schema in migrations and set [Options].SkipCreate. An empty table is
// [DefaultTable].
//
// Times in the table are in milliseconds since 1970; an item that is kept forever has a
// time in the far future.
//
// An index cannot hold a key of more than 512 bytes: of such a key the column name holds
// the first 512 bytes and the SHA-256 of the whole key, and the column rest holds what
// follows the 512 bytes. The column mark holds a random
// number of the call that changed the row last.
func Schema(table string) []string { return dialect.Schema(cmp.Or(table, DefaultTable)) }
