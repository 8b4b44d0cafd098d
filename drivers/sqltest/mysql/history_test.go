package mysql_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/mysql"
)

func historyOf(t *testing.T, d *mysql.Driver) string {
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

func get(t *testing.T, d *mysql.Driver) error {
	_, err := d.GetMany(t.Context(), []string{"a"})
	return err
}

// race R46: the server comes back, perhaps with older data.
func TestARestartIsAnotherHistory(t *testing.T) {
	s := servers.MariaDB(t)
	d := openStore(t, openDB(t, s.DSN()), mysql.Options{})
	first := historyOf(t, d)
	if !strings.Contains(first, " 1") { // the time of the start
		t.Errorf("the history is %q", first)
	}
	time.Sleep(time.Second) // the time of a start is told in whole seconds
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
	time.Sleep(time.Second)
	s.Stop()
	s.Restart(t)
	eventually(t, "the restart is noticed", func() bool {
		text, err := d.History(t.Context())
		return err == nil && text != second
	})
}

// The time of the start is made of two times, and must not depend on when it is asked for, nor
// on the time zone.
func TestHistoryStaysForSeconds(t *testing.T) {
	s := running.Of(t)
	var all []*sql.DB
	for _, parameters := range []string{"", "?time_zone='-11:00'", "?interpolateParams=true"} {
		all = append(all, openDB(t, s.DSN()+parameters))
	}
	told := make(map[string]bool)
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for _, db := range all {
			d := mysql.New(db, mysql.Options{}) // a new driver asks
			told[historyOf(t, d)] = true
			d.Close()
		}
	}
	if len(told) != 1 {
		t.Errorf("histories %v", told)
	}
}

func TestKilledConnectionsAreNoOtherHistory(t *testing.T) {
	s := running.Of(t)
	db, err := sql.Open("mysql", s.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	d := openStore(t, db, mysql.Options{})
	first, admin := historyOf(t, d), openDB(t, s.DSN())
	for range 3 {
		var id int
		if err := db.QueryRow("SELECT CONNECTION_ID()").Scan(&id); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Exec("KILL ?", id); err != nil {
			t.Fatal(err)
		}
		_ = get(t, d)
		if text := historyOf(t, d); text != first {
			t.Errorf("the history is %q, it was %q", text, first)
		}
	}
}

func TestAnotherServerIsAnotherHistory(t *testing.T) {
	s := running.Of(t)
	proxy := servers.NewProxy(t, s.Addr())
	d := openStore(t, openDB(t, strings.Replace(s.DSN(), s.Addr(), proxy.Addr(), 1)), mysql.Options{})
	if err := get(t, d); err != nil {
		t.Fatal(err)
	}
	first := historyOf(t, d)
	proxy.Redirect(servers.MariaDB(t).Addr())
	eventually(t, "the other server is noticed", func() bool {
		text, err := d.History(t.Context())
		return err == nil && text != first
	})
}
