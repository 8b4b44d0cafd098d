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
// The database guards the rows. Table.mu guards the prepared statements. It may not be held
// during a call to the database: a call can wait for the rows of a goroutine that wants
// the lock. A statement may not depend on a transaction of the caller.
package sqltable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase"
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
	base       *sqlbase.Table
	db         *sql.DB
	into, from string // quoted, for statements
	options    Options
	limit      atomic.Int64 // bytes of a statement; 0: no limit

	mu         sync.Mutex // guards statements
	statements map[string]*sql.Stmt

	history history // has a lock of its own

	background context.Context // ends with Close
	stop       context.CancelFunc
	pruning    sync.WaitGroup
}

var _ Store = (*Table)(nil)

// New returns a Table in db. It does not access the database.
func New(db *sql.DB, dialect *Dialect, options Options) *Table {
	t := &Table{Dialect: dialect, db: db, options: options, statements: make(map[string]*sql.Stmt)}
	content := sqlbase.Content{
		One: "key", Many: "keys", Schema: dialect.Schema, SchemaName: "Schema", Columns: dialect.columns(),
		Prepare: t.prepare, Failed: t.history.failure,
	}
	t.base = sqlbase.New(db, &dialect.Dialect, content, sqlbase.Options{
		Table: options.Table, SkipCreate: options.SkipCreate, BusyTimeout: options.BusyTimeout,
	})
	if options.PruneEvery < 0 {
		t.base.Refuse(fmt.Errorf("%s: PruneEvery is %s, must not be negative", t.Name, options.PruneEvery))
	}
	t.from = t.base.Quoted()
	t.into = t.from
	if !dialect.OnDuplicateKey {
		t.into += " AS c"
	}
	t.background, t.stop = context.WithCancel(context.Background())
	if t.Err() == nil && options.PruneEvery > 0 {
		t.pruning.Go(t.pruneInBackground)
	}
	return t
}

// Err returns why the options are unusable, or nil.
func (t *Table) Err() error { return t.base.Err() }

// closeTimeout is how long Close waits for a server that does not answer. Some client
// libraries would wait for seconds on each connection.
const closeTimeout = time.Second

// Close ends background pruning and closes the prepared statements. Running and later
// calls fail with [drivers.ErrClosed]. Statements that cannot be closed in time are
// closed with their connections.
func (t *Table) Close() error {
	t.base.Close()
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
