package mysql_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/internal/sqloutbox"
	"github.com/cachegen/cachegen/drivers/internal/sqloutbox/outboxtest"
	"github.com/cachegen/cachegen/drivers/mysql"
)

func outboxDatabase(t *testing.T, dsn string, options mysql.OutboxOptions) drivertest.OutboxDatabase {
	return outboxtest.Database(t, func(t *testing.T) *sql.DB { return openDB(t, dsn) },
		func(db *sql.DB) outboxtest.Outbox { return mysql.NewOutbox(db, options) })
}

func TestOutboxConformance(t *testing.T) {
	dsn := running.Of(t).DSN()
	for name, c := range map[string]struct {
		parameters string
		options    mysql.OutboxOptions
	}{
		"Plain":     {"", mysql.OutboxOptions{}},
		"FoundRows": {"?clientFoundRows=true&sql_mode=''&time_zone='-11:00'", mysql.OutboxOptions{Table: "outbox_found"}},
		// What is not committed is seen, and must not be taken all the same.
		"ReadUncommitted": {"?tx_isolation='READ-UNCOMMITTED'", mysql.OutboxOptions{Table: "outbox_uncommitted"}},
		"Serializable":    {"?tx_isolation='SERIALIZABLE'", mysql.OutboxOptions{Table: "outbox_serializable"}},
	} {
		t.Run(name, func(t *testing.T) { drivertest.Outbox(t, outboxDatabase(t, dsn+c.parameters, c.options)) })
	}
}

func TestOutboxFaults(t *testing.T) {
	// What was committed survives a crash here, as it does in servers that people use.
	s := servers.MariaDB(t, "--innodb-flush-log-at-trx-commit=2")
	drivertest.OutboxFaults(t, outboxDatabase(t, s.DSN(), mysql.OutboxOptions{Table: "outbox_faults"}), drivertest.Faults{
		Stop: s.Stop, Restart: func() { s.Restart(t) },
		Pause: func() { s.Pause(t) }, Resume: func() { s.Resume(t) },
	})
}

func TestOutboxTable(t *testing.T) {
	s := running.Of(t)
	outboxtest.Run(t, outboxtest.Backend{
		Name: "mysql",
		New: func(db *sql.DB, o sqloutbox.Options) outboxtest.Outbox {
			return mysql.NewOutbox(db, mysql.OutboxOptions{Table: o.Table, SkipCreate: o.SkipCreate, BusyTimeout: o.BusyTimeout})
		},
		Schema: mysql.OutboxSchema,
		Open:   func(t *testing.T) *sql.DB { return openDB(t, s.DSN()) },
		Limited: func(t *testing.T, table string) *sql.DB {
			basetest.Execute(t, openDB(t, s.DSN()), "CREATE USER outboxer@'%' IDENTIFIED BY 'secret'",
				"GRANT SELECT, INSERT, UPDATE, DELETE ON cachegen."+table+" TO outboxer@'%'")
			return openDB(t, strings.Replace(s.DSN(), "root", "outboxer:secret", 1))
		},
	})
}
