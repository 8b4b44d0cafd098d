package sqltable

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// prepare checks the columns of a table that was created, and reads the size limit of statements.
func (t *Table) prepare(ctx context.Context) error {
	if err := t.fit(ctx); err != nil || t.MaxStatement == "" {
		return err
	}
	var limit int64
	if err := t.db.QueryRowContext(ctx, t.MaxStatement).Scan(&limit); err != nil {
		return fmt.Errorf("%s: %w", t.MaxStatement, err)
	}
	t.limit.Store(limit)
	return nil
}

// columns are those that the table must have.
func (d *Dialect) columns() string {
	columns := "name, value, expires, lease, lease_until"
	if d.MaxKey > 0 {
		columns += ", rest"
	}
	if d.OnDuplicateKey {
		columns += ", mark"
	}
	return columns
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
			return t.base.Differs(fmt.Errorf("column %s is %s", name, strings.TrimSpace(is)))
		}
	}
	return rows.Err()
}
