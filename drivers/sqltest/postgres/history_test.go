package postgres_test

import (
	"database/sql"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/postgres"
)

func historyOf(t *testing.T, d *postgres.Driver) string {
	t.Helper()
	text, err := d.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// eventually waits for what a server does in its own time.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func get(t *testing.T, d *postgres.Driver) error {
	_, err := d.GetMany(t.Context(), []string{"a"})
	return err
}

// race R46: the server comes back, perhaps with older data.
func TestARestartIsAnotherHistory(t *testing.T) {
	s := servers.Postgres(t)
	d := openStore(t, openDB(t, s.URL()), postgres.Options{})
	first := historyOf(t, d)
	s.Stop()
	if err := get(t, d); err == nil {
		t.Fatal("a server that is stopped answers")
	}
	if text, err := d.History(t.Context()); err == nil {
		t.Errorf("of a server that is stopped: %q", text)
	}
	s.Restart(t)
	eventually(t, "the server answers", func() bool { return get(t, d) == nil })
	second := historyOf(t, d) // at once, because an operation has failed
	if second == first {
		t.Errorf("the history is %q before and after a restart", first)
	}
	// No operation is there to fail.
	s.Stop()
	s.Restart(t)
	eventually(t, "the restart is noticed", func() bool {
		text, err := d.History(t.Context())
		return err == nil && text != second
	})
}

func TestKilledConnectionsAreNoOtherHistory(t *testing.T) {
	s := running.Of(t)
	db, err := sql.Open("pgx", s.URL()+"&application_name=killed")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d := openStore(t, db, postgres.Options{})
	first, admin := historyOf(t, d), openDB(t, s.URL())
	for range 3 {
		if err := get(t, d); err != nil {
			t.Fatal(err)
		}
		execute(t, admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'killed'")
		_ = get(t, d)
		if text := historyOf(t, d); text != first {
			t.Errorf("the history is %q, it was %q", text, first)
		}
	}
	// Nor is what an administrator does now and then.
	execute(t, admin, "CHECKPOINT", "SELECT pg_stat_reset_shared('bgwriter')", "SELECT pg_switch_wal()", "SELECT pg_reload_conf()")
	if text := historyOf(t, openStore(t, admin, postgres.Options{})); text != first { // a new driver asks
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
	if err := get(t, d); err != nil {
		t.Fatal(err)
	}
	onPrimary := historyOf(t, d)
	onStandby := historyOf(t, openStore(t, admin, postgres.Options{}))

	primary.Stop()
	execute(t, admin, "SELECT pg_promote()")
	promoted := historyOf(t, openStore(t, admin, postgres.Options{}))
	if promoted == onStandby {
		t.Errorf("the history is %q before and after the promotion", promoted)
	}
	proxy.Redirect(standby.Addr())
	eventually(t, "the new primary answers", func() bool { return get(t, d) == nil })
	eventually(t, "the new primary is noticed", func() bool {
		text, err := d.History(t.Context())
		return err == nil && text != onPrimary
	})
	if text := historyOf(t, d); text != promoted {
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
		first := historyOf(t, d)
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
		eventually(t, "the server has noticed", func() bool { return victim.Ping() != nil })
		eventually(t, "the server answers", func() bool { return get(t, d) == nil })
		if text := historyOf(t, openStore(t, db, postgres.Options{})); (text != first) != another {
			t.Errorf("with synchronous_commit=%s the history was %q, and is %q after a crash", setting, first, text)
		}
	}
}

// What a user may not know is left out. The rest still tells a restart.
func TestHistoryOfAUserWithFewRights(t *testing.T) {
	s := servers.Postgres(t)
	admin := openDB(t, s.URL())
	execute(t, admin, "CREATE ROLE few LOGIN PASSWORD 'few'")
	address := strings.Replace(s.URL(), "cachegen:secret", "few:few", 1)
	tell := func() string {
		t.Helper()
		return historyOf(t, openStore(t, openDB(t, address), postgres.Options{SkipCreate: true}))
	}
	all := tell()
	if all != historyOf(t, openStore(t, admin, postgres.Options{})) {
		t.Error("it depends on the user")
	}
	execute(t, admin, "REVOKE EXECUTE ON FUNCTION pg_control_system FROM public")
	some := tell()
	execute(t, admin, "REVOKE EXECUTE ON FUNCTION pg_walfile_name FROM public")
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
