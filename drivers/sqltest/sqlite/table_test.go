package sqlite_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
	"github.com/cachegen/cachegen/drivers/internal/sqltable/tabletest"
	"github.com/cachegen/cachegen/drivers/sqlite"
	"github.com/cachegen/cachegen/drivers/sqltest/sent"
)

func TestTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	tabletest.Run(t, tabletest.Backend{
		Name: "sqlite",
		New: func(db *sql.DB, o sqltable.Options) tabletest.Store {
			return sqlite.New(db, sqlite.Options{Table: o.Table, SkipCreate: o.SkipCreate, BusyTimeout: o.BusyTimeout, PruneEvery: o.PruneEvery, OnPrune: o.OnPrune})
		},
		Schema: sqlite.Schema,
		Open: func(t *testing.T) *sql.DB {
			return openFile(t, path, "_pragma=synchronous(off)&_pragma=journal_mode(wal)")
		},
		ReadOnly: map[string]tabletest.Trouble{
			"File": {Open: func(t *testing.T) *sql.DB { return openFile(t, path, "mode=ro") }, Reason: "readonly"},
		},
		// A database that may not grow is a full disk.
		Full: tabletest.Full{
			Trouble: tabletest.Trouble{
				Open:   func(t *testing.T) *sql.DB { return openNew(t, "_pragma=page_size(4096)&_pragma=max_page_count(100)") },
				Reason: "full",
			},
			Size: 1 << 20,
		},
	})
}

// Neither may read the whole table: both run while others wait.
func TestIndexesAreUsed(t *testing.T) {
	db, statements := sent.Open(t, "sqlite", "file:"+filepath.Join(t.TempDir(), "cache.db"))
	d := openStore(t, db, sqlite.Options{})
	if _, err := d.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Scan(t.Context(), "a", func([]string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query, index string
		args         []any
	}{
		{statements.With(t, "SELECT name, expires"), "cachegen_expires (expires<?)", nil},
		{statements.With(t, "SELECT name", "ORDER BY name"), "autoindex_cachegen_1 (name>? AND name<?)", []any{"a", "b"}},
	} {
		var id, parent, unused int
		var plan string
		if err := db.QueryRow("EXPLAIN QUERY PLAN "+c.query, c.args...).Scan(&id, &parent, &unused, &plan); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, c.index) {
			t.Errorf("%s: %s", c.query, plan)
		}
	}
}

func TestAFileThatIsNoDatabaseIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	foreign := []byte(strings.Repeat("mine ", 1000))
	if err := os.WriteFile(path, foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	d := openStore(t, openFile(t, path, ""), sqlite.Options{})
	_, get := d.GetMany(t.Context(), []string{"a"})
	for operation, err := range map[string]error{"get 1 key": get, "set 1 key": d.SetMany(t.Context(), []drivers.Item{{Key: "a"}})} {
		want := "sqlite: " + operation + ` in table "cachegen": `
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "not a database") {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, foreign) {
		t.Errorf("the file has %.20q, %v", got, err)
	}
}

// One that finds the database locked by who makes the table just then must not take
// the table, which it does not see yet, for another, nor be content without its index.
func TestManyProcessesMakeManyTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	var all []*sql.DB
	for range 6 {
		all = append(all, openFile(t, path, "_pragma=synchronous(off)&_pragma=journal_mode(wal)"))
	}
	for round := range 40 {
		var making sync.WaitGroup
		for _, db := range all {
			d := openStore(t, db, sqlite.Options{Table: fmt.Sprint("t", round)})
			making.Go(func() {
				if err := d.SetMany(t.Context(), []drivers.Item{{Key: "a"}}); err != nil {
					t.Error(err)
				}
			})
		}
		making.Wait()
		var n int
		if err := all[0].QueryRow("SELECT count(*) FROM sqlite_master WHERE name = ?", fmt.Sprintf("t%d_expires", round)).Scan(&n); err != nil || n != 1 {
			t.Errorf("round %d: %d indexes, %v", round, n, err)
		}
	}
}

// A process that ends in the middle of making the table must not leave one without its
// index: the next would be content with it.
func TestATableIsMadeWithItsIndexOrNotAtAll(t *testing.T) {
	db := openNew(t, "")
	if _, err := db.Exec(`CREATE TABLE half_expires (x)`); err != nil { // the name of the index
		t.Fatal(err)
	}
	s := sqlite.New(db, sqlite.Options{Table: "half"})
	defer s.Close()
	if _, err := s.GetMany(t.Context(), []string{"a"}); err == nil {
		t.Error("no error")
	}
	var tables int
	if err := db.QueryRow(`SELECT count(*) FROM sqlite_master WHERE name = 'half'`).Scan(&tables); err != nil || tables != 0 {
		t.Errorf("%d tables, %v", tables, err)
	}
}
