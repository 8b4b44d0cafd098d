package sqltable

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/cachegen/cachegen/drivers"
)

// prepare runs once before the first operation: it creates the table, checks its columns
// and reads the size limit of statements.
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
		if err := t.whileBusy(ctx, func() error { return t.create(ctx) }); err != nil {
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

// create creates the table unless it exists: an existing table needs no right to create
// tables, and no database that can be written.
func (t *Table) create(ctx context.Context) error {
	if t.probe(ctx) == nil {
		return nil
	}
	// It is repeated until table and index exist, because the next probe would not notice
	// a missing index. A busy database may be one where another process is creating the
	// table.
	err := t.whileBusy(ctx, func() error { return t.executeSchema(ctx) })
	switch wrong := t.probe(ctx); {
	case wrong == nil:
		return nil // this call or another process has created it
	case err == nil || !t.Busy(err) && t.ask(ctx, "1") == nil:
		return fmt.Errorf("the table differs from Schema: %w", wrong)
	default:
		return fmt.Errorf("create the table (or execute the statements of Schema and set SkipCreate): %w", err)
	}
}

// executeSchema executes the statements of the schema, in one transaction where the
// server can roll back statements that create tables.
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

// probe fails unless the table exists and has all columns.
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

// fit fails if a column would lose a part of what is stored in it, as a text column that
// ignores case does. If the query for the columns fails, fit reports nothing: the operation
// itself fails then if the table is unusable.
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
			return drivers.Answered(fmt.Errorf("the table differs from Schema: column %s is %s", name, strings.TrimSpace(is)))
		}
	}
	return rows.Err()
}

// ask fails unless the table exists and has columns.
func (t *Table) ask(ctx context.Context, columns string) error {
	rows, err := t.db.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s LIMIT 0", columns, t.from))
	if err != nil {
		return err
	}
	defer rows.Close()
	rows.Next() // some client libraries report the error only now
	return rows.Err()
}
