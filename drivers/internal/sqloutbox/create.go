package sqloutbox

import (
	"context"
	"fmt"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

const columns = "id, store, payload, due, attempts, created"

// prepare runs once before the first operation: it creates the table, and checks its columns.
func (o *Outbox) prepare(ctx context.Context) error {
	if o.prepared.Load() {
		return nil
	}
	select {
	case o.preparing <- struct{}{}:
		defer func() { <-o.preparing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if o.prepared.Load() {
		return nil
	}
	// An existing table needs no right to create tables.
	wrong := o.probe(ctx)
	if wrong != nil && o.options.SkipCreate {
		return wrong
	}
	if wrong != nil {
		// A busy database may be one where another process is creating the table.
		err := o.whileBusy(ctx, func() error { return o.create(ctx) })
		switch wrong = o.probe(ctx); {
		case wrong == nil: // this call or another process has created it
		case err == nil || !o.Busy(err) && o.ask(ctx, "1") == nil:
			return drivers.Answered(fmt.Errorf("the table differs from OutboxSchema: %w", wrong))
		default:
			return fmt.Errorf(howToCreate, err)
		}
	}
	o.prepared.Store(true)
	return nil
}

// create executes the statements of the schema, in one transaction where the server can roll
// back statements that create tables.
func (o *Outbox) create(ctx context.Context) error {
	texts := o.Schema(o.table)
	if o.CreateLock != "" {
		texts = append([]string{o.CreateLock}, texts...)
	}
	tx, err := o.db.BeginTx(ctx, nil)
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

const howToCreate = "create the table (or execute the statements of OutboxSchema and set SkipCreate): %w"

// insert executes a statement that inserts, and creates the table if there is none. That needs no
// other connection where it can be done in the transaction of the caller: transactions may have all
// connections of the pool, and where there is one writer at a time, the caller is that.
func (o *Outbox) insert(ctx context.Context, exec drivers.Exec, statement string) error {
	create := !o.prepared.Load() && !o.options.SkipCreate
	if create && o.Inside != nil {
		for _, text := range o.Inside(o.table) {
			if err := exec(ctx, text); err != nil {
				return fmt.Errorf(howToCreate, err)
			}
		}
	}
	err := exec(ctx, statement)
	if err == nil || !create || o.Inside != nil || !o.Missing(err) {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, o.options.BusyTimeout)
	defer cancel()
	if err := within.Do(wait, func() error { return o.prepare(wait) }); err != nil {
		return err
	}
	return exec(ctx, statement)
}

// probe fails unless the table exists and has all columns.
func (o *Outbox) probe(ctx context.Context) error {
	if o.OnDuplicateKey {
		return o.ask(ctx, columns+", mark")
	}
	return o.ask(ctx, columns)
}

// ask fails unless the table exists and has columns.
func (o *Outbox) ask(ctx context.Context, columns string) error {
	rows, err := o.db.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s LIMIT 0", columns, o.quoted))
	if err != nil {
		return err
	}
	defer rows.Close()
	rows.Next() // some client libraries report the error only now
	return rows.Err()
}
