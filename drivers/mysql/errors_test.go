package mysql

import (
	"errors"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestErrorsThatAreWorthAnotherTry(t *testing.T) {
	for text, want := range map[string]bool{
		"Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction": true,
		"Error 1020 (HY000): Record has changed since last read in table 'cachegen'":             true,
		"Error 1205 (HY000): Lock wait timeout exceeded; try restarting transaction":             false,
		"Error 12130: x": false, "invalid connection": false,
	} {
		if got := busy(errors.New(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
