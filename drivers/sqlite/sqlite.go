// Package sqlite is a shared tier in a table of an SQLite database, for processes
// on one machine. It takes the program's own *sql.DB with whichever SQLite driver
// that was opened (modernc.org/sqlite, github.com/mattn/go-sqlite3), and so the
// connections of sqlx, GORM, Bun or ent; it imports none of them.
//
//	db, err := sql.Open("sqlite", "file:app.db?_pragma=journal_mode(wal)&_pragma=synchronous(normal)")
//	store, err := runtime.NewStore("main", runtime.L2(sqlite.New(db, sqlite.Options{})))
//
// # Limits
//
// It needs SQLite 3.35 or newer. SQLite has one writer at a time: an operation
// that finds the database busy tries again until its context ends or for
// Options.BusyTimeout. With journal_mode(wal) readers and the writer do not wait
// for each other; in the other modes give the connections a busy_timeout, without
// which constant reads can starve a writer.
//
// A TTL is rounded up to a millisecond of the machine's clock, and a millisecond
// more. Items past their TTL are absent at once but take space until Prune or a new
// value; Options.PruneEvery prunes in the background. A key and its value may have
// a gigabyte together, or what SQLITE_MAX_LENGTH says.
//
// An in-memory database belongs to one connection: call db.SetMaxOpenConns(1) on
// it, and do not use the store within a transaction of that connection, which it
// would wait for.
package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

// Defaults of [Options].
const (
	DefaultTable       = sqltable.DefaultTable
	DefaultBusyTimeout = sqltable.DefaultBusyTimeout
)

// Options of a [Driver]. The zero value is usable.
type Options struct {
	// Table is the table's name: letters, digits and underscores; [DefaultTable]
	// if empty.
	Table string
	// SkipCreate leaves it to the program to make what [Schema] says. Otherwise
	// the first operation makes it if it is not there.
	SkipCreate bool
	// BusyTimeout is how long an operation goes on trying while others hold the
	// database; [DefaultBusyTimeout] if zero. The operation's context can end it
	// sooner. The busy_timeout of the database's connections comes before it.
	BusyTimeout time.Duration
	// PruneEvery is about how often items past their TTL are removed in the
	// background, until Close. Zero is never.
	PruneEvery time.Duration
	// OnPrune is told what each removal in the background did, if not nil. It must
	// not call Close.
	OnPrune func(removed int64, err error)
}

type table = sqltable.Table

// Driver implements [drivers.L2], [drivers.Adder], [drivers.Swapper],
// [drivers.Leaser], [drivers.Scanner], [drivers.PrefixDeleter], [drivers.Pruner] and
// [drivers.Checker].
type Driver struct{ *table }

// New returns a shared tier in db, which stays the caller's to close, after the
// driver. It does not touch the database.
func New(db *sql.DB, options Options) *Driver {
	return &Driver{sqltable.New(db, &dialect, sqltable.Options{
		Table: options.Table, SkipCreate: options.SkipCreate, BusyTimeout: options.BusyTimeout,
		PruneEvery: options.PruneEvery, OnPrune: options.OnPrune,
	})}
}

// Schema returns the statements that make the table, for programs that keep their
// schema in migrations and set SkipCreate. An empty table is [DefaultTable].
//
// Times in it are in milliseconds since 1970; an item that is kept for ever has one
// that does not come.
func Schema(table string) []string {
	if table == "" {
		table = DefaultTable
	}
	return schema(table)
}

func schema(table string) []string {
	return []string{
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS "%s" (
	name BLOB NOT NULL PRIMARY KEY,
	value BLOB NOT NULL,
	expires INTEGER NOT NULL,
	lease BLOB,
	lease_until INTEGER NOT NULL DEFAULT 0
)`, table),
		fmt.Sprintf(`CREATE INDEX IF NOT EXISTS "%[1]s_expires" ON "%[1]s" (expires)`, table),
	}
}

var dialect = sqltable.Dialect{
	Name:  "sqlite",
	Quote: `"`,
	// A number of milliseconds is how SQLite keeps 'now'; only the result needs
	// rounding, back to it.
	Now:      "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
	Reserved: "sqlite_",
	Schema:   schema,
	Busy:     busy,
	TooLarge: tooLarge,
}

// code returns the primary result code in err, of whichever driver: by a method
// where the driver offers it, else by what sqlite3_errmsg has said for decades.
func code(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code() & 0xff
	}
	for text, code := range resultTexts {
		if strings.Contains(err.Error(), text) {
			return code
		}
	}
	return 0
}

const (
	resultBusy   = 5
	resultLocked = 6
	resultTooBig = 18
)

var resultTexts = map[string]int{
	"database is locked":        resultBusy,
	"database table is locked":  resultLocked,
	"database schema is locked": resultLocked,
	"string or blob too big":    resultTooBig,
}

func busy(err error) bool {
	c := code(err)
	return c == resultBusy || c == resultLocked
}

func tooLarge(err error) bool { return code(err) == resultTooBig }
