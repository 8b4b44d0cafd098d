// Package sqlite is a shared tier in a table of an SQLite database, for the processes of
// one machine. It uses the program's own *sql.DB, opened with any SQLite driver
// (modernc.org/sqlite, github.com/mattn/go-sqlite3), and so also the connections of sqlx,
// GORM, Bun or ent; it imports none of them.
//
//	db, err := sql.Open("sqlite", "file:app.db?_pragma=journal_mode(wal)&_pragma=synchronous(normal)")
//	store, err := runtime.NewStore("main", runtime.L2(sqlite.New(db, sqlite.Options{})))
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
// It needs SQLite 3.35 or newer. SQLite has one writer at a time: an operation that finds
// the database busy is repeated for up to Options.BusyTimeout or until its context ends.
// With journal_mode(wal) readers and the writer do not wait for each other. In the other
// modes set a busy_timeout on the connections; without it, constant reads can keep a
// writer waiting forever.
//
// A TTL is rounded up to the next millisecond of the machine's clock, plus one. Expired
// items are absent at once but take space until Prune or until their key is written;
// Options.PruneEvery prunes in the background. A key and its value may have a gigabyte
// together, or the limit SQLITE_MAX_LENGTH of the build.
//
// An in-memory database belongs to one connection: call db.SetMaxOpenConns(1), and do not
// use the store within a transaction of that connection, because the store would wait for
// it forever.
package sqlite

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
	// a digit or with sqlite_; [DefaultTable] if empty.
	Table string
	// SkipCreate makes the program responsible for creating the table and its index, with
	// the statements of [Schema]. Otherwise the first operation creates what is missing.
	SkipCreate bool
	// Unprepared sends statements without preparing them. Set it where a proxy or pooler
	// between program and database loses prepared statements.
	Unprepared bool
	// BusyTimeout is for how long an operation is repeated while other connections keep
	// the database busy; [DefaultBusyTimeout] if zero. The end of the operation's context
	// ends it sooner. The busy_timeout of the database's connections is spent first.
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
func Schema(table string) []string { return dialect.Schema(cmp.Or(table, DefaultTable)) }
