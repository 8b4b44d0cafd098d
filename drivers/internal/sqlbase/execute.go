package sqlbase

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

// Execute runs an operation f on n keys or entries and returns when f does or when ctx ends. f must
// own what it uses, because it may still run after Execute has returned: not every wait in
// database/sql and below, such as opening a connection, watches the context.
func (t *Table) Execute(ctx context.Context, operation string, n int, f func() error) error {
	err := t.Usable(ctx)
	if err == nil {
		err = within.Do(ctx, func() error {
			if err := t.Prepare(ctx); err != nil {
				return err
			}
			return f()
		})
		if err != nil && t.content.Failed != nil {
			t.content.Failed(t.classified(ctx, err))
		}
	}
	return t.Failed(ctx, operation, n, err)
}

// Usable returns why no operation can begin, or nil.
func (t *Table) Usable(ctx context.Context) error {
	if t.closed.Load() {
		return drivers.ErrClosed
	}
	return ctx.Err()
}

// Failed says of err what the callers of a driver have to know, and what has failed. Nil stays nil.
func (t *Table) Failed(ctx context.Context, operation string, n int, err error) error {
	if err == nil {
		return nil
	}
	return t.In(operation, n, t.classified(ctx, err))
}

// classified says of err what the callers of a driver have to know.
func (t *Table) classified(ctx context.Context, err error) error {
	switch {
	case t.closed.Load() && !errors.Is(err, drivers.ErrClosed):
		return fmt.Errorf("%w (%w)", drivers.ErrClosed, err)
	case errors.Is(err, drivers.ErrClosed), errors.Is(err, drivers.ErrRefused):
	case strings.Contains(err.Error(), databaseClosed):
		return fmt.Errorf("%w (%w)", drivers.ErrClosed, err)
	case t.dialect.TooLarge(err):
		return fmt.Errorf("%w: %w", drivers.ErrRefused, err)
	case ctx.Err() == nil && t.dialect.Answered(err):
		return drivers.Answered(err)
	}
	return err
}

// databaseClosed is how database/sql says that its user has closed it, which no exported
// error does.
const databaseClosed = "sql: database is closed"

// In returns err with the driver, the operation, the number of keys or entries and the table.
func (t *Table) In(operation string, n int, err error) error {
	switch n {
	case 0:
	case 1:
		operation += " 1 " + t.content.One
	default:
		operation = fmt.Sprintf("%s %d %s", operation, n, t.content.Many)
	}
	return fmt.Errorf("%s: %s in table %q: %w", t.dialect.Name, operation, t.options.Table, err)
}

const (
	minBusyWait = time.Millisecond
	maxBusyWait = 50 * time.Millisecond
)

// WhileBusy runs f, a single statement or transaction, and repeats it while the database
// is busy, for at most BusyTimeout. It repeats f at once on connections that the server has
// ended: all that the pool had may be of that kind.
func (t *Table) WhileBusy(ctx context.Context, f func() error) error {
	var deadline time.Time
	dead := t.db.Stats().OpenConnections
	for wait := minBusyWait; ; wait = min(2*wait, maxBusyWait) {
		err := f()
		if err != nil && dead >= 0 && ctx.Err() == nil && t.dialect.Cut != nil && t.dialect.Cut(err) {
			dead--
			if t.content.Failed != nil {
				t.content.Failed(err) // the server may be another one now
			}
			continue
		}
		if err == nil || !t.dialect.Busy(err) {
			return err
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(t.options.BusyTimeout)
		}
		if time.Until(deadline) < wait {
			return err
		}
		// Random, so that two transactions that collided do not collide again.
		pause := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// Scan calls row for each of rows, and closes them. err is that of the query.
func Scan(rows *sql.Rows, err error, row func(*sql.Rows) error) error {
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
}
