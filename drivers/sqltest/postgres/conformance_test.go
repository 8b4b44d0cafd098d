package postgres_test

import (
	"database/sql"
	"os"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/postgres"
)

// running is the one server of this package's tests. Its deadlocks do not wait for a
// second to be found.
var running = servers.Shared[*servers.PostgresServer]{
	Require: servers.RequirePostgres,
	Start:   func() (*servers.PostgresServer, error) { return servers.StartPostgres("-c", "deadlock_timeout=20ms") },
}

func TestMain(m *testing.M) {
	if os.Getenv("PGPASSFILE") == "" {
		os.Setenv("PGPASSFILE", os.DevNull) // not the passwords of whoever runs this
	}
	goleak.VerifyTestMain(running.Around(m))
}

func openDB(t testing.TB, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(16) // or connecting is most of what the tests do
	t.Cleanup(func() { db.Close() })
	return db
}

func openStore(t testing.TB, db *sql.DB, options postgres.Options) *postgres.Driver {
	t.Helper()
	return basetest.Usable(t, postgres.New(db, options))
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
	url := running.Of(t).URL()
	for name, c := range map[string]struct {
		parameters string
		options    postgres.Options
		limits     drivertest.Limits
	}{
		"Prepared":   {"", postgres.Options{}, drivertest.Limits{}},
		"Unprepared": {"&default_query_exec_mode=exec", postgres.Options{Table: "unprepared", Unprepared: true}, small},
		// Every statement may find that another has won.
		"Serializable": {"&default_transaction_isolation=serializable", postgres.Options{Table: "serializable"}, few},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.L2(t, func(t *testing.T) drivers.L2 {
				return openStore(t, openDB(t, url+c.parameters), c.options)
			}, everything, c.limits)
		})
	}
}

func TestFaults(t *testing.T) {
	s := running.Of(t)
	drivertest.L2Faults(t, func(t *testing.T) drivers.L2 {
		return openStore(t, openDB(t, s.URL()), postgres.Options{})
	}, drivertest.Faults{
		Stop: s.Stop, Restart: func() { s.Restart(t) },
		Pause: func() { s.Pause(t) }, Resume: func() { s.Resume(t) },
	})
}

// A program must be able to end while the network is gone.
func TestCloseDoesNotWaitForASilentServer(t *testing.T) {
	s := running.Of(t)
	db := openDB(t, s.URL())
	d := postgres.New(db, postgres.Options{})
	var using sync.WaitGroup
	for range 4 {
		using.Go(func() {
			for n := 1; n <= 16; n *= 2 {
				if _, err := d.GetMany(t.Context(), make([]string, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	using.Wait()
	s.Pause(t)
	start := time.Now()
	err := d.Close()
	took := time.Since(start)
	s.Resume(t)
	if took > 4*time.Second || err != nil {
		t.Errorf("it took %s, error %v", took, err)
	}
}
