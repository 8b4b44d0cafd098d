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
// A TTL is rounded up to a millisecond of the machine's clock. Items past their
// TTL are absent at once but take space until Prune or a new value.
//
// An in-memory database belongs to one connection: call db.SetMaxOpenConns(1) on
// it, and do not use the store within a transaction of that connection, which it
// would wait for.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// Defaults of [Options].
const (
	DefaultTable       = "cachegen"
	DefaultBusyTimeout = 5 * time.Second
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
}

// Driver implements [drivers.L2], [drivers.Adder] and [drivers.Pruner].
type Driver struct {
	db          *sql.DB
	table       string
	busyTimeout time.Duration
	err         error
	closed      atomic.Bool

	// creating is full while somebody makes the table: a lock that those who wait
	// for can stop waiting for.
	creating chan struct{}
	created  atomic.Bool

	mu         sync.Mutex // guards statements
	statements map[string]*sql.Stmt
}

var (
	_ drivers.L2      = (*Driver)(nil)
	_ drivers.Adder   = (*Driver)(nil)
	_ drivers.Pruner  = (*Driver)(nil)
	_ drivers.Checker = (*Driver)(nil)
)

// Names are quoted wherever they are used; the limit keeps them readable, and away
// from the schema.table form that index names cannot have.
var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// New returns a shared tier in db, which stays the caller's to close. It does not
// touch the database.
func New(db *sql.DB, options Options) *Driver {
	d := &Driver{
		db:          db,
		table:       options.Table,
		busyTimeout: options.BusyTimeout,
		creating:    make(chan struct{}, 1),
		statements:  make(map[string]*sql.Stmt),
	}
	if d.table == "" {
		d.table = DefaultTable
	}
	if d.busyTimeout == 0 {
		d.busyTimeout = DefaultBusyTimeout
	}
	d.created.Store(options.SkipCreate)
	switch {
	case db == nil:
		d.err = errors.New("sqlite: the database is nil")
	case !tableName.MatchString(d.table) || strings.HasPrefix(strings.ToLower(d.table), "sqlite_"):
		d.err = fmt.Errorf("sqlite: table %q: want letters, digits and underscores, not beginning with a digit or sqlite_", d.table)
	case d.busyTimeout < 0:
		d.err = fmt.Errorf("sqlite: BusyTimeout is %s, must not be negative", d.busyTimeout)
	}
	d.closed.Store(d.err != nil)
	return d
}

// Err returns what makes the driver unusable, or nil.
func (d *Driver) Err() error { return d.err }

// Close releases the prepared statements. Calls under way fail; later ones too,
// with [drivers.ErrClosed].
func (d *Driver) Close() error {
	d.closed.Store(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, statement := range d.statements {
		errs = append(errs, statement.Close())
	}
	clear(d.statements)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sqlite: close: %w", err)
	}
	return nil
}

// Schema returns the statements that make the table, for programs that keep their
// schema in migrations and set SkipCreate. An empty table is [DefaultTable].
//
// expires is a Unix time in milliseconds, 0 where the item is kept for ever.
func Schema(table string) []string {
	if table == "" {
		table = DefaultTable
	}
	return []string{
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS "%s" (
	key BLOB NOT NULL PRIMARY KEY,
	value BLOB NOT NULL,
	expires INTEGER NOT NULL
)`, table),
		fmt.Sprintf(`CREATE INDEX IF NOT EXISTS "%s_expires" ON "%s" (expires) WHERE expires > 0`, table, table),
	}
}

// create makes the table unless it was made before.
func (d *Driver) create(ctx context.Context) error {
	if d.created.Load() {
		return nil
	}
	select {
	case d.creating <- struct{}{}:
		defer func() { <-d.creating }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if d.created.Load() {
		return nil
	}
	for _, statement := range Schema(d.table) {
		if _, err := d.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create it: %w", err)
		}
	}
	d.created.Store(true)
	return nil
}
