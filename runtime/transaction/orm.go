package transaction

import (
	"context"
	"database/sql"

	"github.com/cachegen/cachegen/runtime/internal/collect"
)

// A GORMDB is a database of GORM: D is *gorm.DB.
type GORMDB[D any] interface {
	WithContext(context.Context) D
	Transaction(func(D) error, ...*sql.TxOptions) error
}

// GORM runs a transaction of GORM (gorm.io/gorm), by its method Transaction. D is *gorm.DB. If db is
// the one that an outer transaction was given, the transaction is a savepoint of that. The
// transaction that body gets has body's context:
//
//	err := transaction.GORM(ctx, db, func(ctx context.Context, tx *gorm.DB) error {
//		if err := tx.Model(&User{ID: id}).Update("name", name).Error; err != nil {
//			return err
//		}
//		return users.DeleteCachedUser(ctx, id)
//	})
//
// See the documentation of the package for what is returned, and for what becomes of what body
// changes in caches.
func GORM[D GORMDB[D]](ctx context.Context, db D, body func(context.Context, D) error, opts ...*sql.TxOptions) error {
	return runWith(ctx, db, func(ctx context.Context, attempt func(D) error) error {
		return db.WithContext(ctx).Transaction(attempt, opts...)
	}, execGORM[D], func(ctx context.Context, c *collect.Collected, tx D) error {
		tx = tx.WithContext(ctx)
		has(c, tx)
		return body(ctx, tx)
	})
}

// Bun runs a transaction of Bun (github.com/uptrace/bun), by its method RunInTx. db is a *bun.DB, a
// bun.Conn, or a bun.Tx, of which the transaction is a savepoint then. T is bun.Tx:
//
//	err := transaction.Bun(ctx, db, nil, func(ctx context.Context, tx bun.Tx) error {
//		...
//	})
//
// See the documentation of the package for what is returned, and for what becomes of what body
// changes in caches.
func Bun[T any](ctx context.Context, db interface {
	RunInTx(context.Context, *sql.TxOptions, func(context.Context, T) error) error
}, opts *sql.TxOptions, body func(context.Context, T) error) error {
	return runWith(ctx, db, func(ctx context.Context, attempt func(T) error) error {
		return db.RunInTx(ctx, opts, func(_ context.Context, tx T) error { return attempt(tx) })
	}, execSQL[T], func(ctx context.Context, c *collect.Collected, tx T) error {
		has(c, tx)
		return body(ctx, tx)
	})
}
