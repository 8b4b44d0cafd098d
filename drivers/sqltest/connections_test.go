package sqltest

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jmoiron/sqlx"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"go.uber.org/goleak"
	gormpostgres "gorm.io/driver/postgres"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	_ "github.com/jackc/pgx/v5/stdlib" // "pgx"
	_ "github.com/lib/pq"              // "postgres"
	_ "github.com/mattn/go-sqlite3"    // "sqlite3"
	_ "modernc.org/sqlite"             // "sqlite"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/drivers/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A user is a row of the program's own, beside the cache in one database.
type user struct {
	bun.BaseModel `bun:"table:users" gorm:"-"`
	ID            int64  `bun:"id,pk" gorm:"primaryKey" db:"id"`
	Name          string `bun:"name" db:"name"`
}

// A library is opened at an address of each database. It returns the connection to
// hand over, and stores and reads a user in its own way.
type library struct {
	sqlite, postgres func(t *testing.T, address string) (*sql.DB, roundTrip)
}

type roundTrip func(ctx context.Context, u user) (user, error)

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

const createUsers = "CREATE TABLE IF NOT EXISTS users (id BIGINT PRIMARY KEY, name TEXT NOT NULL)"

var libraries = map[string]library{
	"sqlx": {
		sqlite: func(t *testing.T, address string) (*sql.DB, roundTrip) {
			return withSqlx(must[*sqlx.DB](t)(sqlx.Open("sqlite3", address)))
		},
		// The other driver of Postgres.
		postgres: func(t *testing.T, address string) (*sql.DB, roundTrip) {
			return withSqlx(must[*sqlx.DB](t)(sqlx.Open("postgres", address)))
		},
	},
	"GORM": {
		sqlite: func(t *testing.T, address string) (*sql.DB, roundTrip) {
			return withGORM(t, must[*gorm.DB](t)(gorm.Open(gormsqlite.Open(address), quietGORM)))
		},
		postgres: func(t *testing.T, address string) (*sql.DB, roundTrip) {
			return withGORM(t, must[*gorm.DB](t)(gorm.Open(gormpostgres.Open(address), quietGORM)))
		},
	},
	"Bun": {
		sqlite: func(t *testing.T, address string) (*sql.DB, roundTrip) {
			return withBun(bun.NewDB(must[*sql.DB](t)(sql.Open("sqlite", address)), sqlitedialect.New()))
		},
		postgres: func(t *testing.T, address string) (*sql.DB, roundTrip) {
			return withBun(bun.NewDB(must[*sql.DB](t)(sql.Open("pgx", address)), pgdialect.New()))
		},
	},
	"ent": {
		sqlite: func(t *testing.T, address string) (*sql.DB, roundTrip) {
			return withEnt(entsql.OpenDB(dialect.SQLite, must[*sql.DB](t)(sql.Open("sqlite3", address))))
		},
		postgres: func(t *testing.T, address string) (*sql.DB, roundTrip) {
			return withEnt(entsql.OpenDB(dialect.Postgres, must[*sql.DB](t)(sql.Open("pgx", address))))
		},
	},
}

func withSqlx(db *sqlx.DB) (*sql.DB, roundTrip) {
	return db.DB, func(ctx context.Context, u user) (got user, err error) {
		if _, err = db.NamedExecContext(ctx, "INSERT INTO users (id, name) VALUES (:id, :name)", u); err != nil {
			return got, err
		}
		return got, db.GetContext(ctx, &got, db.Rebind("SELECT id, name FROM users WHERE id = ?"), u.ID)
	}
}

var quietGORM = &gorm.Config{Logger: logger.Discard}

func withGORM(t *testing.T, db *gorm.DB) (*sql.DB, roundTrip) {
	return must[*sql.DB](t)(db.DB()), func(ctx context.Context, u user) (got user, err error) {
		if err = db.WithContext(ctx).Create(&u).Error; err != nil {
			return got, err
		}
		return got, db.WithContext(ctx).First(&got, u.ID).Error
	}
}

func withBun(db *bun.DB) (*sql.DB, roundTrip) {
	return db.DB, func(ctx context.Context, u user) (got user, err error) {
		if _, err = db.NewInsert().Model(&u).Exec(ctx); err != nil {
			return got, err
		}
		return got, db.NewSelect().Model(&got).Where("id = ?", u.ID).Scan(ctx)
	}
}

// withEnt uses what ent's generated clients are built on; they take the same driver.
func withEnt(driver *entsql.Driver) (*sql.DB, roundTrip) {
	return driver.DB(), func(ctx context.Context, u user) (got user, err error) {
		builder := entsql.Dialect(driver.Dialect())
		query, args := builder.Insert("users").Columns("id", "name").Values(u.ID, u.Name).Query()
		if err = driver.Exec(ctx, query, args, nil); err != nil {
			return got, err
		}
		query, args = builder.Select("id", "name").From(builder.Table("users")).Where(entsql.EQ("id", u.ID)).Query()
		var rows entsql.Rows
		if err = driver.Query(ctx, query, args, &rows); err != nil {
			return got, err
		}
		defer rows.Close()
		rows.Next()
		return got, rows.Scan(&got.ID, &got.Name)
	}
}

const everything = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans |
	drivertest.DeletesPrefixes | drivertest.Prunes

// check runs the contract on a library's connection while the program's own tables are
// in the same database, and stay usable.
func check(t *testing.T, db *sql.DB, use roundTrip, open func(*sql.DB) drivers.L2) {
	t.Helper()
	t.Cleanup(func() { db.Close() })
	db.SetMaxIdleConns(16) // or connecting is most of what the tests do
	if _, err := db.ExecContext(t.Context(), createUsers); err != nil {
		t.Fatal(err)
	}
	drivertest.L2(t, func(t *testing.T) drivers.L2 {
		store := open(db)
		t.Cleanup(func() { store.Close() })
		return store
	}, everything, drivertest.Limits{LargestValue: 1 << 20, LargestBatch: 700})
	want := user{ID: 7, Name: "Ada"}
	got, err := use(t.Context(), want)
	if err != nil || got.ID != want.ID || got.Name != want.Name {
		t.Errorf("the program's own row: %+v, %v", got, err)
	}
}

func TestSQLite(t *testing.T) {
	for name, library := range libraries {
		t.Run(name, func(t *testing.T) {
			address := "file:" + filepath.Join(t.TempDir(), "app.db")
			// Each of the two drivers of SQLite ignores what the other understands.
			db, use := library.sqlite(t, address+"?_pragma=journal_mode(wal)&_pragma=synchronous(off)&_pragma=busy_timeout(5000)"+
				"&_journal_mode=WAL&_synchronous=OFF&_busy_timeout=5000")
			check(t, db, use, func(db *sql.DB) drivers.L2 { return sqlite.New(db, sqlite.Options{}) })
		})
	}
}

func TestPostgres(t *testing.T) {
	server := servers.Postgres(t, "-c", "deadlock_timeout=20ms")
	for name, library := range libraries {
		t.Run(name, func(t *testing.T) {
			db, use := library.postgres(t, server.URL())
			if _, err := db.ExecContext(t.Context(), "DROP TABLE IF EXISTS users"); err != nil {
				t.Fatal(err)
			}
			check(t, db, use, func(db *sql.DB) drivers.L2 { return postgres.New(db, postgres.Options{}) })
		})
	}
}
