package postgres_test

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/drivers/sqltest/historytest"
)

// race R46: the server comes back, perhaps with older data.
func TestARestartIsAnotherHistory(t *testing.T) {
	s := servers.Postgres(t)
	historytest.Restart(t, s, openStore(t, openDB(t, s.URL()), postgres.Options{}), 0)
}

func TestKilledConnectionsAreNoOtherHistory(t *testing.T) {
	s := running.Of(t)
	db, err := sql.Open("pgx", s.URL()+"&application_name=killed")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d := openStore(t, db, postgres.Options{})
	first, admin := historytest.Of(t, d), openDB(t, s.URL())
	historytest.Killed(t, d, func() {
		basetest.Execute(t, admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'killed'")
	})
	// Nor is what an administrator does now and then.
	basetest.Execute(t, admin, "CHECKPOINT", "SELECT pg_stat_reset_shared('bgwriter')", "SELECT pg_switch_wal()", "SELECT pg_reload_conf()")
	if text := historytest.Of(t, openStore(t, admin, postgres.Options{})); text != first { // a new driver asks
		t.Errorf("the history is %q, it was %q", text, first)
	}
}

// race R46: a standby that lags behind becomes the primary, and a name leads to it.
func TestAPromotedStandbyIsAnotherHistory(t *testing.T) {
	primary := servers.Postgres(t)
	db := openDB(t, primary.URL())
	if err := openStore(t, db, postgres.Options{}).SetMany(t.Context(), []drivers.Item{{Key: "a", Value: []byte("old")}}); err != nil {
		t.Fatal(err)
	}
	standby := primary.Standby(t)
	admin := openDB(t, standby.URL())

	proxy := servers.NewProxy(t, primary.Addr())
	through := openDB(t, strings.Replace(primary.URL(), primary.Addr(), proxy.Addr(), 1))
	through.SetMaxOpenConns(1)
	d := openStore(t, through, postgres.Options{})
	if err := historytest.Get(t, d); err != nil {
		t.Fatal(err)
	}
	onPrimary := historytest.Of(t, d)
	onStandby := historytest.Of(t, openStore(t, admin, postgres.Options{}))

	primary.Stop()
	basetest.Execute(t, admin, "SELECT pg_promote()")
	promoted := historytest.Of(t, openStore(t, admin, postgres.Options{}))
	if promoted == onStandby {
		t.Errorf("the history is %q before and after the promotion", promoted)
	}
	proxy.Redirect(standby.Addr())
	historytest.Eventually(t, "the new primary answers", func() bool { return historytest.Get(t, d) == nil })
	historytest.Noticed(t, d, onPrimary)
	if text := historytest.Of(t, d); text != promoted {
		t.Errorf("two processes tell %q and %q", text, promoted)
	}
}

// Without the wait for the disk, a process of the server that crashes takes commits with it,
// although the server was not started anew.
func TestACrashWithoutSyncIsAnotherHistory(t *testing.T) {
	for setting, another := range map[string]bool{"off": true, "on": false} {
		s := servers.Postgres(t)
		db := openDB(t, s.URL()+"&synchronous_commit="+setting)
		d := openStore(t, db, postgres.Options{})
		first := historytest.Of(t, d)
		var pid int
		victim := openDB(t, s.URL())
		if err := victim.QueryRow("SELECT pg_backend_pid()").Scan(&pid); err != nil {
			t.Fatal(err)
		}
		process, err := os.FindProcess(pid)
		if err == nil {
			err = process.Kill()
		}
		if err != nil {
			t.Fatal(err)
		}
		historytest.Eventually(t, "the server has noticed", func() bool { return victim.Ping() != nil })
		historytest.Eventually(t, "the server answers", func() bool { return historytest.Get(t, d) == nil })
		if text := historytest.Of(t, openStore(t, db, postgres.Options{})); (text != first) != another {
			t.Errorf("with synchronous_commit=%s the history was %q, and is %q after a crash", setting, first, text)
		}
	}
}

// What a user may not know is left out. The rest still tells a restart.
func TestHistoryOfAUserWithFewRights(t *testing.T) {
	s := servers.Postgres(t)
	admin := openDB(t, s.URL())
	basetest.Execute(t, admin, "CREATE ROLE few LOGIN PASSWORD 'few'")
	address := strings.Replace(s.URL(), "cachegen:secret", "few:few", 1)
	tell := func() string {
		t.Helper()
		return historytest.Of(t, openStore(t, openDB(t, address), postgres.Options{SkipCreate: true}))
	}
	all := tell()
	if all != historytest.Of(t, openStore(t, admin, postgres.Options{})) {
		t.Error("it depends on the user")
	}
	basetest.Execute(t, admin, "REVOKE EXECUTE ON FUNCTION pg_control_system FROM public")
	some := tell()
	basetest.Execute(t, admin, "REVOKE EXECUTE ON FUNCTION pg_walfile_name FROM public")
	few := tell()
	if some == all || few == some || few == "" {
		t.Errorf("histories %q, %q, %q", all, some, few)
	}
	s.Stop()
	s.Restart(t)
	if again := tell(); again == few {
		t.Errorf("a restart is not told: %q", again)
	}
}
