// Package sqlbase is what the tables of this project in SQL databases have in common, whatever is
// in them: a table is created before its first use, operations in it are repeated while the
// database is busy, and errors say what their reader has to know.
//
// No lock is held during a call to the database. The channel Table.preparing makes one goroutine at
// a time create the table.
package sqlbase

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
)

// A Dialect describes how one kind of database differs from the others, for any table.
type Dialect struct {
	// Name begins every error.
	Name string
	// Quote surrounds the table's name.
	Quote string
	// MaxTable is the longest table name, in bytes; zero is no limit.
	MaxTable int
	// Reserved is the prefix of names that the database reserves, in lower case.
	Reserved string
	// CreateLock, if not empty, is executed before the statements of a schema, in the same
	// transaction.
	CreateLock string
	// Busy reports that a statement had no effect and can be repeated.
	Busy func(error) bool
	// Cut reports that the server has ended the connection and has not executed the
	// statement, as it does when a session is terminated; nil if it never says so. Other
	// connections of the pool may be dead, too.
	Cut func(error) bool
	// Answered reports that the server, or the library that is one, is there and refuses to
	// execute a statement: it is full, or can only be read, for example.
	Answered func(error) bool
	// TooLarge reports that a statement or value has more bytes than the database allows.
	TooLarge func(error) bool
}

// Options of a [Table].
type Options struct {
	Table       string
	SkipCreate  bool
	BusyTimeout time.Duration
}

// A Content is what a table holds.
type Content struct {
	// Option begins the errors of wrong options, behind the driver's name; it may be empty.
	Option string
	// One and Many are what an operation is about, as in "key" and "keys".
	One, Many string
	// Schema returns the statements that create the table and its index where they do not exist.
	// SchemaName is how the driver calls that function.
	Schema     func(table string) []string
	SchemaName string
	// Columns are those that the table must have.
	Columns string
	// Prepare, if not nil, is called when the table is there, before the first operation.
	Prepare func(context.Context) error
	// Failed, if not nil, is told of each error that may say something of the server.
	Failed func(error)
}

// A Table is a table in a database.
type Table struct {
	dialect *Dialect
	content Content
	options Options
	db      *sql.DB
	err     error
	closed  atomic.Bool

	// preparing is full while a goroutine creates the table. It is a lock for which a
	// goroutine can stop waiting when its context ends.
	preparing chan struct{}
	prepared  atomic.Bool
}

// New returns a Table in db. It does not access the database.
func New(db *sql.DB, dialect *Dialect, content Content, options Options) *Table {
	t := &Table{dialect: dialect, content: content, options: options, db: db, preparing: make(chan struct{}, 1)}
	t.Refuse(t.check())
	return t
}

// Statements quote the table's name. The pattern excludes the form schema.table, which
// the name of an index cannot have.
var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (t *Table) check() error {
	d, o := t.dialect, &t.options
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s"+format, append([]any{d.Name, t.content.Option}, args...)...)
	}
	switch {
	case t.db == nil:
		return wrong("the database is nil")
	case !tableName.MatchString(o.Table):
		return wrong("table %q: want letters, digits and underscores, not beginning with a digit", o.Table)
	case d.Reserved != "" && strings.HasPrefix(strings.ToLower(o.Table), d.Reserved):
		return wrong("table %q: names that begin with %s are reserved by the database", o.Table, d.Reserved)
	case d.MaxTable > 0 && len(o.Table) > d.MaxTable:
		return wrong("table %q: the name is longer than %d bytes", o.Table, d.MaxTable)
	case o.BusyTimeout < 0:
		return wrong("BusyTimeout is %s, must not be negative", o.BusyTimeout)
	}
	return nil
}

// Refuse makes the table unusable because of err, if that is not nil and the table was usable. It
// is called before the table is used.
func (t *Table) Refuse(err error) {
	if t.err == nil && err != nil {
		t.err = err
		t.closed.Store(true)
	}
}

// Err returns why the options are unusable, or nil.
func (t *Table) Err() error { return t.err }

// Quoted returns the name of the table for statements.
func (t *Table) Quoted() string { return t.dialect.Quote + t.options.Table + t.dialect.Quote }

// Close makes running and later operations fail with drivers.ErrClosed. The database stays open.
func (t *Table) Close() { t.closed.Store(true) }

// Closed reports whether Close was called, or the options are unusable.
func (t *Table) Closed() bool { return t.closed.Load() }
