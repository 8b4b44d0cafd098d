package transaction

import (
	"context"
	"database/sql"
)

// A Tx is a transaction of database/sql, or of what is built on it.
type Tx interface {
	Commit() error
	Rollback() error
}

// SQL runs a transaction of database/sql. db is an *sql.DB, an *sql.Conn, or something with their
// method BeginTx. opts may be nil.
//
// See the documentation of the package for what is returned, and for what becomes of what body
// changes in caches.
func SQL(ctx context.Context, db interface {
	BeginTx(context.Context, *sql.TxOptions) (*sql.Tx, error)
}, opts *sql.TxOptions, body func(context.Context, *sql.Tx) error) error {
	return run(ctx, db, func(ctx context.Context) (*sql.Tx, error) { return db.BeginTx(ctx, opts) }, commit[*sql.Tx], rollback[*sql.Tx], execSQL[*sql.Tx], body)
}

// SQLX is [SQL] for sqlx (github.com/jmoiron/sqlx). db is an *sqlx.DB or an *sqlx.Conn, and T is
// *sqlx.Tx:
//
//	err := transaction.SQLX(ctx, db, nil, func(ctx context.Context, tx *sqlx.Tx) error {
//		...
//	})
func SQLX[T Tx](ctx context.Context, db interface {
	BeginTxx(context.Context, *sql.TxOptions) (T, error)
}, opts *sql.TxOptions, body func(context.Context, T) error) error {
	return run(ctx, db, func(ctx context.Context) (T, error) { return db.BeginTxx(ctx, opts) }, commit[T], rollback[T], execSQL[T], body)
}

// Ent is [SQL] for ent (entgo.io/ent). client is the *ent.Client of the generated package, and T is
// its *ent.Tx:
//
//	err := transaction.Ent(ctx, client, nil, func(ctx context.Context, tx *ent.Tx) error {
//		if err := tx.User.UpdateOneID(id).SetName(name).Exec(ctx); err != nil {
//			return err
//		}
//		return users.DeleteCachedUser(ctx, id)
//	})
//
// With an outbox, ent's code has to be generated with --feature sql/execquery, which gives *ent.Tx
// the method ExecContext.
//
// For a transaction that begins elsewhere, hooks of ent can end what was collected with
// [runtime.Collect]:
//
//	tx.OnCommit(func(next ent.Committer) ent.Committer {
//		return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
//			// with an outbox, collected.WriteOutbox before; if that fails, next is not called
//			return transaction.Settle(ctx, collected, next.Commit(ctx, tx))
//		})
//	})
//	tx.OnRollback(func(next ent.Rollbacker) ent.Rollbacker {
//		return ent.RollbackFunc(func(ctx context.Context, tx *ent.Tx) error {
//			collected.Rollback()
//			return next.Rollback(ctx, tx)
//		})
//	})
func Ent[T Tx](ctx context.Context, client interface {
	BeginTx(context.Context, *sql.TxOptions) (T, error)
}, opts *sql.TxOptions, body func(context.Context, T) error) error {
	return run(ctx, client, func(ctx context.Context) (T, error) { return client.BeginTx(ctx, opts) }, commit[T], rollback[T], execSQL[T], body)
}

func commit[T Tx](_ context.Context, tx T) error { return tx.Commit() }

func rollback[T Tx](_ context.Context, tx T) error { return tx.Rollback() }
