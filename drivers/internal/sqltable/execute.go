package sqltable

import (
	"context"
	"database/sql"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase"
)

// prepareText returns the prepared statement of text, which all connections of the pool
// share.
func (t *Table) prepareText(ctx context.Context, text string) (*sql.Stmt, error) {
	t.mu.Lock()
	statement := t.statements[text]
	t.mu.Unlock()
	if statement != nil {
		return statement, nil
	}
	if t.base.Closed() {
		return nil, drivers.ErrClosed
	}
	statement, err := t.db.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	other, closed := t.statements[text], t.base.Closed()
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
	err = t.base.WhileBusy(ctx, func() error {
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
	return t.base.WhileBusy(ctx, func() error { return t.queryIn(ctx, nil, s, row) })
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
		return sqlbase.Scan(rows, err, row)
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
		return changed, t.base.WhileBusy(ctx, func() error {
			clear(changed)
			return t.queryIn(ctx, nil, s, row)
		})
	}
	// The changed rows stay locked between the two statements, so their mark is still that
	// of this call.
	ask := t.statement("SELECT name, lease_until FROM ", t.from, " WHERE name IN ").list(names).add(" AND mark = ").arg(mark)
	return changed, t.base.WhileBusy(ctx, func() error {
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
