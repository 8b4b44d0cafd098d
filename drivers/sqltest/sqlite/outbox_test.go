package sqlite_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/internal/sqloutbox"
	"github.com/cachegen/cachegen/drivers/internal/sqloutbox/outboxtest"
	"github.com/cachegen/cachegen/drivers/sqlite"
	"github.com/cachegen/cachegen/drivers/sqltest/sent"
)

func TestOutboxConformance(t *testing.T) {
	for name, pragmas := range map[string]string{
		"RollbackJournal":       "_pragma=synchronous(off)&_pragma=busy_timeout(5000)",
		"WALWithoutBusyTimeout": "_pragma=journal_mode(wal)&_pragma=synchronous(off)",
		"WAL":                   "_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_pragma=busy_timeout(5000)",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.db")
			// The program's own transactions wait for each other.
			program := openFile(t, path, pragmas+"&_txlock=immediate&_pragma=busy_timeout(5000)")
			drivertest.Outbox(t, drivertest.OutboxDatabase{
				Open: func(t *testing.T) drivers.Outbox {
					return basetest.Usable(t, sqlite.NewOutbox(openFile(t, path, pragmas), sqlite.OutboxOptions{}))
				},
				Begin:     func(t *testing.T) drivertest.OutboxTransaction { return outboxtest.Begin(t, program) },
				OneWriter: true,
			})
		})
	}
}

func TestOutboxTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	outboxtest.Run(t, outboxtest.Backend{
		Name: "sqlite",
		New: func(db *sql.DB, o sqloutbox.Options) outboxtest.Outbox {
			return sqlite.NewOutbox(db, sqlite.OutboxOptions{Table: o.Table, SkipCreate: o.SkipCreate, BusyTimeout: o.BusyTimeout})
		},
		Schema: sqlite.OutboxSchema,
		Open: func(t *testing.T) *sql.DB {
			return openFile(t, path, "_pragma=synchronous(off)&_pragma=journal_mode(wal)&_pragma=busy_timeout(5000)")
		},
	})
}

// A process looks for entries all the time: that must neither read the whole table nor sort it.
func TestTheOutboxUsesItsIndex(t *testing.T) {
	db, statements := sent.Open(t, "sqlite", "file:"+filepath.Join(t.TempDir(), "app.db"))
	o := basetest.Usable(t, sqlite.NewOutbox(db, sqlite.OutboxOptions{}))
	request := drivers.OutboxRequest{Stores: []string{"store"}, Max: 1, Hold: 1}
	if _, err := o.Take(context.Background(), request); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query("EXPLAIN QUERY PLAN " + statements.With(t, "SELECT id", "ORDER BY due"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan string
	for rows.Next() {
		var a, b, c int
		var detail string
		if err := rows.Scan(&a, &b, &c, &detail); err != nil {
			t.Fatal(err)
		}
		plan += detail + "\n"
	}
	if !strings.Contains(plan, "cachegen_outbox_due (store=? AND due<?)") || strings.Contains(plan, "B-TREE") {
		t.Error(plan)
	}
}

// Rows that nobody can have appended do not exist: they would stop everybody.
func TestTheTableTakesNoOtherIDs(t *testing.T) {
	db := openNew(t, "")
	for _, statement := range sqlite.OutboxSchema("") {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec("INSERT INTO cachegen_outbox VALUES (x'00', x'61', x'62', 0, 0, 0)"); err == nil {
		t.Error("accepted")
	}
}
