package drivertest

import (
	"testing"

	"github.com/cachegen/cachegen/drivers"
)

func l2ReadyChecker(run func(string, func(*testing.T, l2))) {
	run("ReadyChangesNothing", func(t *testing.T, s l2) {
		s.set(drivers.Item{Key: s.key("a"), Value: []byte("x")})
		for range 2 {
			must(t, "Ready", mustHave(drivers.ReadyCheckerOf(s.L2)).Ready(s.ctx))
		}
		s.expect(s.key("a"), []byte("x"))
	})
}
