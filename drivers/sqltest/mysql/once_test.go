package mysql_test

import (
	"strings"
	"testing"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/mysql"
)

// race R45: a client that sends a write again after a broken connection brings back a value
// that has been deleted since.
func TestWritesAreSentOnce(t *testing.T) {
	s := running.Of(t)
	for name, c := range map[string]struct {
		parameters string
		options    mysql.Options
	}{
		"Prepared":     {"", mysql.Options{}},
		"Interpolated": {"?interpolateParams=true", mysql.Options{Unprepared: true}},
		"Unprepared":   {"", mysql.Options{Unprepared: true}},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.L2LostAnswers(t, s.Addr(), func(t *testing.T, address string) drivers.L2 {
				return openStore(t, openDB(t, strings.Replace(s.DSN(), s.Addr(), address, 1)+c.parameters), c.options)
			})
		})
	}
}
