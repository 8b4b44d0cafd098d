package drivertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

func l2Pruner(run func(string, func(*testing.T, l2))) {
	run("PruneRemovesExpiredItems", func(t *testing.T, s l2) {
		pruner := mustHave(drivers.PrunerOf(s.L2))
		n := s.limit.batch(2500)
		items := []drivers.Item{
			{Key: s.key("ever"), Value: []byte("x")},
			{Key: s.key("long"), Value: []byte("x"), TTL: time.Hour},
		}
		for i := range n {
			items = append(items, drivers.Item{Key: s.key(fmt.Sprint(i)), Value: []byte("x"), TTL: time.Millisecond})
		}
		s.set(items...)
		// The last item was set last, so the others have expired too.
		s.waitAbsent(items[len(items)-1].Key)
		removed, err := pruner.Prune(s.ctx)
		must(t, "Prune", err)
		if removed < int64(n) {
			t.Errorf("pruned %d, want at least %d", removed, n)
		}
		again, err := pruner.Prune(s.ctx)
		must(t, "Prune", err)
		if again >= int64(n) {
			t.Errorf("a second Prune found %d", again)
		}
		s.expect(s.key("ever"), []byte("x"))
		s.expect(s.key("long"), []byte("x"))
	})
}
