package runtime_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// That a shared tier gives no leases is logged once for each store: nobody has to do anything.
func TestThatATierGivesNoLeasesIsLoggedOnce(t *testing.T) {
	for name, tier := range map[string]struct {
		option runtime.StoreOption
		lines  int
	}{
		"leases":    {runtime.L2(&faketier.Shared{}), 0},
		"none":      {runtime.L2(faketier.Unleased(&faketier.Shared{})), 1},
		"no tier":   {memoryTier(), 0},
		"a wrapper": {runtime.L2(struct{ *faketier.Shared }{&faketier.Shared{}}), 0},
	} {
		var log bytes.Buffer
		c := newCache[int, int](t, newStore(t, tier.option, runtime.Logger(slog.New(slog.NewTextHandler(&log, nil)))))
		for key := range 3 {
			if _, err := c.GetOrSet(t.Context(), key, func(context.Context) (int, error) { return 1, nil }); err != nil {
				t.Error(err)
			}
		}
		if n := strings.Count(log.String(), "level=INFO"); n != tier.lines || strings.Count(log.String(), "gives no leases") != n {
			t.Errorf("%s: %s", name, log.String())
		}
	}
}

// race R44, on a tier that gives no leases: a process hears that a key was deleted while it writes
// what it has loaded before that. What it has written is deleted once more when the write has
// ended, and the others are told.
func TestWhoHearsOfAChangeDuringItsWriteDeletesOnceMore(t *testing.T) {
	for _, gone := range []bool{false, true} { // the write has taken effect when the other deletes
		bubble(t, func(t *testing.T) {
			var tier faketier.Shared
			var bus faketier.Bus
			var row atomic.Int64
			hold, held := make(chan struct{}), make(chan struct{})
			slow := &faketier.Conn{Tier: &tier}
			wait := func(_ context.Context, op string, keys []string) error {
				if op == "set" && keys[0] == row7 {
					close(held)
					<-hold
				}
				return nil
			}
			if gone {
				slow.SetAfter(wait)
			} else {
				slow.SetBefore(wait)
			}
			process := func(c *faketier.Conn) *runtime.Cache[int, int] {
				return newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(faketier.Unleased(c)), runtime.Bus(&bus), runtime.TTL(time.Hour)))
			}
			here, there := process(slow), process(&faketier.Conn{Tier: &tier})
			load := func(context.Context) (int, error) { return int(row.Load()), nil }
			row.Store(1)
			done := make(chan struct{})
			go func() {
				defer close(done)
				v, err := here.GetOrSet(t.Context(), 7, load)
				want(t, v, err, 1)
			}()
			<-held
			row.Store(2)
			if err := there.Delete(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			close(hold)
			<-done
			time.Sleep(time.Second)
			synctest.Wait()
			for _, c := range []*runtime.Cache[int, int]{there, here} {
				v, err := c.GetOrSet(t.Context(), 7, load)
				want(t, v, err, 2)
			}
		})
	}
}
