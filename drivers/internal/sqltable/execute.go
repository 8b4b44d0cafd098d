package sqltable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

const (
	minBusyWait = time.Millisecond
	maxBusyWait = 50 * time.Millisecond
)

// execute runs an operation f and returns when f does or when ctx ends. f must own what
// it uses, because it may still run after execute has returned: not every wait in
// database/sql and below, such as opening a connection, watches the context.
func (t *Table) execute(ctx context.Context, operation string, keys int, f func() error) error {
	err := ctx.Err()
	if t.closed.Load() {
		err = drivers.ErrClosed
	}
	if err != nil {
		return t.failed(operation, keys, t.classified(ctx, err))
	}
	err = within.Do(ctx, func() error {
		if err := t.prepare(ctx); err != nil {
			return err
		}
		return f()
	})
	if err == nil {
		return nil
	}
	err = t.classified(ctx, err)
	t.history.failure(err)
	return t.failed(operation, keys, err)
}

// classified says of err what the callers of a driver have to know.
func (t *Table) classified(ctx context.Context, err error) error {
	switch {
	case t.closed.Load() && !errors.Is(err, drivers.ErrClosed):
		return fmt.Errorf("%w (%w)", drivers.ErrClosed, err)
	case errors.Is(err, drivers.ErrClosed), errors.Is(err, drivers.ErrRefused):
	case strings.Contains(err.Error(), databaseClosed):
		return fmt.Errorf("%w (%w)", drivers.ErrClosed, err)
	case t.TooLarge(err):
		return fmt.Errorf("%w: %w", drivers.ErrRefused, err)
	case ctx.Err() == nil && t.Answered(err):
		return drivers.Answered(err)
	}
	return err
}

// databaseClosed is how database/sql says that its user has closed it, which no exported
// error does.
const databaseClosed = "sql: database is closed"

// failed returns err with the driver, the operation, the number of keys and the table.
func (t *Table) failed(operation string, keys int, err error) error {
	if keys > 0 {
		noun := "keys"
		if keys == 1 {
			noun = "key"
		}
		operation = fmt.Sprintf("%s %d %s", operation, keys, noun)
	}
	return fmt.Errorf("%s: %s in table %q: %w", t.Name, operation, t.table, err)
}

// whileBusy runs f, a single statement or transaction, and repeats it while the database
// is busy, for at most BusyTimeout. It repeats f at once on connections that the server has
// ended: all that the pool had may be of that kind.
func (t *Table) whileBusy(ctx context.Context, f func() error) error {
	var deadline time.Time
	dead := t.db.Stats().OpenConnections
	for wait := minBusyWait; ; wait = min(2*wait, maxBusyWait) {
		err := f()
		if err != nil && dead >= 0 && ctx.Err() == nil && t.Cut != nil && t.Cut(err) {
			dead--
			t.history.failure(err) // the server may be another one now
			continue
		}
		if err == nil || !t.Busy(err) {
			return err
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(t.options.BusyTimeout)
		}
		// Random, so that two transactions that collided do not collide again.
		pause := time.NewTimer(wait/2 + rand.N(wait))
		if time.Until(deadline) < wait {
			pause.Stop()
			return err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// prepareText returns the prepared statement of text, which all connections of the pool
// share.
func (t *Table) prepareText(ctx context.Context, text string) (*sql.Stmt, error) {
	t.mu.Lock()
	statement := t.statements[text]
	t.mu.Unlock()
	if statement != nil {
		return statement, nil
	}
	if t.closed.Load() {
		return nil, drivers.ErrClosed
	}
	statement, err := t.db.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	other, closed := t.statements[text], t.closed.Load()
	if other == nil && !closed {
		t.statements[text] = statement
	}
	t.mu.Unlock()
	if other == nil && !closed {
		return statement, nil
	}
	// Without the lock: Close waits for the running call of its connection, which may wait
	// for rows of a goroutine that wants the lock.
	statement.Close()
	if closed {
		return nil, drivers.ErrClosed
	}
	return other, nil
}

// exec runs a statement that returns no rows and returns how many it changed.
func (t *Table) exec(ctx context.Context, s *statement) (n int64, err error) {
	err = t.whileBusy(ctx, func() error {
		result, err := t.execIn(ctx, nil, s)
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	return n, err
}

// query runs a statement and calls row for each row. If the database is busy midway, it repeats
// the statement and calls row again for the same rows.
func (t *Table) query(ctx context.Context, s *statement, row func(*sql.Rows) error) error {
	return t.whileBusy(ctx, func() error { return t.queryIn(ctx, nil, s, row) })
}

// execIn runs a statement in a transaction, or without one if tx is nil.
func (t *Table) execIn(ctx context.Context, tx *sql.Tx, s *statement) (result sql.Result, err error) {
	err = t.send(ctx, tx, s, func(on runner, args []any) (err error) {
		result, err = on.exec(ctx, args)
		return err
	})
	return result, err
}

func (t *Table) queryIn(ctx context.Context, tx *sql.Tx, s *statement, row func(*sql.Rows) error) error {
	return t.send(ctx, tx, s, func(on runner, args []any) error {
		rows, err := on.query(ctx, args)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := row(rows); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return rows.Close()
	})
}

// change runs a statement that changes rows of names under a condition, and returns the
// names of the rows that were changed, with what they have in lease_until. RETURNING can be
// appended to the statement, and the statement sets the column mark, where there is one, to
// mark.
func (t *Table) change(ctx context.Context, s *statement, names [][]byte, mark int64) (map[string]int64, error) {
	changed := make(map[string]int64, len(names))
	row := func(rows *sql.Rows) error {
		var name sql.RawBytes
		var until int64
		if err := rows.Scan(&name, &until); err != nil {
			return err
		}
		changed[string(name)] = until
		return nil
	}
	if !t.OnDuplicateKey {
		s.add(" RETURNING name, lease_until")
		s.once = true
		return changed, t.whileBusy(ctx, func() error {
			clear(changed)
			return t.queryIn(ctx, nil, s, row)
		})
	}
	// The changed rows stay locked between the two statements, so their mark is still that
	// of this call.
	ask := t.statement("SELECT name, lease_until FROM ", t.from, " WHERE name IN ").list(names).add(" AND mark = ").arg(mark)
	return changed, t.whileBusy(ctx, func() error {
		clear(changed)
		// Before the transaction: preparing takes a connection of the pool, and
		// transactions that hold all connections would wait for each other.
		if !t.options.Unprepared {
			for _, text := range []string{s.text.String(), ask.text.String()} {
				if _, err := t.prepareText(ctx, text); err != nil {
					return err
				}
			}
		}
		tx, err := t.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := t.execIn(ctx, tx, s); err != nil {
			return err
		}
		if err := t.queryIn(ctx, tx, ask, row); err != nil {
			return err
		}
		return tx.Commit()
	})
}
