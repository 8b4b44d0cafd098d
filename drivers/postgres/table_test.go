package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
	"github.com/cachegen/cachegen/drivers/internal/sqltable/tabletest"
)

func TestTable(t *testing.T) {
	s := running.Of(t)
	at := func(url string) func(*testing.T) *sql.DB { return func(t *testing.T) *sql.DB { return openDB(t, url) } }
	tabletest.Run(t, tabletest.Backend{
		Name: "postgres",
		New: func(db *sql.DB, o sqltable.Options) tabletest.Store {
			return New(db, Options{Table: o.Table, SkipCreate: o.SkipCreate, PruneEvery: o.PruneEvery, OnPrune: o.OnPrune})
		},
		Schema: Schema,
		Open:   at(s.URL()),
		ReadOnly: map[string]tabletest.Trouble{
			"Session": {Open: at(s.URL() + "&default_transaction_read_only=on"), Reason: "read-only transaction"},
			"Standby": {Open: func(t *testing.T) *sql.DB { return openDB(t, s.Standby(t).URL()) }, Reason: "read-only transaction"},
		},
		Users: &tabletest.Users{
			Wrong: tabletest.Trouble{
				Open:   at(strings.Replace(s.URL(), "secret", tabletest.WrongPassword, 1)),
				Reason: "password authentication failed",
			},
			Of: func(t *testing.T, table string) *sql.DB {
				execute(t, openDB(t, s.URL()), "CREATE ROLE app LOGIN PASSWORD 'app'", "REVOKE CREATE ON SCHEMA public FROM public",
					"GRANT SELECT, INSERT, UPDATE, DELETE ON "+table+" TO app")
				return openDB(t, strings.Replace(s.URL(), "cachegen:secret", "app:app", 1))
			},
		},
		Full: tabletest.Full{
			Trouble: tabletest.Trouble{
				Open:   func(t *testing.T) *sql.DB { return openDB(t, servers.PostgresOnSmallDisk(t).URL()) },
				Reason: "could not extend file",
			},
			Size: servers.SmallDisk,
		},
		Spoil: map[string]string{
			"value is text":             "ALTER TABLE t_other ALTER value TYPE text USING 'x'",
			"name is character varying": "ALTER TABLE t_other ALTER name TYPE varchar(600) USING 'x'",
			"unique":                    "ALTER TABLE t_other DROP CONSTRAINT t_other_pkey",
		},
	})
}

func execute(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func TestTableNamesThatPostgresWouldCutAreRefused(t *testing.T) {
	db := openDB(t, "postgres://localhost:1/x")
	if err := New(db, Options{Table: strings.Repeat("t", 56)}).Err(); err == nil {
		t.Error("accepted 56 characters")
	}
	if err := New(db, Options{Table: strings.Repeat("t", 55)}).Err(); err != nil {
		t.Errorf("refused 55 characters: %v", err)
	}
}

func mustSay(t *testing.T, err error, want ...string) {
	t.Helper()
	for _, text := range want {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want one with %q", err, text)
		}
	}
}

func TestTooLargeIsRefusedBeforeItIsSent(t *testing.T) {
	small := dialect
	small.MaxItem = 1 << 20
	d := &Driver{sqltable.New(openDB(t, running.Of(t).URL()), &small, sqltable.Options{Table: "small"})}
	t.Cleanup(func() { d.Close() })
	ctx := t.Context()
	if err := d.SetMany(ctx, []drivers.Item{{Key: "a", Value: []byte("old")}}); err != nil {
		t.Fatal(err)
	}
	large := []drivers.Item{{Key: "b", Value: []byte("x")}, {Key: "a", Value: make([]byte, 1<<20)}}
	_, added := d.AddMany(ctx, large)
	_, filled := d.FillMany(ctx, large, "t")
	_, swapped := d.SwapMany(ctx, []drivers.Swap{{Key: "a", Old: []byte("old"), New: large[1].Value}})
	for name, err := range map[string]error{"set 2": d.SetMany(ctx, large), "add 2": added, "fill 2": filled, "swap 1": swapped} {
		if !errors.Is(err, drivers.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		mustSay(t, err, "postgres: "+name+" key", "bytes; at most 1047552 are allowed")
	}
	if got, err := d.GetMany(ctx, []string{"a", "b"}); err != nil || string(got[0]) != "old" || got[1] != nil {
		t.Errorf("after it: %.20q, %v", got, err)
	}
}

// Neither may read the whole table: both run while others wait.
func TestIndexesAreUsed(t *testing.T) {
	db := openDB(t, running.Of(t).URL()+"&enable_seqscan=off") // a small table needs no index
	d := openStore(t, db, Options{Table: "indexes"})
	if _, err := d.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"SELECT name FROM indexes WHERE 1 = 1 AND expires <= " + dialect.Now + " AND lease_until <= " + dialect.Now + " LIMIT 512": "Index Cond: (expires <= ",
		"SELECT name FROM indexes WHERE 1 = 1 AND name >= 'a' AND name < 'b' ORDER BY name LIMIT 512":                              "Index Cond: ((name >= ",
	} {
		var plan []string
		rows, err := db.Query("EXPLAIN " + query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, line)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(plan, "\n"), want) {
			t.Errorf("%s:\n%s", query, strings.Join(plan, "\n"))
		}
	}
}

func TestStatementsArePreparedOnce(t *testing.T) {
	db := openDB(t, running.Of(t).URL())
	db.SetMaxOpenConns(1) // statements belong to connections
	d := openStore(t, db, Options{Table: "prepared"})
	count := func() (n int) {
		if err := db.QueryRow("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT name, rest, value FROM %'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	get := func(keys int) {
		names := make([]string, keys)
		for i := range names {
			names[i] = fmt.Sprint(i)
		}
		if _, err := d.GetMany(context.Background(), names); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		get(1)
	}
	if n := count(); n != 1 {
		t.Errorf("%d prepared statements after equal reads", n)
	}
	for keys := range 512 {
		get(keys + 1)
	}
	if n := count(); n != 10 {
		t.Errorf("%d prepared statements for batches of up to 512 keys", n)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 0 {
		t.Errorf("%d prepared statements after Close", n)
	}
}
