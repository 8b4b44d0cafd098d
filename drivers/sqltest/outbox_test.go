package sqltest

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	gormpostgres "gorm.io/driver/postgres"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/drivers/sqlite"
)

// A beginner opens a library at an address, and returns how a program begins a transaction with it.
type beginner func(t *testing.T, address string) (db *sql.DB, begin func(t *testing.T) drivertest.OutboxTransaction)

func beginSqlx(t *testing.T, db *sqlx.DB) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
	return db.DB, func(t *testing.T) drivertest.OutboxTransaction {
		tx := must[*sqlx.Tx](t)(db.Beginx())
		return drivertest.OutboxTransaction{Exec: func(ctx context.Context, statement string) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		}, Commit: tx.Commit, Rollback: tx.Rollback}
	}
}

func beginGORM(t *testing.T, db *gorm.DB) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
	return must[*sql.DB](t)(db.DB()), func(t *testing.T) drivertest.OutboxTransaction {
		tx := db.Begin()
		return drivertest.OutboxTransaction{Exec: func(ctx context.Context, statement string) error {
			return tx.WithContext(ctx).Exec(statement).Error
		}, Commit: func() error { return tx.Commit().Error }, Rollback: func() error { return tx.Rollback().Error }}
	}
}

func beginBun(_ *testing.T, db *bun.DB) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
	return db.DB, func(t *testing.T) drivertest.OutboxTransaction {
		tx := must[bun.Tx](t)(db.Begin())
		return drivertest.OutboxTransaction{Exec: func(ctx context.Context, statement string) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		}, Commit: tx.Commit, Rollback: tx.Rollback}
	}
}

// beginEnt uses what ent's generated clients are built on.
func beginEnt(_ *testing.T, driver *entsql.Driver) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
	return driver.DB(), func(t *testing.T) drivertest.OutboxTransaction {
		tx := must[dialect.Tx](t)(driver.Tx(context.Background()))
		return drivertest.OutboxTransaction{Exec: func(ctx context.Context, statement string) error {
			return tx.Exec(ctx, statement, []any{}, nil)
		}, Commit: tx.Commit, Rollback: tx.Rollback}
	}
}

func beginPgx(t *testing.T, address string) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
	pool := must[*pgxpool.Pool](t)(pgxpool.New(t.Context(), address))
	t.Cleanup(pool.Close)
	return stdlib.OpenDBFromPool(pool), func(t *testing.T) drivertest.OutboxTransaction {
		ctx := context.Background()
		tx, err := pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return drivertest.OutboxTransaction{Exec: func(ctx context.Context, statement string) error {
			_, err := tx.Exec(ctx, statement)
			return err
		}, Commit: func() error { return tx.Commit(ctx) }, Rollback: func() error { return tx.Rollback(ctx) }}
	}
}

// What a program writes with comes to the outbox unchanged, whatever library it is.
func TestOutboxOfLibrariesOnPostgres(t *testing.T) {
	server := servers.Postgres(t)
	for name, begin := range map[string]beginner{
		"sqlx": func(t *testing.T, address string) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
			return beginSqlx(t, must[*sqlx.DB](t)(sqlx.Open("postgres", address))) // the other driver of Postgres
		},
		"GORM": func(t *testing.T, address string) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
			return beginGORM(t, must[*gorm.DB](t)(gorm.Open(gormpostgres.Open(address), quietGORM)))
		},
		"Bun": func(t *testing.T, address string) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
			return beginBun(t, bun.NewDB(must[*sql.DB](t)(sql.Open("pgx", address)), pgdialect.New()))
		},
		"ent": func(t *testing.T, address string) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
			return beginEnt(t, entsql.OpenDB(dialect.Postgres, must[*sql.DB](t)(sql.Open("pgx", address))))
		},
		"pgx": beginPgx,
	} {
		t.Run(name, func(t *testing.T) {
			db, begin := begin(t, server.URL())
			t.Cleanup(func() { db.Close() })
			drivertest.Outbox(t, drivertest.OutboxDatabase{Begin: begin, Open: func(t *testing.T) drivers.Outbox {
				return closing(t, postgres.NewOutbox(db, postgres.OutboxOptions{Notify: name == "pgx"}))
			}})
		})
	}
}

func TestOutboxOfLibrariesOnSQLite(t *testing.T) {
	for name, begin := range map[string]beginner{
		"sqlx": func(t *testing.T, address string) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
			return beginSqlx(t, must[*sqlx.DB](t)(sqlx.Open("sqlite3", address)))
		},
		"GORM": func(t *testing.T, address string) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
			return beginGORM(t, must[*gorm.DB](t)(gorm.Open(gormsqlite.Open(address), quietGORM)))
		},
		"Bun": func(t *testing.T, address string) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
			return beginBun(t, bun.NewDB(must[*sql.DB](t)(sql.Open("sqlite", address)), sqlitedialect.New()))
		},
		"ent": func(t *testing.T, address string) (*sql.DB, func(t *testing.T) drivertest.OutboxTransaction) {
			return beginEnt(t, entsql.OpenDB(dialect.SQLite, must[*sql.DB](t)(sql.Open("sqlite3", address))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			// Each of the two drivers of SQLite ignores what the other understands.
			address := "file:" + filepath.Join(t.TempDir(), "app.db") + "?_txlock=immediate" +
				"&_pragma=journal_mode(wal)&_pragma=synchronous(off)&_pragma=busy_timeout(5000)" +
				"&_journal_mode=WAL&_synchronous=OFF&_busy_timeout=5000"
			db, begin := begin(t, address)
			t.Cleanup(func() { db.Close() })
			drivertest.Outbox(t, drivertest.OutboxDatabase{OneWriter: true, Begin: begin, Open: func(t *testing.T) drivers.Outbox {
				return closing(t, sqlite.NewOutbox(db, sqlite.OutboxOptions{}))
			}})
		})
	}
}

func closing(t *testing.T, o drivers.Outbox) drivers.Outbox {
	t.Cleanup(func() { o.Close() })
	return o
}
