// Package mysql is a shared tier in a table of a MySQL or MariaDB database. It uses the
// *sql.DB of the program, which is opened with github.com/go-sql-driver/mysql. So the program
// can use the same database through sqlx, GORM, Bun or ent; the package imports none of these.
//
//	db, err := sql.Open("mysql", os.Getenv("MYSQL_DSN"))
//	stores, err := runtime.OpenStore("main", runtime.L2(mysql.New(db, mysql.Options{})))
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
// The package needs MySQL 5.7 or MariaDB 10.3, or newer, and a connection to a server that can
// be written to: a read from a replica could miss a write that has finished.
//
// A key and its value, or a key and both values of a swap, have to fit into the
// max_allowed_packet of the server, with one kilobyte to spare. What is larger is refused
// ([drivers.ErrRefused]). With interpolateParams the client library can double the size of a
// value, so that a value is sure to fit only if it has half of the limit.
//
// The driver uses the clock of the database, so that the clocks of the processes need not
// agree. A TTL is rounded up to the next millisecond, plus one. An expired item is absent at
// once, but its row takes space until [Driver.Prune] is called or its key is written. With
// Options.PruneEvery the driver calls Prune in the background.
//
// MySQL has no statement that says which rows it has changed. So an add, a swap, and a fill of
// several keys are one statement and one query for the changed rows, in one transaction. To take
// a lease is one statement and one query, without a transaction. A fill of one key, and a swap
// that removes a key, are a statement of their own.
//
// A *sql.DB keeps two idle connections by default, so that a busy program spends most of its
// time on connecting. Set SetMaxIdleConns to about the number of connections that are in use.
//
// Batches that change the same keys at the same time can end in a deadlock. The database then
// aborts one of them, and the driver repeats it, for up to Options.BusyTimeout.
//
// If a connection breaks after a write was sent, the call fails. Neither the driver nor
// database/sql sends the write again.
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

// Options are the options of [New]. The zero value is right for most programs. The SQL drivers
// of this project have the same options.
type Options struct {
	// Table is the name of the table; [DefaultTable] if empty. The name has letters, digits
	// and underscores, and does not begin with a digit. It has at most 64 bytes.
	Table string
	// SkipCreate says that the program creates the table and its index itself, with the
	// statements of [Schema], before the first operation. Otherwise the first operation
	// creates what is missing.
	SkipCreate bool
	// Unprepared sends statements without preparing them. Set Unprepared where a proxy or a
	// pooler between the program and the database loses prepared statements.
	Unprepared bool
	// BusyTimeout is for how long an operation that ends in a deadlock is repeated;
	// [DefaultBusyTimeout] if zero. It is no longer repeated when its context has ended.
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
// the far future.
//
// An index cannot hold a key of more than 512 bytes. Of such a key the column name holds the
// first 512 bytes and the SHA-256 of the whole key, and the column rest holds what follows the
// 512 bytes. The column mark holds a random number of the call that has changed the row last. The
// time in the column lease_until is odd if somebody waits for the end of the lease.
func Schema(table string) []string { return dialect.Schema(cmp.Or(table, DefaultTable)) }
