package sqltable

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
)

// A runner runs a statement somewhere: on any connection of the pool, on one connection, or
// in a transaction.
type runner struct {
	exec  func(context.Context, []any) (sql.Result, error)
	query func(context.Context, []any) (*sql.Rows, error)
}

// send calls run with what runs s.
//
// database/sql sends a statement up to three times if the client library says that a
// connection was bad from the beginning (driver.ErrBadConn). Some libraries say so of a
// connection that broke after the statement was sent. A statement that is marked once is
// sent once all the same: a second execution would bring back a value that somebody has
// deleted since the first, or report that nothing was changed.
func (t *Table) send(ctx context.Context, tx *sql.Tx, s *statement, run func(runner, []any) error) error {
	text := s.text.String()
	if t.options.Unprepared {
		switch {
		case tx != nil: // database/sql does not repeat what a transaction does
			return run(of(tx, text), s.args)
		case !s.once:
			return run(of(t.db, text), s.args)
		}
		// Nor what is done on a certain connection.
		connection, err := t.db.Conn(ctx)
		if err != nil {
			return err
		}
		defer connection.Close()
		return run(of(connection, text), s.args)
	}
	prepared, err := t.prepareText(ctx, text)
	if err != nil {
		return err
	}
	args := s.args
	switch {
	case tx != nil:
		prepared = tx.StmtContext(ctx, prepared)
	case s.once && len(args) > 0:
		// A statement is prepared for all connections, and cannot be run on a certain one.
		// But its arguments are asked for once for each attempt, after a connection was found.
		args = append([]any{&onceOnly{value: args[0]}}, args[1:]...)
	}
	err = run(runner{
		func(ctx context.Context, args []any) (sql.Result, error) { return prepared.ExecContext(ctx, args...) },
		func(ctx context.Context, args []any) (*sql.Rows, error) { return prepared.QueryContext(ctx, args...) },
	}, args)
	if errors.Is(err, errSent) {
		return fmt.Errorf("%w: %w", errSent, driver.ErrBadConn)
	}
	return err
}

func of(db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, text string) runner {
	return runner{
		func(ctx context.Context, args []any) (sql.Result, error) { return db.ExecContext(ctx, text, args...) },
		func(ctx context.Context, args []any) (*sql.Rows, error) { return db.QueryContext(ctx, text, args...) },
	}
}

var errSent = errors.New("the connection broke after the statement was sent")

// onceOnly is an argument of a statement that cannot be sent twice.
type onceOnly struct {
	value any
	asked atomic.Bool
}

// Value implements driver.Valuer.
func (o *onceOnly) Value() (driver.Value, error) {
	if o.asked.Swap(true) {
		return nil, errSent
	}
	return o.value, nil
}
