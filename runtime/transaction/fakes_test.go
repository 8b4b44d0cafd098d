package transaction_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"sync"
)

// A database is one without tables, of which a test says how transactions fail. It is a driver of
// database/sql, and by its types it is like other libraries. It records what it is asked for.
type database struct {
	beginErr, commitErr, rollbackErr error
	onCommit                         func()

	mu  sync.Mutex
	did []string
}

func (d *database) do(what string, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.did = append(d.did, what)
	return err
}

func (d *database) commit() error {
	if d.onCommit != nil {
		d.onCommit()
	}
	return d.do("commit", d.commitErr)
}

// has reports whether something has been done.
func (d *database) has(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.did, what)
}

// What database/sql needs.

func (d *database) open() *sql.DB { return sql.OpenDB(d) }

func (d *database) Connect(context.Context) (driver.Conn, error) { return connection{d}, nil }
func (d *database) Driver() driver.Driver                        { return nil }

type connection struct{ *database }

func (c connection) Prepare(string) (driver.Stmt, error) { return nil, errors.New("no statements") }
func (c connection) Close() error                        { return nil }
func (c connection) Begin() (driver.Tx, error) {
	return driverTx(c), c.do("begin", c.beginErr)
}

type driverTx connection

func (t driverTx) Commit() error   { return t.commit() }
func (t driverTx) Rollback() error { return t.do("rollback", t.rollbackErr) }

// A tx is a transaction as those of sqlx and ent.
type tx struct{ *database }

func (t *tx) Commit() error   { return t.commit() }
func (t *tx) Rollback() error { return t.do("rollback", t.rollbackErr) }

// A likeSQLX begins transactions as sqlx.DB does.
type likeSQLX struct{ *database }

func (d *likeSQLX) BeginTxx(context.Context, *sql.TxOptions) (*tx, error) {
	return &tx{d.database}, d.do("begin", d.beginErr)
}

// A likeEnt begins transactions as ent.Client does.
type likeEnt struct{ *database }

func (d *likeEnt) BeginTx(context.Context, *sql.TxOptions) (*tx, error) {
	return &tx{d.database}, d.do("begin", d.beginErr)
}

// A pgxTx is like pgx.Tx, and pgxOptions like pgx.TxOptions.
type (
	pgxTx interface {
		Begin(context.Context) (pgxTx, error)
		Commit(context.Context) error
		Rollback(context.Context) error
	}
	pgxOptions struct{ isolation string }
)

// A likePGX is like a pgxpool.Pool, and a likePGXTx like a transaction of it.
type (
	likePGX   struct{ *database }
	likePGXTx struct{ *database }
)

func (d *likePGX) Begin(context.Context) (pgxTx, error) {
	return &likePGXTx{d.database}, d.do("begin", d.beginErr)
}

func (d *likePGX) BeginTx(ctx context.Context, o pgxOptions) (pgxTx, error) {
	_ = d.do(o.isolation, nil)
	return d.Begin(ctx)
}

func (t *likePGXTx) Begin(context.Context) (pgxTx, error) {
	return &likePGXTx{t.database}, t.do("savepoint", t.beginErr)
}
func (t *likePGXTx) Commit(context.Context) error { return t.commit() }
func (t *likePGXTx) Rollback(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return t.do("rollback", t.rollbackErr)
}

// A likeGORM is like gorm.DB.
type likeGORM struct {
	*database
	inside   bool
	attempts int // how often it calls what is to be done, if that fails
}

func (d *likeGORM) WithContext(context.Context) *likeGORM { c := *d; return &c }

func (d *likeGORM) Transaction(f func(*likeGORM) error, _ ...*sql.TxOptions) (err error) {
	for range max(d.attempts, 1) {
		begin := "begin"
		if d.inside {
			begin = "savepoint"
		}
		if err := d.do(begin, d.beginErr); err != nil {
			return err
		}
		err = func() error {
			done := false
			defer func() {
				if !done {
					_ = d.do("rollback", d.rollbackErr)
				}
			}()
			if err := f(&likeGORM{database: d.database, inside: true}); err != nil {
				return err
			}
			done = true
			return d.commit()
		}()
		if err == nil {
			return nil
		}
	}
	return err
}

// A likeBun is like bun.DB, and a bunTx like bun.Tx, which is no pointer.
type (
	likeBun struct{ *database }
	bunTx   struct {
		ctx context.Context
		*database
		name string
	}
)

func (d *likeBun) RunInTx(ctx context.Context, _ *sql.TxOptions, f func(context.Context, bunTx) error) error {
	return runInTx(ctx, "begin", bunTx{ctx, d.database, ""}, f)
}

func (t bunTx) RunInTx(_ context.Context, _ *sql.TxOptions, f func(context.Context, bunTx) error) error {
	return runInTx(t.ctx, "savepoint", bunTx{t.ctx, t.database, t.name + "x"}, f)
}

func runInTx(ctx context.Context, begin string, t bunTx, f func(context.Context, bunTx) error) error {
	if err := t.do(begin, t.beginErr); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			_ = t.do("rollback", t.rollbackErr)
		}
	}()
	if err := f(ctx, t); err != nil {
		return err
	}
	done = true
	return t.commit()
}

// A stateError is the answer of a database.
type stateError string

func (e stateError) Error() string    { return "answered " + string(e) }
func (e stateError) SQLState() string { return string(e) }
