package sqlite

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

// execute runs f until the database is not busy. f must be safe to run again, and
// own what it uses: opening a connection, for one, waits for locks without a look
// at the context, so f can be left behind.
func (d *Driver) execute(ctx context.Context, operation string, keys int, f func() error) error {
	err := ctx.Err()
	if d.closed.Load() {
		err = drivers.ErrClosed
	}
	if err == nil {
		err = within.Do(ctx, func() error {
			return d.patiently(ctx, func() error {
				if err := d.create(ctx); err != nil {
					return err
				}
				return f()
			})
		})
	}
	if err == nil {
		return nil
	}
	if d.closed.Load() && !errors.Is(err, drivers.ErrClosed) {
		err = fmt.Errorf("%w (%w)", drivers.ErrClosed, err)
	}
	if keys > 0 {
		noun := "keys"
		if keys == 1 {
			noun = "key"
		}
		operation = fmt.Sprintf("%s %d %s", operation, keys, noun)
	}
	return fmt.Errorf("sqlite: %s in table %q: %w", operation, d.table, err)
}

func (d *Driver) patiently(ctx context.Context, f func() error) error {
	var deadline time.Time
	for wait := minBusyWait; ; wait = min(2*wait, maxBusyWait) {
		err := f()
		if !busy(err) {
			return err
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(d.busyTimeout)
		}
		// Two that met once must not meet again at the same instant.
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

// busy reports whether err is SQLITE_BUSY or SQLITE_LOCKED, of any driver: by code
// where the driver offers it, else by what sqlite3_errmsg has said for decades.
func busy(err error) bool {
	if err == nil {
		return false
	}
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		primary := coded.Code() & 0xff
		return primary == 5 || primary == 6
	}
	text := err.Error()
	return strings.Contains(text, "database is locked") ||
		strings.Contains(text, "database table is locked") ||
		strings.Contains(text, "database schema is locked")
}

// statement returns a prepared statement, which all connections of the pool share.
func (d *Driver) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	d.mu.Lock()
	statement := d.statements[text]
	d.mu.Unlock()
	if statement != nil {
		return statement, nil
	}
	statement, err := d.db.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if other := d.statements[text]; other != nil {
		statement.Close()
		return other, nil
	}
	if d.closed.Load() {
		statement.Close()
		return nil, drivers.ErrClosed
	}
	d.statements[text] = statement
	return statement, nil
}

// exec runs a statement that returns no rows and returns how many it changed.
func (d *Driver) exec(ctx context.Context, text string, args ...any) (int64, error) {
	statement, err := d.statement(ctx, text)
	if err != nil {
		return 0, err
	}
	result, err := statement.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// query runs a statement that returns keys and values, and calls row for each. key
// is valid during the call.
func (d *Driver) query(ctx context.Context, row func(key, value []byte), text string, args ...any) error {
	statement, err := d.statement(ctx, text)
	if err != nil {
		return err
	}
	rows, err := statement.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key sql.RawBytes
		var value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		if value == nil {
			value = []byte{} // how drivers return an empty blob; the column has no NULL
		}
		row(key, value)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}
