// Package sqlite is a shared tier in a table of an SQLite database, for the processes of one
// machine. It uses the *sql.DB of the program, which is opened with any driver for SQLite
// (modernc.org/sqlite, github.com/mattn/go-sqlite3). So the program can use the same database
// through sqlx, GORM, Bun or ent; the package imports none of these.
//
//	db, err := sql.Open("sqlite", "file:app.db?_pragma=journal_mode(wal)&_pragma=synchronous(normal)")
//	stores, err := runtime.OpenStore("main", runtime.L2(sqlite.New(db, sqlite.Options{})))
//
// # Concurrency
//
// A [Driver] may be used by many goroutines at once, and a table by many processes. A
// statement changes a key and its lease together, and the database carries it out in one step.
// In a Driver one lock guards the prepared statements. It is not held during a call to the
// database.
//
// # Limits
//
// The package needs SQLite 3.35 or newer. SQLite has one writer at a time. An operation that
// finds the database busy is repeated, for up to Options.BusyTimeout or until its context
// ends. With journal_mode(wal) the readers and the writer do not wait for each other. In the
// other modes set a busy_timeout for the connections: without it, reads that never stop can
// keep a writer waiting forever.
//
// A TTL is rounded up to the next millisecond of the clock of the machine, plus one. An
// expired item is absent at once, but its row takes space until [Driver.Prune] is called or
// its key is written. With Options.PruneEvery the driver calls Prune in the background.
//
// A key and its value may have a gigabyte together, or what SQLITE_MAX_LENGTH was when SQLite
// was built.
//
// A database in memory belongs to one connection. Call db.SetMaxOpenConns(1), and do not use
// the store while a transaction of that connection runs: the store would wait for the
// connection forever.
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

// Options are the options of [New]. The zero value is right for most programs. The SQL drivers
// of this project have the same options.
type Options struct {
	// Table is the name of the table; [DefaultTable] if empty. The name has letters, digits
	// and underscores, and does not begin with a digit or with sqlite_.
	Table string
	// SkipCreate says that the program creates the table and its index itself, with the
	// statements of [Schema], before the first operation. Otherwise the first operation
	// creates what is missing.
	SkipCreate bool
	// Unprepared sends statements without preparing them. Set Unprepared where a proxy or a
	// pooler between the program and the database loses prepared statements.
	Unprepared bool
	// BusyTimeout is for how long an operation is repeated while other connections keep the
	// database busy; [DefaultBusyTimeout] if zero. It is no longer repeated when its context
	// has ended. Each time, the busy_timeout of the connection is waited for first.
	BusyTimeout time.Duration
	// PruneEvery is about how often expired items are removed in the background, from [New]
	// until Close. If zero, they are not.
	PruneEvery time.Duration
	// OnPrune, if not nil, is called after each time that items were removed in the
	// background, with how many they were, or with the error. OnPrune must not call Close.
	OnPrune func(removed int64, err error)
}

// New returns a shared tier in a table of db. New does not access the database. db stays open
// when the driver is closed; close db after the driver.
//
// If db is nil, or an option is wrong, the driver cannot be used: every operation fails,
// [Driver.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it as
// their error.
func New(db *sql.DB, options Options) *Driver {
	options.Table = cmp.Or(options.Table, DefaultTable)
	options.BusyTimeout = cmp.Or(options.BusyTimeout, DefaultBusyTimeout)
	return &Driver{sqltable.New(db, &dialect, sqltable.Options(options))}
}

// Schema returns the statements that create a table and its index, for programs that keep
// their schema in migrations and set [Options].SkipCreate. table is the name of the table;
// [DefaultTable] if empty.
//
// Times in the table are milliseconds since 1970. An item that is kept forever has a time in
// the far future. The time in the column lease_until is odd if somebody waits for the end of the
// lease.
func Schema(table string) []string { return dialect.Schema(cmp.Or(table, DefaultTable)) }
