package postgres_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/internal/sqloutbox"
	"github.com/cachegen/cachegen/drivers/internal/sqloutbox/outboxtest"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/drivers/sqltest/sent"
)

func outboxDatabase(t *testing.T, url string, options postgres.OutboxOptions) drivertest.OutboxDatabase {
	return outboxtest.Database(t, func(t *testing.T) *sql.DB { return openDB(t, url) },
		func(db *sql.DB) outboxtest.Outbox { return postgres.NewOutbox(db, options) })
}

func TestOutboxConformance(t *testing.T) {
	url := running.Of(t).URL()
	for name, c := range map[string]struct {
		parameters string
		options    postgres.OutboxOptions
	}{
		"Plain":  {"", postgres.OutboxOptions{}},
		"Pooler": {"&default_query_exec_mode=exec", postgres.OutboxOptions{Table: "pooled", Notify: true}},
		// No transaction of the program fails because its rows are looked for.
		"Serializable": {"&default_transaction_isolation=serializable", postgres.OutboxOptions{Table: "outbox_serializable"}},
		"OldStrings":   {"&standard_conforming_strings=off&bytea_output=escape", postgres.OutboxOptions{Table: "outbox_old"}},
	} {
		t.Run(name, func(t *testing.T) { drivertest.Outbox(t, outboxDatabase(t, url+c.parameters, c.options)) })
	}
}

func TestOutboxFaults(t *testing.T) {
	s := running.Of(t)
	drivertest.OutboxFaults(t, outboxDatabase(t, s.URL(), postgres.OutboxOptions{Table: "outbox_faults"}), drivertest.Faults{
		Stop: s.Stop, Restart: func() { s.Restart(t) },
		Pause: func() { s.Pause(t) }, Resume: func() { s.Resume(t) },
	})
}

func TestOutboxTable(t *testing.T) {
	s := running.Of(t)
	outboxtest.Run(t, outboxtest.Backend{
		Name: "postgres",
		New: func(db *sql.DB, o sqloutbox.Options) outboxtest.Outbox {
			return postgres.NewOutbox(db, postgres.OutboxOptions{Table: o.Table, SkipCreate: o.SkipCreate, BusyTimeout: o.BusyTimeout})
		},
		Schema: postgres.OutboxSchema,
		Open:   func(t *testing.T) *sql.DB { return openDB(t, s.URL()) },
		Limited: func(t *testing.T, table string) *sql.DB {
			basetest.Execute(t, openDB(t, s.URL()), "CREATE ROLE outboxer LOGIN PASSWORD 'secret'",
				"GRANT SELECT, INSERT, UPDATE, DELETE ON "+table+" TO outboxer")
			return openDB(t, strings.Replace(s.URL(), "cachegen:secret", "outboxer:secret", 1))
		},
	})
}

// A process looks for entries all the time: that must not read the whole table.
func TestTheOutboxUsesItsIndex(t *testing.T) {
	url := running.Of(t).URL()
	db, statements := sent.Open(t, "pgx", url)
	o := basetest.Usable(t, postgres.NewOutbox(db, postgres.OutboxOptions{Table: "outbox_index"}))
	if _, err := o.Take(t.Context(), drivers.OutboxRequest{Stores: []string{"store"}, Max: 1, Hold: 1}); err != nil {
		t.Fatal(err)
	}
	basetest.Execute(t, db, "INSERT INTO outbox_index SELECT decode(md5(i::text), 'hex'), 'other', '', i, 0, 0 FROM generate_series(1, 5000) i", "ANALYZE outbox_index")
	rows, err := db.Query("EXPLAIN " + statements.With(t, "SELECT id", "ORDER BY due"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan += line + "\n"
	}
	if !strings.Contains(plan, "outbox_index_due") {
		t.Error(plan)
	}
}
