package mysql_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
	"github.com/cachegen/cachegen/drivers/internal/sqltable/tabletest"
	"github.com/cachegen/cachegen/drivers/mysql"
	"github.com/cachegen/cachegen/drivers/sqltest/sent"
)

func TestTable(t *testing.T) {
	s := running.Of(t)
	at := func(dsn string) func(*testing.T) *sql.DB { return func(t *testing.T) *sql.DB { return openDB(t, dsn) } }
	tabletest.Run(t, tabletest.Backend{
		Name: "mysql",
		New: func(db *sql.DB, o sqltable.Options) tabletest.Store {
			return mysql.New(db, mysql.Options{Table: o.Table, SkipCreate: o.SkipCreate, PruneEvery: o.PruneEvery, OnPrune: o.OnPrune})
		},
		Schema: mysql.Schema,
		Open:   at(s.DSN()),
		ReadOnly: map[string]tabletest.Trouble{
			"Session": {Open: at(s.DSN() + "?tx_read_only=1"), Reason: "READ ONLY transaction"},
			"Replica": {Open: func(t *testing.T) *sql.DB { return openReplica(t, s) }, Reason: "--read-only option"},
		},
		Users: &tabletest.Users{
			Wrong: tabletest.Trouble{
				Open: func(t *testing.T) *sql.DB {
					basetest.Execute(t, openDB(t, s.DSN()), "CREATE USER secretive@'%' IDENTIFIED BY 'secret'")
					return openDB(t, strings.Replace(s.DSN(), "root", "secretive:"+tabletest.WrongPassword, 1))
				},
				Reason: "Access denied for user 'secretive'",
			},
			Of: func(t *testing.T, table string) *sql.DB {
				basetest.Execute(t, openDB(t, s.DSN()), "CREATE USER app@'%' IDENTIFIED BY 'secret'",
					"GRANT SELECT, INSERT, UPDATE, DELETE ON cachegen."+table+" TO app@'%'")
				return openDB(t, strings.Replace(s.DSN(), "root", "app:secret", 1))
			},
		},
		Full: full(),
		Spoil: map[string]string{
			"name is varchar(544)": "ALTER TABLE t_other MODIFY name varchar(544)",
			"value is blob":        "ALTER TABLE t_other MODIFY value blob",
			"key":                  "ALTER TABLE t_other DROP PRIMARY KEY",
		},
	})
}

// full is a server that ends itself when the disk is full, as MariaDB 10.11 does.
func full() tabletest.Full {
	var s *servers.MariaDBServer
	return tabletest.Full{
		Trouble: tabletest.Trouble{Open: func(t *testing.T) *sql.DB {
			s = servers.MariaDBOnSmallDisk(t, "--max-allowed-packet=256M", "--innodb-flush-log-at-trx-commit=1", "--skip-stack-trace")
			return openDB(t, s.DSN())
		}},
		Size: servers.SmallDisk,
		Mend: func(t *testing.T) { s.Stop(); s.Restart(t) },
	}
}

// openReplica connects as a user does who has to respect that the server is a replica.
func openReplica(t *testing.T, s *servers.MariaDBServer) *sql.DB {
	db := openDB(t, s.DSN())
	basetest.Execute(t, db, "CREATE USER reader@'%' IDENTIFIED BY 'secret'", "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON cachegen.* TO reader@'%'",
		"SET GLOBAL read_only = 1")
	t.Cleanup(func() {
		if _, err := db.Exec("SET GLOBAL read_only = 0"); err != nil {
			t.Error(err)
		}
	})
	return openDB(t, strings.Replace(s.DSN(), "root", "reader:secret", 1))
}

func mustSay(t *testing.T, err error, want ...string) {
	t.Helper()
	for _, text := range want {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want one with %q", err, text)
		}
	}
}

// The server's limit is known before anything is sent, so a connection that a packet
// beyond it would break stays whole; and a batch beyond it is sent in parts.
func TestMaxAllowedPacket(t *testing.T) {
	s := running.Of(t)
	admin := openDB(t, s.DSN())
	basetest.Execute(t, admin, "SET GLOBAL max_allowed_packet = 1048576") // of connections made from now on
	t.Cleanup(func() {
		if _, err := admin.Exec("SET GLOBAL max_allowed_packet = 268435456"); err != nil {
			t.Error(err)
		}
	})
	for name, parameters := range map[string]string{"Prepared": "", "Interpolated": "?interpolateParams=true"} {
		t.Run(name, func(t *testing.T) {
			d := openStore(t, openDB(t, s.DSN()+parameters), mysql.Options{Table: "packets", Unprepared: name == "Interpolated"})
			ctx := t.Context()
			if err := d.SetMany(ctx, []drivers.Item{{Key: "a", Value: []byte("old")}}); err != nil {
				t.Fatal(err)
			}
			large := []drivers.Item{{Key: "b", Value: []byte("x")}, {Key: "a", Value: make([]byte, 64<<20)}}
			_, added := d.AddMany(ctx, large)
			_, filled := d.FillMany(ctx, large, "t")
			_, swapped := d.SwapMany(ctx, []drivers.Swap{{Key: "a", Old: []byte("old"), New: large[1].Value}})
			for name, err := range map[string]error{"set 2": d.SetMany(ctx, large), "add 2": added, "fill 2": filled, "swap 1": swapped} {
				if !errors.Is(err, drivers.ErrRefused) {
					t.Errorf("%s: %v", name, err)
				}
				mustSay(t, err, "mysql: "+name+" key", "max_allowed_packet is 1048576")
			}
			got, err := d.GetMany(ctx, []string{"a", "b"})
			if err != nil || string(got[0]) != "old" || got[1] != nil {
				t.Errorf("after it: %.20q, %v", got, err)
			}

			var batch []drivers.Item
			var keys []string
			for i := range 40 {
				keys = append(keys, strings.Repeat("k", i+1))
				batch = append(batch, drivers.Item{Key: keys[i], Value: []byte(strings.Repeat("'", 100<<10))})
			}
			if err := d.SetMany(ctx, batch); err != nil {
				t.Fatal(err)
			}
			values, err := d.GetMany(ctx, keys)
			if err != nil {
				t.Fatal(err)
			}
			for i, value := range values {
				if len(value) != 100<<10 {
					t.Errorf("value %d: %d bytes", i, len(value))
				}
			}
		})
	}
}

// The clock must not move with the session's time zone, nor with its summer time.
func TestTimeZonesDoNotMatter(t *testing.T) {
	dsn := running.Of(t).DSN()
	var first int64
	for _, zone := range []string{"%2B00:00", "-11:00", "%2B13:00"} {
		db := openDB(t, dsn+"?time_zone='"+zone+"'")
		d := openStore(t, db, mysql.Options{Table: "zones"})
		if err := d.SetMany(t.Context(), []drivers.Item{{Key: "a", TTL: time.Hour}}); err != nil {
			t.Fatal(err)
		}
		var expires int64 // an hour after what the clock said
		if err := db.QueryRow("SELECT expires FROM zones").Scan(&expires); err != nil {
			t.Fatal(err)
		}
		if first == 0 {
			first = expires
		}
		if expires < first || expires-first > 60_000 {
			t.Errorf("in zone %s an item expires at %d, before at %d", zone, expires, first)
		}
	}
}

// Processes that wait for a load ask again and again, which may not write.
func TestWhoWaitsForALeaseWritesNothing(t *testing.T) {
	db := openDB(t, running.Of(t).DSN())
	d := openStore(t, db, mysql.Options{Table: "waiting"})
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
	written := func() (n int) {
		t.Helper()
		var name string
		if err := db.QueryRow("SHOW GLOBAL STATUS LIKE 'Handler_update'").Scan(&name, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	ask(drivers.LeaseRequest{Token: "holder", IfAbsent: true})
	before := written()
	ask(drivers.LeaseRequest{Token: "first to wait", IfAbsent: true, Await: true})
	if after := written(); after != before+1 {
		t.Errorf("%d rows were written to note that a lease is awaited", after-before)
	}
	before = written()
	ask(drivers.LeaseRequest{Token: "waits", IfAbsent: true, Await: true})
	ask(drivers.LeaseRequest{Token: "asks", IfAbsent: true})
	if after := written(); after != before {
		t.Errorf("%d rows were written", after-before)
	}
}

// Neither may read the whole table: both run while others wait.
func TestIndexesAreUsed(t *testing.T) {
	dsn := running.Of(t).DSN()
	db, statements := sent.Open(t, "mysql", dsn)
	d := openStore(t, db, mysql.Options{Table: "indexes"})
	var items []drivers.Item
	for i := range 2000 { // a small table needs no index
		items = append(items, drivers.Item{Key: strings.Repeat("x", i%500+1)})
		items[i].Key += string(rune('a' + i%26))
	}
	if err := d.SetMany(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	basetest.Execute(t, openDB(t, dsn), "ANALYZE TABLE indexes") // not on db, which prepares it: that never ends
	if _, err := d.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Scan(t.Context(), "a", func([]string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query, want string
		args        []any
	}{
		{statements.With(t, "SELECT name, expires"), "expires", nil},
		{statements.With(t, "SELECT name", "ORDER BY name"), "PRIMARY", []any{"a", "b"}},
	} {
		rows, err := db.Query("EXPLAIN "+c.query, c.args...)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil || !rows.Next() {
			t.Fatal(err, rows.Err())
		}
		plan := make(map[string]*sql.NullString)
		var into []any
		for _, column := range columns {
			plan[column] = new(sql.NullString)
			into = append(into, plan[column])
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		rows.Close()
		if plan["type"].String != "range" || plan["key"].String != c.want {
			t.Errorf("%s: type %s, key %s", c.query, plan["type"].String, plan["key"].String)
		}
	}
}
