package mysql_test

import (
	"database/sql"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/mysql"
)

// running is the one server of this package's tests.
var running = servers.Shared[*servers.MariaDBServer]{
	Require: servers.RequireMariaDB,
	Start:   func() (*servers.MariaDBServer, error) { return servers.StartMariaDB("--max-allowed-packet=256M") },
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(running.Around(m)) }

func openDB(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(16) // or connecting is most of what the tests do
	t.Cleanup(func() { db.Close() })
	return db
}

func openStore(t testing.TB, db *sql.DB, options mysql.Options) *mysql.Driver {
	t.Helper()
	return basetest.Usable(t, mysql.New(db, options))
}

const everything = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans |
	drivertest.DeletesPrefixes | drivertest.Prunes | drivertest.TellsHistory

// The largest values are sent once, not in each way to use a server.
var (
	small = drivertest.Limits{LargestValue: 1 << 20}
	few   = drivertest.Limits{LargestValue: 1 << 20, LargestBatch: 700} // more than a statement has
)

// Each handle has connections of its own, as each process has.
func TestConformance(t *testing.T) {
	dsn := running.Of(t).DSN()
	for name, c := range map[string]struct {
		parameters string
		options    mysql.Options
		limits     drivertest.Limits
	}{
		"Prepared":     {"", mysql.Options{}, drivertest.Limits{}},
		"Interpolated": {"?interpolateParams=true", mysql.Options{Table: "unprepared", Unprepared: true}, small},
		// The server then counts rows that it has found, not those it has changed.
		"FoundRows": {"?clientFoundRows=true&sql_mode=''", mysql.Options{Table: "found"}, few},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.L2(t, func(t *testing.T) drivers.L2 {
				return openStore(t, openDB(t, dsn+c.parameters), c.options)
			}, everything, c.limits)
		})
	}
}

func TestFaults(t *testing.T) {
	s := running.Of(t)
	drivertest.L2Faults(t, func(t *testing.T) drivers.L2 {
		return openStore(t, openDB(t, s.DSN()), mysql.Options{})
	}, drivertest.Faults{
		Stop: s.Stop, Restart: func() { s.Restart(t) },
		Pause: func() { s.Pause(t) }, Resume: func() { s.Resume(t) },
	})
}
