// Package sqltable is a shared tier in a table of an SQL database: the implementation of
// the SQL drivers, which differ only in their [Dialect]. It promises what package drivers
// promises of an L2 and of its capabilities.
//
// A row holds a key's value, its lease, or both. The columns:
//
//	name         the key, or the beginning and the hash of a long key; the primary key
//	rest         the remainder of a long key; not in every dialect
//	value        the value
//	expires      when the value expires; 0 in a row without a value
//	lease        the token that holds the key's lease, NULL without a lease
//	lease_until  when the lease ends, an odd time if somebody waits for that; 0, or another time
//	             that is past, without a lease
//	mark         a random number of the call that changed the row last; not in every dialect
//
// Times are those of the database's clock, in milliseconds since 1970. "Forever" is a
// time in the far future, so that one comparison decides whether a value is present.
// Every write sets value, expires and the lease together, and so ends the lease in the
// same statement.
//
// The database guards the rows. Table.mu guards the prepared statements, and the channel
// Table.preparing makes one goroutine at a time create the table. Table.mu may not be held
// during a call to the database: a call can wait for the rows of a goroutine that wants
// the lock. A statement may not depend on a transaction of the caller.
package sqltable

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
	"github.com/cachegen/cachegen/drivers/internal/within"
)

// Options of a [Table]. The Options of each driver have the same fields, with their
// documentation, and are converted to this type. The driver has filled in its defaults, which
// its own documentation shows.
type Options struct {
	Table       string
	SkipCreate  bool
	Unprepared  bool
	BusyTimeout time.Duration
	PruneEvery  time.Duration
	OnPrune     func(removed int64, err error)
}

// A Store is what a [Table] implements, and the Driver of each SQL database with it.
type Store interface {
	drivers.L2
	drivers.Adder
	drivers.Swapper
	drivers.Leaser
	drivers.Scanner
	drivers.PrefixDeleter
	drivers.Pruner
	drivers.Checker
}

// A Table is a [Store] in one table of a database.
type Table struct {
	*Dialect
	db         *sql.DB
	table      string // as in Options
	into, from string // quoted, for statements
	options    Options
	err        error
	closed     atomic.Bool
	limit      atomic.Int64 // bytes of a statement; 0: no limit

	// preparing is full while a goroutine creates the table. It is a lock for which a
	// goroutine can stop waiting when its context ends.
	preparing chan struct{}
	prepared  atomic.Bool

	mu         sync.Mutex // guards statements
	statements map[string]*sql.Stmt

	history history // has a lock of its own

	background context.Context // ends with Close
	stop       context.CancelFunc
	pruning    sync.WaitGroup
}

var _ Store = (*Table)(nil)

// Statements quote the table's name. The pattern excludes the form schema.table, which
// the name of an index cannot have.
var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// New returns a Table in db. It does not access the database.
func New(db *sql.DB, dialect *Dialect, options Options) *Table {
	t := &Table{
		Dialect:    dialect,
		db:         db,
		table:      options.Table,
		options:    options,
		preparing:  make(chan struct{}, 1),
		statements: make(map[string]*sql.Stmt),
	}
	t.from = dialect.quoted(t.table)
	t.into = t.from
	if !dialect.OnDuplicateKey {
		t.into += " AS c"
	}
	t.background, t.stop = context.WithCancel(context.Background())
	t.err = t.check()
	t.closed.Store(t.err != nil)
	if t.err == nil && options.PruneEvery > 0 {
		t.pruning.Go(t.pruneInBackground)
	}
	return t
}

func (t *Table) check() error {
	o := &t.options
	switch {
	case t.db == nil:
		return fmt.Errorf("%s: the database is nil", t.Name)
	case !tableName.MatchString(o.Table):
		return fmt.Errorf("%s: table %q: want letters, digits and underscores, not beginning with a digit", t.Name, o.Table)
	case t.Reserved != "" && strings.HasPrefix(strings.ToLower(o.Table), t.Reserved):
		return fmt.Errorf("%s: table %q: names that begin with %s are reserved by the database", t.Name, o.Table, t.Reserved)
	case t.MaxTable > 0 && len(o.Table) > t.MaxTable:
		return fmt.Errorf("%s: table %q: the name is longer than %d bytes", t.Name, o.Table, t.MaxTable)
	case o.BusyTimeout < 0:
		return fmt.Errorf("%s: BusyTimeout is %s, must not be negative", t.Name, o.BusyTimeout)
	case o.PruneEvery < 0:
		return fmt.Errorf("%s: PruneEvery is %s, must not be negative", t.Name, o.PruneEvery)
	}
	return nil
}

// Err returns why the options are unusable, or nil.
func (t *Table) Err() error { return t.err }

// closeTimeout is how long Close waits for a server that does not answer. Some client
// libraries would wait for seconds on each connection.
const closeTimeout = time.Second

// Close ends background pruning and closes the prepared statements. Running and later
// calls fail with [drivers.ErrClosed]. Statements that cannot be closed in time are
// closed with their connections.
func (t *Table) Close() error {
	t.closed.Store(true)
	t.stop()
	t.pruning.Wait()
	t.mu.Lock()
	statements := t.statements
	t.statements = make(map[string]*sql.Stmt)
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := within.Do(ctx, func() error {
		t.history.end()
		var errs []error
		for _, statement := range statements {
			errs = append(errs, statement.Close())
		}
		return errors.Join(errs...)
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%s: close: %w", t.Name, err)
	}
	return nil
}
