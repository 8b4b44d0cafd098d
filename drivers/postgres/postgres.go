// Package postgres is a shared tier in a table of a PostgreSQL database. It uses the
// program's own *sql.DB, opened with any PostgreSQL driver
// (github.com/jackc/pgx/v5/stdlib, github.com/lib/pq), and so also the connections of
// sqlx, GORM, Bun or ent; it imports none of them.
//
//	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
//	store, err := runtime.NewStore("main", runtime.L2(postgres.New(db, postgres.Options{})))
//
// The bus on LISTEN and NOTIFY is package pgxbus, which needs pgx.
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
// It needs PostgreSQL 9.5 or newer, and a connection that reads and writes: on a read
// replica a read could miss a finished write. The table is created in the first schema of
// search_path. A key and its value, or a key and both values of a swap, may have 256 MB
// together.
//
// Times are those of the database's clock, so the clocks of the processes need not agree.
// A TTL is rounded up to the next millisecond, plus one. Expired items are absent at once
// but take space until Prune or until their key is written; Options.PruneEvery prunes in
// the background.
//
// A *sql.DB keeps two idle connections by default: set SetMaxIdleConns to about the number
// of connections in use, or most of the time is spent on connecting.
//
// Batches that change the same keys at once can end in a deadlock or, at isolation levels
// above read committed, in a serialization failure. The database aborts one of them, and
// the driver repeats it for up to Options.BusyTimeout.
//
// If a connection breaks after a write was sent, the call fails, and neither the driver nor
// database/sql sends it again.
//
// A connection pooler that may give each transaction another connection loses prepared
// statements: set Options.Unprepared, and configure the client library accordingly (with
// pgx, default_query_exec_mode=exec).
package postgres

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
	// a digit, at most 55 bytes; [DefaultTable] if empty.
	Table string
	// SkipCreate makes the program responsible for creating the table and its index, with
	// the statements of [Schema]. Otherwise the first operation creates what is missing.
	SkipCreate bool
	// Unprepared sends statements without preparing them. Set it where a proxy or pooler
	// between program and database loses prepared statements.
	Unprepared bool
	// BusyTimeout is for how long an operation is repeated after a deadlock or a serialization failure;
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
// follows the 512 bytes.
func Schema(table string) []string { return dialect.Schema(cmp.Or(table, DefaultTable)) }
