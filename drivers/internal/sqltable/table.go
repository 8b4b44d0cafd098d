// Package sqltable is a shared tier in a table of an SQL database, for the drivers
// that differ in their dialect only.
//
// A row is a key's value, its lease, or both. The columns:
//
//	name         the key, or what stands for a long one; the primary key
//	rest         what follows in a long key; not in every dialect
//	value        the value
//	expires      when the value is absent; 0 without a value
//	lease        whom the key is lent to, NULL if to nobody
//	lease_until  when the lease ends, 0 without one
//	mark         the call that changed the row last; not in every dialect
//
// Times are those of the database's clock, in milliseconds since 1970. "For ever" is
// a time that does not come, so that presence is one comparison. Every write sets
// all of value, expires and the lease, and so ends the lease in the same statement.
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

// Defaults of [Options].
const (
	DefaultTable       = "cachegen"
	DefaultBusyTimeout = 5 * time.Second
)

// Options of a [Table].
type Options struct {
	Table       string
	SkipCreate  bool
	Unprepared  bool // statements are not prepared
	BusyTimeout time.Duration
	PruneEvery  time.Duration
	OnPrune     func(removed int64, err error)
}

// A Table implements [drivers.L2], [drivers.Adder], [drivers.Swapper],
// [drivers.Leaser], [drivers.Scanner], [drivers.PrefixDeleter], [drivers.Pruner] and
// [drivers.Checker].
type Table struct {
	*Dialect
	db         *sql.DB
	table      string // as it was given
	into, from string // quoted, for statements
	options    Options
	err        error
	closed     atomic.Bool
	limit      atomic.Int64 // bytes of a statement; 0: none

	// preparing is full while somebody makes the table: a lock that those who wait
	// for can stop waiting for.
	preparing chan struct{}
	prepared  atomic.Bool

	mu         sync.Mutex // guards statements
	statements map[string]*sql.Stmt

	background context.Context // ends with Close
	stop       context.CancelFunc
	pruning    sync.WaitGroup
}

var (
	_ drivers.L2            = (*Table)(nil)
	_ drivers.Adder         = (*Table)(nil)
	_ drivers.Swapper       = (*Table)(nil)
	_ drivers.Leaser        = (*Table)(nil)
	_ drivers.Scanner       = (*Table)(nil)
	_ drivers.PrefixDeleter = (*Table)(nil)
	_ drivers.Pruner        = (*Table)(nil)
	_ drivers.Checker       = (*Table)(nil)
)

// Names are quoted wherever they are used; the limit keeps them readable, and away
// from the schema.table form that index names cannot have.
var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// New returns a table in db. It does not touch the database.
func New(db *sql.DB, dialect *Dialect, options Options) *Table {
	if options.Table == "" {
		options.Table = DefaultTable
	}
	if options.BusyTimeout == 0 {
		options.BusyTimeout = DefaultBusyTimeout
	}
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
		t.pruning.Go(t.pruneNowAndThen)
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
		return fmt.Errorf("%s: table %q: names that begin with %s are the database's own", t.Name, o.Table, t.Reserved)
	case t.MaxTable > 0 && len(o.Table) > t.MaxTable:
		return fmt.Errorf("%s: table %q: the name is longer than %d bytes", t.Name, o.Table, t.MaxTable)
	case o.BusyTimeout < 0:
		return fmt.Errorf("%s: BusyTimeout is %s, must not be negative", t.Name, o.BusyTimeout)
	case o.PruneEvery < 0:
		return fmt.Errorf("%s: PruneEvery is %s, must not be negative", t.Name, o.PruneEvery)
	}
	return nil
}

// Err returns what makes the driver unusable, or nil.
func (t *Table) Err() error { return t.err }

// closePatience is how long Close waits for a server that does not answer. Some drivers
// would wait for seconds on each connection.
const closePatience = time.Second

// Close ends background pruning and releases the prepared statements. Calls under
// way fail; later ones too, with [drivers.ErrClosed]. Statements that a server does not
// answer about are left to go with their connections.
func (t *Table) Close() error {
	t.closed.Store(true)
	t.stop()
	t.pruning.Wait()
	t.mu.Lock()
	statements := t.statements
	t.statements = make(map[string]*sql.Stmt)
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	err := within.Do(ctx, func() error {
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
