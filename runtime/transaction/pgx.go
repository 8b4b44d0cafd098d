package transaction

import (
	"context"

	"github.com/cachegen/cachegen/runtime/internal/collect"
)

// A PGXTx is a transaction of pgx: pgx.Tx. R is pgconn.CommandTag.
type PGXTx[R any] interface {
	Exec(context.Context, string, ...any) (R, error)
	Commit(context.Context) error
	Rollback(context.Context) error
}

// PGX runs a transaction of pgx (github.com/jackc/pgx/v5). db is a *pgxpool.Pool, a *pgxpool.Conn, a
// *pgx.Conn, or a pgx.Tx, of which the transaction is a savepoint then. T is pgx.Tx:
//
//	err := transaction.PGX(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
//		...
//	})
//
// See the documentation of the package for what is returned, and for what becomes of what body
// changes in caches.
func PGX[T PGXTx[R], R any](ctx context.Context, db interface {
	Begin(context.Context) (T, error)
}, body func(context.Context, T) error) error {
	return run(ctx, db, db.Begin, commitPGX[T, R], rollbackPGX[T, R], execPGX[T, R], body)
}

// PGXWith is [PGX] with options: O is pgx.TxOptions. db is no pgx.Tx then.
func PGXWith[T PGXTx[R], O, R any](ctx context.Context, db interface {
	BeginTx(context.Context, O) (T, error)
}, opts O, body func(context.Context, T) error) error {
	return run(ctx, db, func(ctx context.Context) (T, error) { return db.BeginTx(ctx, opts) }, commitPGX[T, R], rollbackPGX[T, R], execPGX[T, R], body)
}

func commitPGX[T PGXTx[R], R any](ctx context.Context, tx T) error { return tx.Commit(ctx) }

func rollbackPGX[T PGXTx[R], R any](ctx context.Context, tx T) error { return tx.Rollback(ctx) }

func execPGX[T PGXTx[R], R any](tx T) collect.Exec {
	return func(ctx context.Context, statement string) error {
		_, err := tx.Exec(ctx, statement)
		return err
	}
}
