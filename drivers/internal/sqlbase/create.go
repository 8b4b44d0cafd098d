package sqlbase

import (
	"context"
	"fmt"

	"github.com/cachegen/cachegen/drivers"
)

// Prepare runs once before the first operation: it creates the table, and does what its content
// needs.
func (t *Table) Prepare(ctx context.Context) error {
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
		if err := t.WhileBusy(ctx, func() error { return t.create(ctx) }); err != nil {
			return err
		}
	}
	if t.content.Prepare != nil {
		if err := t.content.Prepare(ctx); err != nil {
			return err
		}
	}
	t.prepared.Store(true)
	return nil
}

// MayCreate reports whether the table may have to be created: nobody has seen it here yet.
func (t *Table) MayCreate() bool { return !t.options.SkipCreate && !t.prepared.Load() }

// create creates the table unless it exists: an existing table needs no right to create
// tables, and no database that can be written.
func (t *Table) create(ctx context.Context) error {
	if t.ask(ctx, t.content.Columns) == nil {
		return nil
	}
	// It is repeated until table and index exist, because the next probe would not notice
	// a missing index. A busy database may be one where another process is creating the
	// table.
	err := t.WhileBusy(ctx, func() error { return t.executeSchema(ctx) })
	switch wrong := t.ask(ctx, t.content.Columns); {
	case wrong == nil:
		return nil // this call or another process has created it
	case err == nil || !t.dialect.Busy(err) && t.ask(ctx, "1") == nil:
		return t.Differs(wrong)
	default:
		return t.NotCreated(err)
	}
}

// Differs says that the table is not the one of the schema.
func (t *Table) Differs(reason error) error {
	return drivers.Answered(fmt.Errorf("the table differs from %s: %w", t.content.SchemaName, reason))
}

// NotCreated says what to do if the table could not be created.
func (t *Table) NotCreated(reason error) error {
	return fmt.Errorf("create the table (or execute the statements of %s and set SkipCreate): %w", t.content.SchemaName, reason)
}

// executeSchema executes the statements of the schema, in one transaction where the
// server can roll back statements that create tables.
func (t *Table) executeSchema(ctx context.Context) error {
	texts := t.content.Schema(t.options.Table)
	if lock := t.dialect.CreateLock; lock != "" {
		texts = append([]string{lock}, texts...)
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

// ask fails unless the table exists and has columns.
func (t *Table) ask(ctx context.Context, columns string) error {
	rows, err := t.db.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s LIMIT 0", columns, t.Quoted()))
	if err != nil {
		return err
	}
	defer rows.Close()
	rows.Next() // some client libraries report the error only now
	return rows.Err()
}
