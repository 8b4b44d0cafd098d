package postgres_test

import (
	"database/sql"
	"strings"
	"testing"

	_ "github.com/lib/pq"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/postgres"
)

// race R45: database/sql sends a statement again if the client library says that nothing was
// sent, and some libraries say so although the server has executed the statement.
func TestWritesAreSentOnce(t *testing.T) {
	s := running.Of(t)
	for name, c := range map[string]struct {
		library, parameters string
		options             postgres.Options
	}{
		"pgx":            {"pgx", "", postgres.Options{}},
		"pgx unprepared": {"pgx", "&default_query_exec_mode=exec", postgres.Options{Unprepared: true}},
		"pq":             {"postgres", "", postgres.Options{}},
		"pq unprepared":  {"postgres", "", postgres.Options{Unprepared: true}},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.L2LostAnswers(t, s.Addr(), func(t *testing.T, address string) drivers.L2 {
				db, err := sql.Open(c.library, strings.Replace(s.URL(), s.Addr(), address, 1)+c.parameters)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { db.Close() })
				return openStore(t, db, c.options)
			})
		})
	}
}
