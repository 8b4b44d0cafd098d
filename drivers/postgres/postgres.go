// Package postgres is a shared tier in a table of a PostgreSQL database. It takes the
// program's own *sql.DB with whichever PostgreSQL driver that was opened
// (github.com/jackc/pgx/v5/stdlib, github.com/lib/pq), and so the connections of sqlx,
// GORM, Bun or ent; it imports none of them.
//
//	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
//	store, err := runtime.NewStore("main", runtime.L2(postgres.New(db, postgres.Options{})))
//
// The bus on LISTEN and NOTIFY is package pgxbus, which needs pgx.
//
// # Limits
//
// It needs PostgreSQL 9.5 or newer, and a connection that reads and writes: a read
// replica breaks the promise that a read sees every finished write. The table is made
// in the schema that search_path says. A key and its value, or both values of a swap,
// may have 256 MB together.
//
// Times are those of the database's clock, so those of the processes need not agree.
// A TTL is rounded up to a millisecond, and a millisecond more. Items past their TTL
// are absent at once but take space until Prune or a new value; Options.PruneEvery
// prunes in the background.
//
// A *sql.DB keeps two idle connections unless told otherwise: give it about as many as
// are used at once (SetMaxIdleConns), or most of the time goes into connecting.
//
// Batches that meet can be each other's deadlock, and at the isolation levels above
// read committed each other's conflict; the loser tries again for five seconds or
// until its context ends.
//
// A connection pooler that gives each transaction another connection loses prepared
// statements: set Options.Unprepared, and make the driver do the same (with pgx,
// default_query_exec_mode=exec).
package postgres

import (
	"database/sql"
	"errors"
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
	// Table is the table's name: letters, digits and underscores, at most 55;
	// [DefaultTable] if empty.
	Table string
	// SkipCreate leaves it to the program to make what [Schema] says. Otherwise
	// the first operation makes it if it is not there.
	SkipCreate bool
	// Unprepared leaves statements unprepared, for poolers that lose them.
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
// in name its first 512 and the SHA-256 of all, and in rest what follows the 512.
func Schema(table string) []string {
	if table == "" {
		table = DefaultTable
	}
	return schema(table)
}

func schema(table string) []string {
	return []string{
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS "%s" (
	name bytea NOT NULL PRIMARY KEY,
	rest bytea,
	value bytea NOT NULL,
	expires bigint NOT NULL,
	lease bytea,
	lease_until bigint NOT NULL DEFAULT 0
)`, table),
		fmt.Sprintf(`CREATE INDEX IF NOT EXISTS "%[1]s_expires" ON "%[1]s" (expires)`, table),
	}
}

var dialect = sqltable.Dialect{
	Name:     "postgres",
	Quote:    `"`,
	Numbered: true,
	// Unlike clock_timestamp it is constant to the planner, and unlike now it moves
	// within a transaction.
	Now:      "floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint",
	MaxKey:   512,
	MaxTable: 63 - len("_expires"),
	// A message has at most a gigabyte, and some drivers send two characters for a
	// byte.
	MaxItem: 256 << 20,
	Schema:  schema,
	// Text of a wrong order would hide keys from a prefix.
	Columns: "SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = '%s'::regclass AND attnum > 0",
	Fit:     map[string]*regexp.Regexp{"name": binary, "rest": binary, "value": binary, "lease": binary},
	// IF NOT EXISTS is not safe from another that makes the same at the same time.
	CreateLock: "SELECT pg_advisory_xact_lock(7234017283807667300)",
	Busy:       busy,
	TooLarge:   tooLarge,
}

var binary = regexp.MustCompile("^bytea$")

// state returns the SQLSTATE of err, as pgx and pq tell it.
func state(err error) string {
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		return coded.SQLState()
	}
	return ""
}

// busy reports a serialization failure or a deadlock, after which nothing is left of
// the statement.
func busy(err error) bool {
	s := state(err)
	return s == "40001" || s == "40P01"
}

// tooLarge reports "program limit exceeded".
func tooLarge(err error) bool { return strings.HasPrefix(state(err), "54") }
