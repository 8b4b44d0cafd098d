// Package mysql is a shared tier in a table of a MySQL or MariaDB database. It takes
// the program's own *sql.DB as github.com/go-sql-driver/mysql opens it, and so the
// connections of sqlx, GORM, Bun or ent; it imports none of them.
//
//	db, err := sql.Open("mysql", os.Getenv("MYSQL_DSN"))
//	store, err := runtime.NewStore("main", runtime.L2(mysql.New(db, mysql.Options{})))
//
// # Limits
//
// It needs MySQL 5.7 or MariaDB 10.3, or newer, and a connection that reads and
// writes: a read replica breaks the promise that a read sees every finished write. A
// key and its value, or both values of a swap, have to fit into the server's
// max_allowed_packet, with a kilobyte to spare; what does not is refused. The driver's
// interpolateParams writes some bytes as two, of which half the limit is then all that is
// sure to fit.
//
// Times are those of the database's clock, so those of the processes need not agree.
// A TTL is rounded up to a millisecond, and a millisecond more. Items past their TTL
// are absent at once but take space until Prune or a new value; Options.PruneEvery
// prunes in the background.
//
// MySQL has no statement that says which rows it changed. Adding, swapping and leasing
// are one statement each, followed in the same transaction by a query for that; a swap
// that removes takes a statement of its own for each key.
//
// A *sql.DB keeps two idle connections unless told otherwise: give it about as many as
// are used at once (SetMaxIdleConns), or most of the time goes into connecting.
//
// Batches that meet can be each other's deadlock; the loser tries again for five
// seconds or until its context ends.
package mysql

import (
	"database/sql"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

// DefaultTable is what an empty [Options].Table means.
const DefaultTable = sqltable.DefaultTable

// Options of a [Driver]. The zero value is usable.
type Options struct {
	// Table is the table's name: letters, digits and underscores, at most 64;
	// [DefaultTable] if empty.
	Table string
	// SkipCreate leaves it to the program to make what [Schema] says. Otherwise
	// the first operation makes it if it is not there.
	SkipCreate bool
	// Unprepared leaves statements unprepared, for proxies that lose them.
	Unprepared bool
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
		Table: options.Table, SkipCreate: options.SkipCreate, Unprepared: options.Unprepared,
		PruneEvery: options.PruneEvery, OnPrune: options.OnPrune,
	})}
}

// Schema returns the statements that make the table, for programs that keep their
// schema in migrations and set SkipCreate. An empty table is [DefaultTable].
//
// Times in it are in milliseconds since 1970; an item that is kept for ever has one
// that does not come. A key of more than 512 bytes, which an index could not take, has
// in name its first 512 and the SHA-256 of all, and in rest what follows the 512. mark
// is the call that changed the row last.
func Schema(table string) []string {
	if table == "" {
		table = DefaultTable
	}
	return schema(table)
}

func schema(table string) []string {
	return []string{fmt.Sprintf("CREATE TABLE IF NOT EXISTS `%s`"+` (
	name varbinary(544) NOT NULL PRIMARY KEY,
	rest longblob,
	value longblob NOT NULL,
	expires bigint NOT NULL,
	lease longblob,
	lease_until bigint NOT NULL DEFAULT 0,
	mark bigint NOT NULL DEFAULT 0,
	INDEX (expires)
) ENGINE = InnoDB`, table)}
}

var dialect = sqltable.Dialect{
	Name:  "mysql",
	Quote: "`",
	// UNIX_TIMESTAMP would depend on the session's time zone, and be an hour off
	// when that changes from summer time.
	Now: "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)",
	// With the hash it stays below 767 bytes, the limit of old row formats.
	MaxKey:         512,
	MaxTable:       64,
	OnDuplicateKey: true,
	MaxStatement:   "SELECT @@max_allowed_packet",
	Schema:         schema,
	// Text would know no case, without a key there would be two of it, and at some
	// settings what is too long is cut without a word.
	Columns: "SHOW COLUMNS FROM %s",
	Fit: map[string]*regexp.Regexp{
		"name": regexp.MustCompile(`^varbinary\(544\) NO PRI `), "rest": long, "value": long, "lease": long,
	},
	Busy:     busy,
	TooLarge: tooLarge,
}

var long = regexp.MustCompile("^longblob ")

// The driver's error has its number in a field, which only its importers can read.
var number = regexp.MustCompile(`Error (\d+)\b`)

// busy reports a deadlock, or a row that has changed under the transaction's eyes,
// after which nothing is left of the statement or transaction.
func busy(err error) bool {
	found := number.FindStringSubmatch(err.Error())
	return found != nil && (found[1] == "1213" || found[1] == "1020")
}

// tooLarge reports what either side says of a statement that it does not take: the
// server of one beyond max_allowed_packet or max_long_data_size, the driver of one
// beyond its own limit.
func tooLarge(err error) bool {
	text := err.Error()
	return strings.Contains(text, "max_allowed_packet") || strings.Contains(text, "max_long_data_size") ||
		strings.Contains(text, "packet for query is too large")
}
