// Package transaction_test runs transactions with caches in the libraries that package transaction is
// written for, on real databases.
package transaction_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jmoiron/sqlx"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/mysqldialect"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"go.uber.org/goleak"
	gormmysql "gorm.io/driver/mysql"
	gormpostgres "gorm.io/driver/postgres"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	_ "github.com/go-sql-driver/mysql" // "mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // "pgx"
	_ "github.com/lib/pq"              // "postgres"
	_ "github.com/mattn/go-sqlite3"    // "sqlite3"
	_ "modernc.org/sqlite"             // "sqlite"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/sqltest/transaction/ent"
	"github.com/cachegen/cachegen/runtime/transaction"
)

var (
	runningPostgres = servers.Shared[*servers.PostgresServer]{
		Require: servers.RequirePostgres,
		Start:   func() (*servers.PostgresServer, error) { return servers.StartPostgres() },
	}
	runningMariaDB = servers.Shared[*servers.MariaDBServer]{
		Require: servers.RequireMariaDB,
		Start:   func() (*servers.MariaDBServer, error) { return servers.StartMariaDB() },
	}
)

func TestMain(m *testing.M) {
	// GORM has a goroutine for the statements that it has prepared, and never ends it.
	prepared := goleak.IgnoreAnyFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1")
	goleak.VerifyTestMain(runningPostgres.Around(runningMariaDB.Around(m)), prepared)
}

// A database is where a test has its table.
type database struct {
	kind       string // postgres, mysql, sqlite
	server     string // its host and port; empty without one
	at         func(server string) string
	admin      *sql.DB // connections of their own
	deferrable bool    // a constraint can be checked by the commit
}

// postgresDatabase, mariaDatabase and sqliteDatabase have a table of numbers of which one is 1.
func postgresDatabase(t *testing.T, _ string) *database {
	s := runningPostgres.Of(t)
	d := &database{kind: "postgres", server: s.Addr(), deferrable: true}
	d.at = func(server string) string { return strings.Replace(s.URL(), s.Addr(), server, 1) }
	d.open(t, "pgx", d.at(s.Addr()))
	return d
}

func mariaDatabase(t *testing.T, _ string) *database {
	s := runningMariaDB.Of(t)
	d := &database{kind: "mysql", server: s.Addr()}
	d.at = func(server string) string { return strings.Replace(s.DSN(), s.Addr(), server, 1) }
	d.open(t, "mysql", d.at(s.Addr()))
	return d
}

func sqliteDatabase(t *testing.T, client string) *database {
	path := filepath.Join(t.TempDir(), "numbers.db")
	address := "file:" + path + "?_pragma=journal_mode(wal)&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_txlock=immediate"
	if client == "sqlite3" {
		address = "file:" + path + "?_journal_mode=wal&_busy_timeout=10000&_foreign_keys=1&_txlock=immediate"
	}
	d := &database{kind: "sqlite", deferrable: true, at: func(string) string { return address }}
	d.open(t, client, address)
	return d
}

func (d *database) open(t *testing.T, client, address string) {
	t.Helper()
	d.admin = opened(t, client, address)
	deferrable := ""
	if d.deferrable {
		deferrable = " DEFERRABLE INITIALLY DEFERRED"
	}
	for _, statement := range []string{
		"DROP TABLE IF EXISTS numbers",
		"DROP TABLE IF EXISTS cachegen_outbox",
		"CREATE TABLE numbers (id BIGINT PRIMARY KEY, v BIGINT NOT NULL, parent BIGINT, FOREIGN KEY (parent) REFERENCES numbers (id)" + deferrable + ")",
		"INSERT INTO numbers (id, v) VALUES (1, 1), (2, 2)",
	} {
		if _, err := d.admin.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(statement, err)
		}
	}
}

func opened(t *testing.T, client, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open(client, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// read reads a number, on a connection of its own.
func (d *database) read(ctx context.Context, id int) (v int, err error) {
	return v, d.admin.QueryRowContext(ctx, fmt.Sprint("SELECT v FROM numbers WHERE id = ", id)).Scan(&v)
}

// A tx is a transaction of a library.
type tx struct {
	exec  func(ctx context.Context, statement string) error
	query func(ctx context.Context, statement string) (int, error)
	// inside runs a part of the transaction; nil where the library has no savepoints.
	inside runner
}

func (x tx) write(ctx context.Context, id, v int) error {
	return x.exec(ctx, fmt.Sprintf("UPDATE numbers SET v = %d WHERE id = %d", v, id))
}

func (x tx) read(ctx context.Context, id int) (int, error) {
	return x.query(ctx, fmt.Sprint("SELECT v FROM numbers WHERE id = ", id))
}

// A runner runs a transaction.
type runner func(ctx context.Context, body func(context.Context, tx) error) error

// A library opens a runner at an address of a database.
type library struct {
	client   string // of database/sql, for SQLite
	database func(t *testing.T, client string) *database
	open     func(t *testing.T, address string) runner
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// standard is a tx of what is called like that of database/sql.
func standard(x execer) tx {
	return tx{
		exec:  func(ctx context.Context, s string) error { _, err := x.ExecContext(ctx, s); return err },
		query: func(ctx context.Context, s string) (v int, err error) { return v, x.QueryRowContext(ctx, s).Scan(&v) },
	}
}

func openSQL(client string, opts *sql.TxOptions) func(*testing.T, string) runner {
	return func(t *testing.T, address string) runner {
		db := opened(t, client, address)
		return func(ctx context.Context, body func(context.Context, tx) error) error {
			return transaction.SQL(ctx, db, opts, func(ctx context.Context, x *sql.Tx) error { return body(ctx, standard(x)) })
		}
	}
}

func openSQLX(client string) func(*testing.T, string) runner {
	return func(t *testing.T, address string) runner {
		db := sqlx.NewDb(opened(t, client, address), client)
		return func(ctx context.Context, body func(context.Context, tx) error) error {
			return transaction.SQLX(ctx, db, nil, func(ctx context.Context, x *sqlx.Tx) error {
				out := standard(x)
				out.query = func(ctx context.Context, s string) (v int, err error) { return v, x.GetContext(ctx, &v, s) }
				return body(ctx, out)
			})
		}
	}
}

func openEnt(client, name string) func(*testing.T, string) runner {
	return func(t *testing.T, address string) runner {
		c := ent.NewClient(ent.Driver(entsql.OpenDB(name, opened(t, client, address))))
		return func(ctx context.Context, body func(context.Context, tx) error) error {
			return transaction.Ent(ctx, c, nil, func(ctx context.Context, x *ent.Tx) error {
				return body(ctx, tx{
					exec: func(ctx context.Context, s string) error { _, err := x.ExecContext(ctx, s); return err },
					query: func(ctx context.Context, s string) (v int, err error) {
						rows, err := x.QueryContext(ctx, s)
						if err != nil {
							return 0, err
						}
						defer rows.Close()
						rows.Next()
						return v, rows.Scan(&v)
					},
				})
			})
		}
	}
}

// openEntDriver uses what ent's generated clients are built on: a client passes BeginTx on to it.
func openEntDriver(client, name string) func(*testing.T, string) runner {
	return func(t *testing.T, address string) runner {
		driver := entsql.OpenDB(name, opened(t, client, address))
		return func(ctx context.Context, body func(context.Context, tx) error) error {
			return transaction.Ent(ctx, driver, nil, func(ctx context.Context, x dialect.Tx) error {
				return body(ctx, tx{
					exec: func(ctx context.Context, s string) error { return x.Exec(ctx, s, []any{}, nil) },
					query: func(ctx context.Context, s string) (v int, err error) {
						var rows entsql.Rows
						if err := x.Query(ctx, s, []any{}, &rows); err != nil {
							return 0, err
						}
						defer rows.Close()
						rows.Next()
						return v, rows.Scan(&v)
					},
				})
			})
		}
	}
}

func openGORM(dialector func(string) gorm.Dialector) func(*testing.T, string) runner {
	return func(t *testing.T, address string) runner {
		db, err := gorm.Open(dialector(address), &gorm.Config{Logger: logger.Discard})
		if err != nil {
			t.Fatal(err)
		}
		standard, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { standard.Close() })
		return runGORM(db)
	}
}

func runGORM(db *gorm.DB) runner {
	return func(ctx context.Context, body func(context.Context, tx) error) error {
		return transaction.GORM(ctx, db, func(ctx context.Context, x *gorm.DB) error {
			return body(ctx, tx{
				exec:   func(ctx context.Context, s string) error { return x.WithContext(ctx).Exec(s).Error },
				query:  func(ctx context.Context, s string) (v int, err error) { return v, x.Raw(s).Scan(&v).Error }, // which has the context already
				inside: runGORM(x),
			})
		})
	}
}

// A bunDB is a *bun.DB or a bun.Tx.
type bunDB interface {
	RunInTx(context.Context, *sql.TxOptions, func(context.Context, bun.Tx) error) error
}

func runBun(db bunDB) runner {
	return func(ctx context.Context, body func(context.Context, tx) error) error {
		return transaction.Bun(ctx, db, nil, func(ctx context.Context, x bun.Tx) error {
			out := standard(x)
			out.inside = runBun(x)
			return body(ctx, out)
		})
	}
}

// A pgxDB is a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx.
type pgxDB interface {
	Begin(context.Context) (pgx.Tx, error)
}

func runPGX(db pgxDB) runner {
	return func(ctx context.Context, body func(context.Context, tx) error) error {
		return transaction.PGX(ctx, db, func(ctx context.Context, x pgx.Tx) error { return body(ctx, pgxTx(x)) })
	}
}

func pgxTx(x pgx.Tx) tx {
	return tx{
		exec:   func(ctx context.Context, s string) error { _, err := x.Exec(ctx, s); return err },
		query:  func(ctx context.Context, s string) (v int, err error) { return v, x.QueryRow(ctx, s).Scan(&v) },
		inside: runPGX(x),
	}
}

func openPool(t *testing.T, address string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

var libraries = map[string]library{
	"SQL pgx":     {"", postgresDatabase, openSQL("pgx", nil)},
	"SQL pq":      {"", postgresDatabase, openSQL("postgres", nil)},
	"SQL MariaDB": {"", mariaDatabase, openSQL("mysql", nil)},
	"SQL SQLite":  {"sqlite", sqliteDatabase, openSQL("sqlite", nil)},
	"SQL SQLite3": {"sqlite3", sqliteDatabase, openSQL("sqlite3", nil)},
	"sqlx pq":     {"", postgresDatabase, openSQLX("postgres")},
	"sqlx MySQL":  {"", mariaDatabase, openSQLX("mysql")},
	"sqlx SQLite": {"sqlite", sqliteDatabase, openSQLX("sqlite")},
	"pgx pool":    {"", postgresDatabase, func(t *testing.T, address string) runner { return runPGX(openPool(t, address)) }},
	"pgx with options": {"", postgresDatabase, func(t *testing.T, address string) runner {
		pool := openPool(t, address)
		return func(ctx context.Context, body func(context.Context, tx) error) error {
			return transaction.PGXWith(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(ctx context.Context, x pgx.Tx) error {
				return body(ctx, pgxTx(x))
			})
		}
	}},
	"pgx connection": {"", postgresDatabase, func(t *testing.T, address string) runner {
		return func(ctx context.Context, body func(context.Context, tx) error) error {
			conn, err := pgx.Connect(ctx, address)
			if err != nil {
				return err
			}
			defer conn.Close(context.Background())
			return runPGX(conn)(ctx, body)
		}
	}},
	"GORM Postgres": {"", postgresDatabase, openGORM(gormpostgres.Open)},
	"GORM MySQL":    {"", mariaDatabase, openGORM(gormmysql.Open)},
	"GORM SQLite":   {"sqlite3", sqliteDatabase, openGORM(gormsqlite.Open)},
	"Bun Postgres": {"", postgresDatabase, func(t *testing.T, address string) runner {
		return runBun(bun.NewDB(opened(t, "pgx", address), pgdialect.New()))
	}},
	"Bun MySQL": {"", mariaDatabase, func(t *testing.T, address string) runner {
		return runBun(bun.NewDB(opened(t, "mysql", address), mysqldialect.New()))
	}},
	"Bun SQLite": {"sqlite", sqliteDatabase, func(t *testing.T, address string) runner {
		return runBun(bun.NewDB(opened(t, "sqlite", address), sqlitedialect.New()))
	}},
	"ent driver":   {"", postgresDatabase, openEntDriver("pgx", dialect.Postgres)},
	"ent Postgres": {"", postgresDatabase, openEnt("pgx", dialect.Postgres)},
	"ent MySQL":    {"", mariaDatabase, openEnt("mysql", dialect.MySQL)},
	"ent SQLite":   {"sqlite3", sqliteDatabase, openEnt("sqlite3", dialect.SQLite)},
}

func inEveryLibrary(t *testing.T, f func(t *testing.T, d *database, open func(server string) runner)) {
	for name, l := range libraries {
		t.Run(name, func(t *testing.T) {
			d := l.database(t, l.client)
			f(t, d, func(server string) runner { return l.open(t, d.at(server)) })
		})
	}
}
