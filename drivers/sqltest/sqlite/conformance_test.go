package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openFile opens a database file with pragmas such as "_pragma=journal_mode(wal)".
func openFile(t testing.TB, path, pragmas string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?"+pragmas)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func openNew(t testing.TB, pragmas string) *sql.DB {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "cache.db"), pragmas)
}

func openStore(t testing.TB, db *sql.DB, options sqlite.Options) *sqlite.Driver {
	t.Helper()
	return basetest.Usable(t, sqlite.New(db, options))
}

const everything = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans |
	drivertest.DeletesPrefixes | drivertest.Prunes

func TestConformance(t *testing.T) {
	// The largest values are stored once, not in each way to use a file.
	small := drivertest.Limits{LargestValue: 1 << 20}
	for name, open := range map[string]func(t *testing.T) *sql.DB{
		"RollbackJournal": func(t *testing.T) *sql.DB {
			return openNew(t, "_pragma=synchronous(off)&_pragma=busy_timeout(5000)")
		},
		// Nobody waits inside SQLite here: all patience is the driver's.
		"WALWithoutBusyTimeout": func(t *testing.T) *sql.DB {
			return openNew(t, "_pragma=journal_mode(wal)&_pragma=synchronous(off)")
		},
		"WAL": func(t *testing.T) *sql.DB {
			return openNew(t, "_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_pragma=busy_timeout(5000)")
		},
		"Memory": func(t *testing.T) *sql.DB {
			db, err := sql.Open("sqlite", ":memory:")
			if err != nil {
				t.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			t.Cleanup(func() { db.Close() })
			return db
		},
	} {
		t.Run(name, func(t *testing.T) {
			limits := small
			if name == "RollbackJournal" { // a write-ahead log would write them twice
				limits = drivertest.Limits{}
			}
			drivertest.L2(t, func(t *testing.T) drivers.L2 { return openStore(t, open(t), sqlite.Options{}) }, everything, limits)
		})
	}
}

// A writer that never ends is to SQLite what a silent server is to others.
func TestFaults(t *testing.T) {
	for name, pragmas := range map[string]string{
		"DriverWaits": "_pragma=synchronous(off)",
		"SQLiteWaits": "_pragma=synchronous(off)&_pragma=busy_timeout(2000)",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cache.db")
			intruder, err := openFile(t, path, "").Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer intruder.Close()
			run := func(statement string) func() {
				return func() {
					if _, err := intruder.ExecContext(context.Background(), statement); err != nil {
						t.Error(err)
					}
				}
			}
			drivertest.L2Faults(t, func(t *testing.T) drivers.L2 {
				return openStore(t, openFile(t, path, pragmas), sqlite.Options{})
			}, drivertest.Faults{Pause: run("BEGIN EXCLUSIVE"), Resume: run("ROLLBACK")})
		})
	}
}

func TestABusyDatabaseIsGivenUpAfterBusyTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	intruder, err := openFile(t, path, "").Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer intruder.Close()
	if _, err := intruder.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	d := openStore(t, openFile(t, path, ""), sqlite.Options{BusyTimeout: 20 * time.Millisecond})
	err = d.SetMany(t.Context(), []drivers.Item{{Key: "a"}})
	if err == nil || !strings.HasPrefix(err.Error(), `sqlite: set 1 key in table "cachegen": `) || !strings.Contains(err.Error(), "locked") {
		t.Errorf("error %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	db := openNew(t, "")
	for _, d := range []*sqlite.Driver{sqlite.New(db, sqlite.Options{Table: "SQLite_x"}), sqlite.New(db, sqlite.Options{BusyTimeout: -1})} {
		if d.Err() == nil {
			t.Error("accepted")
		}
		if _, err := d.GetMany(t.Context(), []string{"a"}); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("use of it: %v", err)
		}
	}
}
