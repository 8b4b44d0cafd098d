package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
	"github.com/cachegen/cachegen/drivers/internal/sqltable/tabletest"
)

func TestTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	tabletest.Run(t, tabletest.Backend{
		Name: "sqlite",
		New: func(db *sql.DB, o sqltable.Options) tabletest.Store {
			return New(db, Options{Table: o.Table, SkipCreate: o.SkipCreate, BusyTimeout: o.BusyTimeout, PruneEvery: o.PruneEvery, OnPrune: o.OnPrune})
		},
		Schema: Schema,
		Open: func(t *testing.T) *sql.DB {
			return openFile(t, path, "_pragma=synchronous(off)&_pragma=journal_mode(wal)")
		},
	})
}

// Neither may read the whole table: both run while others wait.
func TestIndexesAreUsed(t *testing.T) {
	db := openNew(t, "")
	d := openStore(t, db, Options{})
	if _, err := d.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	for query, index := range map[string]string{
		"SELECT name FROM cachegen WHERE 1 = 1 AND expires <= " + dialect.Now + " AND lease_until <= " + dialect.Now + " LIMIT 512": "cachegen_expires (expires<?)",
		"SELECT name FROM cachegen WHERE 1 = 1 AND name >= ? AND name < ? ORDER BY name LIMIT 512":                                  "autoindex_cachegen_1 (name>? AND name<?)",
	} {
		var id, parent, unused int
		var plan string
		if err := db.QueryRow("EXPLAIN QUERY PLAN "+query, "a", "b").Scan(&id, &parent, &unused, &plan); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, index) {
			t.Errorf("%s: %s", query, plan)
		}
	}
}

// A database that may not grow is a full disk.
func TestFullDisk(t *testing.T) {
	db := openNew(t, "_pragma=page_size(4096)&_pragma=max_page_count(100)")
	d := openStore(t, db, Options{})
	old := []drivers.Item{{Key: "a", Value: []byte("old")}, {Key: "b", Value: []byte("old")}}
	if err := d.SetMany(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 1<<20)
	err := d.SetMany(t.Context(), []drivers.Item{{Key: "a", Value: []byte("new")}, {Key: "b", Value: large}, {Key: "c", Value: []byte("new")}})
	if err == nil || !strings.HasPrefix(err.Error(), `sqlite: set 3 keys in table "cachegen": `) || !strings.Contains(err.Error(), "full") {
		t.Errorf("error %v", err)
	}
	if errors.Is(err, drivers.ErrRefused) {
		t.Error("a full disk is called a bad request")
	}
	// One group of items is stored as a whole or not at all.
	got, err := d.GetMany(t.Context(), []string{"a", "b", "c"})
	if err != nil || string(got[0]) != "old" || string(got[1]) != "old" || got[2] != nil {
		t.Errorf("after it: %.20q, %v", got, err)
	}
	if err := d.SetMany(t.Context(), []drivers.Item{{Key: "a", Value: []byte("new")}}); err != nil {
		t.Errorf("what fits is not stored any more: %v", err)
	}
}

func TestReadOnlyDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	writer := openStore(t, openFile(t, path, ""), Options{})
	if err := writer.SetMany(t.Context(), []drivers.Item{{Key: "a", Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	reader := openStore(t, openFile(t, path, "mode=ro"), Options{})
	got, err := reader.GetMany(t.Context(), []string{"a"})
	if err != nil || string(got[0]) != "x" {
		t.Errorf("reading: %q, %v", got, err)
	}
	err = reader.DeleteMany(t.Context(), []string{"a"})
	if err == nil || !strings.HasPrefix(err.Error(), `sqlite: delete 1 key in table "cachegen": `) || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("writing: %v", err)
	}
}

func TestATooLargeValueIsRefused(t *testing.T) {
	for text, want := range map[string]bool{"string or blob too big (18)": true, "disk I/O error": false} {
		if got := tooLarge(fmt.Errorf("step: %w", errors.New(text))); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
