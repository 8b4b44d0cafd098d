package mysql_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/mysql"
	"github.com/cachegen/cachegen/drivers/sqltest/historytest"
)

// race R46: the server comes back, perhaps with older data.
func TestARestartIsAnotherHistory(t *testing.T) {
	s := servers.MariaDB(t)
	d := openStore(t, openDB(t, s.DSN()), mysql.Options{})
	if text := historytest.Of(t, d); !strings.Contains(text, " 1") { // the time of the start
		t.Errorf("the history is %q", text)
	}
	historytest.Restart(t, s, d, time.Second)
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
			told[historytest.Of(t, d)] = true
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
	admin := openDB(t, s.DSN())
	historytest.Killed(t, d, func() {
		var id int
		if err := db.QueryRow("SELECT CONNECTION_ID()").Scan(&id); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Exec("KILL ?", id); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnotherServerIsAnotherHistory(t *testing.T) {
	s := running.Of(t)
	proxy := servers.NewProxy(t, s.Addr())
	d := openStore(t, openDB(t, strings.Replace(s.DSN(), s.Addr(), proxy.Addr(), 1)), mysql.Options{})
	if err := historytest.Get(t, d); err != nil {
		t.Fatal(err)
	}
	first := historytest.Of(t, d)
	proxy.Redirect(servers.MariaDB(t).Addr())
	historytest.Noticed(t, d, first)
}
