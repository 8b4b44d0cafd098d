package transaction_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A database is one without tables, of which a test says how transactions fail. It is a driver of
// database/sql, and by its types it is like other libraries. It records what it is asked for.
type database struct {
	beginErr, commitErr, rollbackErr error
	onCommit                         func()
	execErr                          error
	outbox                           faketier.Outbox // a table of this database

	mu  sync.Mutex
	did []string
	tx  *faketier.Tx // what is written; nil before
}

// exec executes a statement that writes into the outbox.
func (d *database) exec(ctx context.Context, statement string) error {
	if err := d.do("exec", d.execErr); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tx == nil {
		d.tx = d.outbox.Begin()
	}
	return d.tx.Exec(ctx, statement)
}

// end ends what was written.
func (d *database) end(end func(*faketier.Tx)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tx != nil {
		end(d.tx)
		d.tx = nil
	}
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
	err := d.do("commit", d.commitErr)
	if err != nil {
		d.end((*faketier.Tx).Rollback)
		return err
	}
	d.end((*faketier.Tx).Commit)
	return nil
}

func (d *database) rollback() error {
	d.end((*faketier.Tx).Rollback)
	return d.do("rollback", d.rollbackErr)
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
func (t driverTx) Rollback() error { return t.rollback() }

// ExecContext implements driver.ExecerContext.
func (c connection) ExecContext(ctx context.Context, statement string, _ []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), c.exec(ctx, statement)
}

// A tx is a transaction as those of sqlx and ent.
type tx struct{ *database }

func (t *tx) Commit() error   { return t.commit() }
func (t *tx) Rollback() error { return t.rollback() }

// An execTx is a tx that executes statements, as those of sqlx do.
type execTx struct{ *tx }

func (t *execTx) ExecContext(ctx context.Context, statement string, _ ...any) (sql.Result, error) {
	return driver.RowsAffected(1), t.exec(ctx, statement)
}

// A dialectTx executes statements as what ent is built on.
type dialectTx struct{ *tx }

func (t *dialectTx) Exec(ctx context.Context, statement string, args, result any) error {
	if _, ok := args.([]any); !ok || result != nil {
		return fmt.Errorf("the arguments are %T, the result is %T", args, result)
	}
	return t.exec(ctx, statement)
}

// A likeSQLX begins transactions as sqlx.DB does.
type likeSQLX struct{ *database }

func (d *likeSQLX) BeginTxx(context.Context, *sql.TxOptions) (*execTx, error) {
	return &execTx{&tx{d.database}}, d.do("begin", d.beginErr)
}

// A likeEnt begins transactions as ent.Client does.
type likeEnt struct{ *database }

func (d *likeEnt) BeginTx(context.Context, *sql.TxOptions) (*dialectTx, error) {
	return &dialectTx{&tx{d.database}}, d.do("begin", d.beginErr)
}

// A likeEntWithout is like a client that was generated without the feature sql/execquery.
type likeEntWithout struct{ *database }

func (d *likeEntWithout) BeginTx(context.Context, *sql.TxOptions) (*tx, error) {
	return &tx{d.database}, d.do("begin", d.beginErr)
}

// A pgxTx is like pgx.Tx, pgxOptions like pgx.TxOptions, and pgxTag like pgconn.CommandTag.
type (
	pgxTx interface {
		Begin(context.Context) (pgxTx, error)
		Exec(context.Context, string, ...any) (pgxTag, error)
		Commit(context.Context) error
		Rollback(context.Context) error
	}
	pgxOptions struct{ isolation string }
	pgxTag     struct{ rows int64 }
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
	return t.rollback()
}
func (t *likePGXTx) Exec(ctx context.Context, statement string, _ ...any) (pgxTag, error) {
	return pgxTag{1}, t.exec(ctx, statement)
}

// A likeGORM is like gorm.DB.
type likeGORM struct {
	*database
	Statement *gormStatement // of a transaction
	attempts  int            // how often it calls what is to be done, if that fails
	prepares  bool           // it prepares statements, and keeps them
}

// A gormStatement is like gorm.Statement.
type gormStatement struct{ ConnPool any }

// A gormPrepared is like gorm.PreparedStmtTX.
type gormPrepared struct{ Tx any }

func (gormPrepared) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	return nil, errors.New("a statement that comes once is kept")
}

func (d *likeGORM) WithContext(context.Context) *likeGORM { c := *d; return &c }

func (d *likeGORM) Transaction(f func(*likeGORM) error, _ ...*sql.TxOptions) (err error) {
	for range max(d.attempts, 1) {
		begin := "begin"
		end := d.database.rollback
		if d.Statement != nil {
			begin, end = "savepoint", func() error { return d.do("rollback", d.rollbackErr) }
		}
		if err := d.do(begin, d.beginErr); err != nil {
			return err
		}
		err = func() error {
			done := false
			defer func() {
				if !done {
					_ = end()
				}
			}()
			if err := f(&likeGORM{database: d.database, Statement: d.statement()}); err != nil {
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

func (d *likeGORM) statement() *gormStatement {
	inner := &execTx{&tx{d.database}}
	if d.prepares {
		return &gormStatement{&gormPrepared{inner}}
	}
	return &gormStatement{inner}
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

func (t bunTx) ExecContext(ctx context.Context, statement string, _ ...any) (sql.Result, error) {
	return driver.RowsAffected(1), t.exec(ctx, statement)
}

func runInTx(ctx context.Context, begin string, t bunTx, f func(context.Context, bunTx) error) error {
	if err := t.do(begin, t.beginErr); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done && begin == "begin" {
			_ = t.rollback()
		} else if !done {
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
