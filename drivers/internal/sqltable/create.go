package sqltable

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// prepare does what has to be done once: it makes the table and asks for the limit
// of statements.
func (t *Table) prepare(ctx context.Context) error {
	if t.prepared.Load() {
		return nil
	}
	select {
	case t.preparing <- struct{}{}:
		defer func() { <-t.preparing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if t.prepared.Load() {
		return nil
	}
	if !t.options.SkipCreate {
		if err := t.patiently(ctx, func() error { return t.create(ctx) }); err != nil {
			return err
		}
	}
	if err := t.fit(ctx); err != nil {
		return err
	}
	if t.MaxStatement != "" {
		var limit int64
		if err := t.db.QueryRowContext(ctx, t.MaxStatement).Scan(&limit); err != nil {
			return fmt.Errorf("%s: %w", t.MaxStatement, err)
		}
		t.limit.Store(limit)
	}
	t.prepared.Store(true)
	return nil
}

// create makes the table unless it is there: where it is, the user need not have
// the right to make it, and the database may be read-only.
func (t *Table) create(ctx context.Context) error {
	if t.probe(ctx) == nil {
		return nil
	}
	// Until all of it is there: the next look would be content without the index. And who
	// finds the database busy may be looking at a table that another is about to make.
	err := t.patiently(ctx, func() error { return t.executeSchema(ctx) })
	switch wrong := t.probe(ctx); {
	case wrong == nil:
		return nil // also where another process has made it in between
	case err == nil || !t.Busy(err) && t.ask(ctx, "1") == nil:
		return fmt.Errorf("it is not the table of Schema: %w", wrong)
	default:
		return fmt.Errorf("create it: %w", err)
	}
}

// executeSchema makes all of the schema or, where the server can take back what makes
// tables, nothing of it.
func (t *Table) executeSchema(ctx context.Context) error {
	texts := t.Schema(t.table)
	if t.CreateLock != "" {
		texts = append([]string{t.CreateLock}, texts...)
	}
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, text := range texts {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// probe fails unless the table has all columns.
func (t *Table) probe(ctx context.Context) error {
	columns := "name, value, expires, lease, lease_until"
	if t.MaxKey > 0 {
		columns += ", rest"
	}
	if t.OnDuplicateKey {
		columns += ", mark"
	}
	return t.ask(ctx, columns)
}

// fit fails if a column loses what is stored in it, as one of text does that knows no
// case. A database that does not tell, or has no such table, is left to fail by itself.
func (t *Table) fit(ctx context.Context) error {
	if t.Columns == "" {
		return nil
	}
	rows, err := t.db.QueryContext(ctx, fmt.Sprintf(t.Columns, t.from))
	if err != nil {
		return ctx.Err()
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	row, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		var is []string
		for _, text := range row[1:] {
			is = append(is, text.String)
		}
		if name, is := row[0].String, strings.Join(is, " "); t.Fit[name] != nil && !t.Fit[name].MatchString(is) {
			return fmt.Errorf("it is not the table of Schema: column %s is %s", name, strings.TrimSpace(is))
		}
	}
	return rows.Err()
}

// ask fails unless the table has columns.
func (t *Table) ask(ctx context.Context, columns string) error {
	rows, err := t.db.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s LIMIT 0", columns, t.from))
	if err != nil {
		return err
	}
	defer rows.Close()
	rows.Next() // some drivers report only now
	return rows.Err()
}
