// Package accounts has queries of the form that sqlc writes, and a repository of the form that people
// write on top of them: both are bound to a transaction by a method WithTx.
package accounts

import (
	"context"
	"database/sql"
	"sync/atomic"
)

//go:generate go tool cachegen

// A DBTX is a database or a transaction.
type DBTX interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// Queries are the queries of a database, or of a transaction, which it counts.
type Queries struct {
	db    DBTX
	Count *atomic.Int64
}

// New returns the queries of a database.
func New(db DBTX) *Queries { return &Queries{db: db, Count: new(atomic.Int64)} }

// WithTx returns the queries of a transaction.
func (q *Queries) WithTx(tx *sql.Tx) *Queries { return &Queries{db: tx, Count: q.Count} }
