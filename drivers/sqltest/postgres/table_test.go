package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
	"github.com/cachegen/cachegen/drivers/internal/sqltable/tabletest"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/drivers/sqltest/sent"
)

func TestTable(t *testing.T) {
	s := running.Of(t)
	at := func(url string) func(*testing.T) *sql.DB { return func(t *testing.T) *sql.DB { return openDB(t, url) } }
	tabletest.Run(t, tabletest.Backend{
		Name: "postgres",
		New: func(db *sql.DB, o sqltable.Options) tabletest.Store {
			return postgres.New(db, postgres.Options{Table: o.Table, SkipCreate: o.SkipCreate, PruneEvery: o.PruneEvery, OnPrune: o.OnPrune})
		},
		Schema: postgres.Schema,
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
				basetest.Execute(t, openDB(t, s.URL()), "CREATE ROLE app LOGIN PASSWORD 'app'", "REVOKE CREATE ON SCHEMA public FROM public",
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

// None may read the whole table: they run while others wait.
func TestIndexesAreUsed(t *testing.T) {
	db, statements := sent.Open(t, "pgx", running.Of(t).URL()+"&enable_seqscan=off") // a small table needs no index
	d := openStore(t, db, postgres.Options{Table: "indexes"})
	if _, err := d.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Scan(t.Context(), "a", func([]string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := d.LeaseMany(t.Context(), []string{"a"}, drivers.LeaseRequest{Token: "t", TTL: time.Minute}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query, want string
		args        []any
	}{
		{statements.With(t, "WITH held"), "Index Cond: (name = ", []any{[]byte("a"), []byte("t"), 1, []byte("a"), nil}},
		{statements.With(t, "SELECT name, expires"), "Index Cond: (expires <= ", nil},
		{statements.With(t, "SELECT name", "ORDER BY name"), "Index Cond: ((name >= ", []any{[]byte("a"), []byte("b")}},
	} {
		var plan []string
		rows, err := db.Query("EXPLAIN "+c.query, c.args...)
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
		if !strings.Contains(strings.Join(plan, "\n"), c.want) {
			t.Errorf("%s:\n%s", c.query, strings.Join(plan, "\n"))
		}
	}
}

// Processes that wait for a load ask again and again. They would wait for each other's locks, and
// fill the table with versions of one row.
func TestWhoWaitsForALeaseWritesNothing(t *testing.T) {
	db := openDB(t, running.Of(t).URL())
	d := openStore(t, db, postgres.Options{Table: "waiting"})
	ctx := t.Context()
	if err := d.SetMany(ctx, []drivers.Item{{Key: "value"}}); err != nil {
		t.Fatal(err)
	}
	ask := func(want drivers.LeaseRequest) {
		t.Helper()
		want.TTL = time.Hour
		if _, err := d.LeaseMany(ctx, []string{"lent", "value"}, want); err != nil {
			t.Fatal(err)
		}
	}
	ask(drivers.LeaseRequest{Token: "holder", IfAbsent: true})
	ask(drivers.LeaseRequest{Token: "first to wait", IfAbsent: true, Await: true})
	versions := func() (text string) {
		t.Helper()
		// xmax changes with a lock, too.
		err := db.QueryRow("SELECT string_agg(concat(name, ':', ctid, xmin, '/', xmax), ' ' ORDER BY name) FROM waiting").Scan(&text)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := versions()
	ask(drivers.LeaseRequest{Token: "waits", IfAbsent: true, Await: true})
	ask(drivers.LeaseRequest{Token: "asks", IfAbsent: true})
	if after := versions(); after != before {
		t.Errorf("rows were %s and are %s", before, after)
	}
}

func TestStatementsArePreparedOnce(t *testing.T) {
	db := openDB(t, running.Of(t).URL())
	db.SetMaxOpenConns(1) // statements belong to connections
	d := openStore(t, db, postgres.Options{Table: "prepared"})
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

// Kind: a connection that was cut counts as an outage. The server ends all connections of
// the pool, as it does when it restarts behind a proxy, and says that it has not executed
// the statement: the next connection executes it.
func TestTerminatedConnectionsAreReplaced(t *testing.T) {
	s := running.Of(t)
	for name, operation := range map[string]func(*postgres.Driver) error{
		"get":    func(d *postgres.Driver) error { _, err := d.GetMany(t.Context(), []string{"a"}); return err },
		"set":    func(d *postgres.Driver) error { return d.SetMany(t.Context(), []drivers.Item{{Key: "a"}}) },
		"delete": func(d *postgres.Driver) error { return d.DeleteMany(t.Context(), []string{"a"}) },
		"add": func(d *postgres.Driver) error {
			_, err := d.AddMany(t.Context(), []drivers.Item{{Key: "a"}})
			return err
		},
		"swap": func(d *postgres.Driver) error {
			_, err := d.SwapMany(t.Context(), []drivers.Swap{{Key: "a"}})
			return err
		},
	} {
		db, err := sql.Open("pgx", s.URL()+"&application_name=terminated")
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxIdleConns(8)
		d := openStore(t, db, postgres.Options{Table: "terminated"})
		var open []*sql.Conn
		for range 8 {
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
		}
		for _, c := range open {
			c.Close()
		}
		if err := operation(d); err != nil {
			t.Fatal(err)
		}
		admin := openDB(t, s.URL())
		basetest.Execute(t, admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'terminated'")
		if err := operation(d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		db.Close()
	}
}
