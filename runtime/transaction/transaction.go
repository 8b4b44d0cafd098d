package transaction

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/collect"
)

// rollbackTimeout bounds a rollback. It goes on although the context is cancelled, which may be
// why there is one.
const rollbackTimeout = 10 * time.Second

// Settle ends what was collected for a transaction, by how its commit has ended: nil is a commit,
// and calls Commit. If err says that the database has rolled back, Settle calls Rollback, and
// otherwise Unclear: see the documentation of the package. Settle returns err, joined with the error
// of Unclear, or the error of Commit. It is for a program that commits by itself. With an outbox,
// such a program calls [runtime.Collected.WriteOutbox] before it commits:
//
//	return transaction.Settle(ctx, collected, tx.Commit())
func Settle(ctx context.Context, collected *runtime.Collected, err error) error {
	return settle(ctx, collected, err)
}

type ender interface {
	Commit(context.Context) error
	Unclear(context.Context) error
	Rollback()
}

func settle(ctx context.Context, c ender, err error) error {
	switch {
	case err == nil:
		return c.Commit(ctx)
	case rolledBack(err):
		c.Rollback()
		return err
	}
	return with(err, c.Unclear(ctx))
}

// with returns err, joined with another one if there is one: alone it stays what it is.
func with(err, other error) error {
	if other == nil {
		return err
	}
	return errors.Join(err, other)
}

// rolledBack reports whether the error of a commit is the answer of a database that has rolled
// back: a constraint that is checked at the end (class 23), or what cannot be serialized or was a
// deadlock (40). 40003 says that nobody knows.
func rolledBack(err error) bool {
	var of interface{ SQLState() string }
	if !errors.As(err, &of) {
		return false
	}
	state := of.SQLState()
	return len(state) == 5 && state != "40003" && (strings.HasPrefix(state, "23") || strings.HasPrefix(state, "40"))
}

// begin returns a context that collects for a transaction on db.
func begin(ctx context.Context, db any) (context.Context, *collect.Collected) {
	switch db.(type) {
	case *sql.DB, *sql.Conn:
		return collect.New(ctx, collect.Apart, nil)
	}
	if outer := collect.Of(ctx); outer != nil && canCompare(db) {
		if of := outer.Find(db); of != nil {
			return collect.New(ctx, collect.Inside, of)
		}
	}
	return collect.New(ctx, collect.Unknown, nil)
}

// canCompare reports whether comparing a value with another one does not panic.
func canCompare(v any) bool { return v != nil && reflect.ValueOf(v).Comparable() }

// has says which transaction c collects for, by which those inside of it find it.
func has(c *collect.Collected, tx any) {
	if canCompare(tx) {
		c.SetOf(tx)
	}
}

// run runs a transaction. exec returns what executes statements in it.
func run[T any](ctx context.Context, db any, begins func(context.Context) (T, error), commit, rollback func(context.Context, T) error,
	exec func(T) collect.Exec, body func(context.Context, T) error) (err error) {
	ctx, c := begin(ctx, db)
	defer c.Rollback() // nothing, if it has ended
	tx, err := begins(ctx)
	if err != nil {
		return err
	}
	has(c, tx)
	finished, settled := false, false
	defer func() {
		switch {
		case settled:
			return
		case finished: // the commit has panicked, and may have been made
			_ = c.Unclear(ctx)
			return
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		if errRollback := rollback(end, tx); errRollback != nil && ctx.Err() == nil {
			// The body may have committed by itself.
			err = with(err, c.Unclear(ctx))
		}
	}()
	if err := body(ctx, tx); err != nil {
		return err
	}
	if err := c.Leave(ctx, exec(tx)); err != nil {
		return err
	}
	finished = true
	err = commit(ctx, tx)
	settled = true
	return settle(ctx, c, err)
}

// runWith runs a transaction by a function of a library that begins and ends it. It calls body
// once, or again for each attempt.
func runWith[T any](ctx context.Context, db any, runs func(context.Context, func(T) error) error, exec func(T) collect.Exec,
	body func(context.Context, *collect.Collected, T) error) error {
	var c *collect.Collected // of the last attempt
	done, settled := false, false
	defer func() {
		if done && !settled { // the commit has panicked, and may have been made
			_ = c.Unclear(ctx)
		}
		if c != nil {
			c.Rollback() // nothing, if it has ended
		}
	}()
	err := runs(ctx, func(tx T) error {
		if c != nil {
			c.Rollback()
		}
		var inside context.Context
		inside, c = begin(ctx, db)
		done = false
		if err := body(inside, c, tx); err != nil {
			return err
		}
		if err := c.Leave(inside, exec(tx)); err != nil {
			return err
		}
		done = true
		return nil
	})
	settled = true
	switch {
	case done:
		return settle(ctx, c, err)
	case err == nil && c != nil: // the library has not told of the body's failure, and may have committed
		return c.Unclear(ctx)
	}
	return err
}
