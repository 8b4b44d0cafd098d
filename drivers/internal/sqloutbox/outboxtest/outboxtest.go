// Package outboxtest tests what the outboxes on sqloutbox promise in addition to the contract of
// package drivers. The tests of each SQL driver call [Run] with their kind of database.
package outboxtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/internal/sqloutbox"
)

// An Outbox is a driver under test.
type Outbox interface {
	drivers.Outbox
	drivers.Checker
}

// A Backend is a kind of database with its driver.
type Backend struct {
	Name   string
	New    func(db *sql.DB, options sqloutbox.Options) Outbox
	Schema func(table string) []string
	// Open returns another pool of connections to the same database.
	Open func(t *testing.T) *sql.DB
	// Limited returns connections of a user who may read and change one table, but not create
	// tables; nil if the database has no users.
	Limited func(t *testing.T, table string) *sql.DB
}

// Run runs all tests. Their tables have names that begin with "o_".
func Run(t *testing.T, b Backend) {
	tests := map[string]func(*testing.T, Backend){
		"OptionsAreChecked":               optionsAreChecked,
		"ForeignTable":                    foreignTable,
		"SkipCreate":                      skipCreate,
		"FirstUseInATransaction":          firstUse,
		"FirstUseWithoutAConnection":      fullPool,
		"ManyProcessesMakeTheTable":       manyProcesses,
		"ClosedDatabase":                  closedDatabase,
		"OneConnectionIsEnough":           oneConnection,
		"AFailedTransactionLeavesNothing": failedTransaction,
	}
	if b.Limited != nil {
		tests["LimitedRights"] = limitedRights
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// Begin begins a transaction in db.
func Begin(t *testing.T, db *sql.DB) drivertest.OutboxTransaction {
	t.Helper()
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Rollback() })
	return drivertest.OutboxTransaction{Exec: Exec(tx), Commit: tx.Commit, Rollback: tx.Rollback}
}

// Database returns a database for the conformance tests. open returns another pool of connections to
// it, and outbox the outbox of a process that has such a pool.
func Database(t *testing.T, open func(t *testing.T) *sql.DB, outbox func(db *sql.DB) Outbox) drivertest.OutboxDatabase {
	program := open(t)
	return drivertest.OutboxDatabase{
		Open:  func(t *testing.T) drivers.Outbox { return basetest.Usable(t, outbox(open(t))) },
		Begin: func(t *testing.T) drivertest.OutboxTransaction { return Begin(t, program) },
	}
}

// Exec executes statements in a transaction.
func Exec(tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}) drivers.Exec {
	return func(ctx context.Context, statement string) error {
		_, err := tx.ExecContext(ctx, statement)
		return err
	}
}

func (b Backend) open(t *testing.T, db *sql.DB, options sqloutbox.Options) Outbox {
	t.Helper()
	return basetest.Usable(t, b.New(db, options))
}

func entry(payload string) []drivers.OutboxEntry {
	e := drivers.OutboxEntry{Store: "store", Payload: []byte(payload)}
	rand.Read(e.ID[:])
	return []drivers.OutboxEntry{e}
}

func appendOne(t *testing.T, o drivers.Outbox, db *sql.DB, payload string) {
	t.Helper()
	tx := Begin(t, db)
	if err := o.Append(t.Context(), tx.Exec, entry(payload), 0); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, o drivers.Outbox) (payloads string, err error) {
	t.Helper()
	taken, err := o.Take(t.Context(), drivers.OutboxRequest{Stores: []string{"store"}, Max: 100, Hold: time.Hour})
	for _, e := range taken {
		payloads += string(e.Payload)
	}
	return payloads, err
}

func expect(t *testing.T, o drivers.Outbox, want string) {
	t.Helper()
	if got, err := take(t, o); got != want || err != nil {
		t.Errorf("took %q, want %q: %v", got, want, err)
	}
}

// mustSay checks that an error names the driver, the operation and the table, and contains each of
// reasons.
func (b Backend) mustSay(t *testing.T, err error, operation, table string, reasons ...string) {
	t.Helper()
	basetest.MustSay(t, err, b.Name, operation, table, reasons...)
}

func optionsAreChecked(t *testing.T, b Backend) {
	db := b.Open(t)
	bad := []Outbox{b.New(nil, sqloutbox.Options{}), b.New(db, sqloutbox.Options{BusyTimeout: -1})}
	for _, table := range []string{"a b", `a"; DROP TABLE b; --`, "a`b", "main.cache", "1st", "ä", strings.Repeat("x", 500)} {
		if b.Name == "sqlite" && len(table) == 500 {
			continue
		}
		bad = append(bad, b.New(db, sqloutbox.Options{Table: table}))
	}
	for i, o := range bad {
		if err := o.Err(); err == nil || !strings.HasPrefix(err.Error(), b.Name+": outbox: ") {
			t.Errorf("options %d: %v", i, err)
		}
		if _, err := take(t, o); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("options %d: %v", i, err)
		}
		o.Close()
	}
	for _, table := range []string{"o_names", "_o_Names2", "group", "where"} {
		o := b.open(t, db, sqloutbox.Options{Table: table})
		appendOne(t, o, db, table)
		expect(t, o, table)
	}
}

func foreignTable(t *testing.T, b Backend) {
	db := b.Open(t)
	basetest.Execute(t, db, "CREATE TABLE o_foreign (id INTEGER, value INTEGER)", "INSERT INTO o_foreign VALUES (1, 2)")
	o := b.open(t, db, sqloutbox.Options{Table: "o_foreign"})
	_, err := take(t, o)
	b.mustSay(t, err, "take", "o_foreign", "the table differs from OutboxSchema")
	if !errors.Is(err, drivers.ErrAnswered) {
		t.Error("it is not known that the server answers")
	}
	tx := Begin(t, db)
	b.mustSay(t, o.Append(t.Context(), tx.Exec, entry("x"), 0), "append 1 entry", "o_foreign")
	b.mustSay(t, o.Remove(t.Context(), make([]drivers.OutboxID, 2)), "remove 2 entries", "o_foreign")
}

func skipCreate(t *testing.T, b Backend) {
	db := b.Open(t)
	o := b.open(t, db, sqloutbox.Options{Table: "o_skip", SkipCreate: true})
	_, err := take(t, o)
	b.mustSay(t, err, "take", "o_skip")
	tx := Begin(t, db)
	b.mustSay(t, o.Append(t.Context(), tx.Exec, entry("x"), 0), "append 1 entry", "o_skip")
	tx.Rollback()
	basetest.Execute(t, db, b.Schema("o_skip")...)
	basetest.Execute(t, db, b.Schema("o_skip")...) // harmless when repeated
	appendOne(t, o, db, "x")
	expect(t, o, "x")
}

// The first transaction of a program may be the first that anybody sees of the outbox. It has
// changed rows already, so that in a database with one writer nobody else can make the table.
func firstUse(t *testing.T, b Backend) {
	db := b.Open(t)
	basetest.Execute(t, db, "CREATE TABLE o_rows (id INTEGER)")
	for _, commit := range []bool{false, true} {
		o := b.open(t, db, sqloutbox.Options{Table: "o_first", BusyTimeout: 10 * time.Second})
		tx := Begin(t, db)
		if err := tx.Exec(t.Context(), "INSERT INTO o_rows VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		if err := o.Append(t.Context(), tx.Exec, entry("x"), 0); err != nil {
			t.Fatal(err)
		}
		if !commit {
			tx.Rollback()
			continue
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		expect(t, o, "x")
	}
}

// Transactions may have taken every connection of the pool when they write for the first time. In
// MySQL they then fail, and the table is there when they are tried again.
func fullPool(t *testing.T, b Backend) {
	db := b.Open(t)
	basetest.Execute(t, db, "CREATE TABLE o_full_rows (id INTEGER)")
	db.SetMaxOpenConns(2)
	o := b.open(t, db, sqloutbox.Options{Table: "o_full", BusyTimeout: 500 * time.Millisecond})
	one := Begin(t, db)
	var two drivertest.OutboxTransaction
	if b.Name != "sqlite" { // which has one writer
		two = Begin(t, db)
	}
	err := o.Append(t.Context(), one.Exec, entry("x"), 0)
	if b.Name == "mysql" {
		b.mustSay(t, err, "append 1 entry", "o_full")
	} else if err != nil {
		t.Error(err)
	}
	one.Commit()
	if two.Exec != nil {
		if err := o.Append(t.Context(), two.Exec, entry("y"), 0); err != nil {
			t.Error(err)
		}
		if err := two.Commit(); err != nil {
			t.Error(err)
		}
	}
	if got, err := take(t, o); err != nil || got == "" {
		t.Errorf("took %q, %v", got, err)
	}
}

// manyProcesses: several processes, each with its own pool, start on a database without the table.
func manyProcesses(t *testing.T, b Backend) {
	const processes = 6
	var running sync.WaitGroup
	start := make(chan struct{})
	for range processes {
		db := b.Open(t)
		o := b.open(t, db, sqloutbox.Options{Table: "o_many", BusyTimeout: time.Minute})
		running.Go(func() {
			<-start
			for range 5 {
				if _, err := take(t, o); err != nil {
					t.Error(err)
				}
			}
		})
	}
	close(start)
	running.Wait()
}

func closedDatabase(t *testing.T, b Backend) {
	for _, used := range []bool{false, true} {
		db := b.Open(t)
		o := b.open(t, db, sqloutbox.Options{Table: "o_closed"})
		if used {
			expect(t, o, "")
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := take(t, o)
		b.mustSay(t, err, "take", "o_closed", "closed")
		if !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("it is not known that it is for good: %v", err)
		}
	}
}

// A pool of one connection is enough: no call needs a second one while it has one.
func oneConnection(t *testing.T, b Backend) {
	db := b.Open(t)
	db.SetMaxOpenConns(1)
	o := b.open(t, db, sqloutbox.Options{Table: "o_one"})
	expect(t, o, "")
	for range 3 {
		appendOne(t, o, db, "x")
		taken, err := o.Take(t.Context(), drivers.OutboxRequest{Stores: []string{"store"}, Max: 1, Hold: time.Hour})
		if err != nil || len(taken) != 1 {
			t.Fatal(taken, err)
		}
		if err := o.Postpone(t.Context(), []drivers.OutboxID{taken[0].ID}, time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := o.Remove(t.Context(), []drivers.OutboxID{taken[0].ID}); err != nil {
			t.Fatal(err)
		}
	}
}

// What a transaction cannot write is the caller's to know, because it has to roll back.
func failedTransaction(t *testing.T, b Backend) {
	db := b.Open(t)
	o := b.open(t, db, sqloutbox.Options{Table: "o_failed"})
	expect(t, o, "")
	tx := Begin(t, db)
	twice := entry("x")
	err := o.Append(t.Context(), tx.Exec, append(twice, twice...), 0)
	b.mustSay(t, err, "append 2 entries", "o_failed")
	tx.Rollback()
	expect(t, o, "")
}

func limitedRights(t *testing.T, b Backend) {
	admin := b.Open(t)
	basetest.Execute(t, admin, b.Schema("o_limited")...)
	db := b.Limited(t, "o_limited")
	o := b.open(t, db, sqloutbox.Options{Table: "o_limited"})
	appendOne(t, o, db, "x")
	expect(t, o, "x")
	other := b.open(t, db, sqloutbox.Options{Table: "o_forbidden"})
	_, err := take(t, other)
	b.mustSay(t, err, "take", "o_forbidden", "create the table (or execute the statements of OutboxSchema and set SkipCreate)")
}
