package subscriptions

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

func TestCloseWaitsForWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New("store", nil)
		var ended atomic.Int64
		for range 3 {
			if _, err := s.Subscribe("c", func(ctx context.Context) { <-ctx.Done(); time.Sleep(time.Second); ended.Add(1) }); err != nil {
				t.Fatal(err)
			}
		}
		unsubscribe, err := s.Subscribe("c", func(ctx context.Context) { <-ctx.Done(); ended.Add(1) })
		if err != nil {
			t.Fatal(err)
		}
		if unsubscribe(); ended.Load() != 1 {
			t.Errorf("%d have ended, want the one that was told to", ended.Load())
		}
		if s.Close(); ended.Load() != 4 {
			t.Errorf("%d of 4 have ended", ended.Load())
		}
		s.Close()
		err = s.Publish(t.Context(), "c", func() error { t.Error("published"); return nil })
		if !errors.Is(err, drivers.ErrClosed) || err.Error() != `store: publish on "c": cachegen: the driver is closed` {
			t.Errorf("publish: %v", err)
		}
		if _, err = s.Subscribe("c", nil); !errors.Is(err, drivers.ErrClosed) || err.Error() != `store: subscribe to "c": cachegen: the driver is closed` {
			t.Errorf("subscribe: %v", err)
		}
	})
}

// Each failure makes the pause longer, up to a limit; a session that lasted begins anew.
func TestPausesGrowUntilASessionLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		broken := errors.New("broken")
		var began []time.Time
		lost := 0
		Keep(ctx, func(context.Context) error {
			began = append(began, time.Now())
			switch len(began) {
			case 20:
				time.Sleep(time.Minute)
			case 22:
				cancel()
			}
			return broken
		}, func(err error) {
			if lost++; err != broken {
				t.Errorf("lost: %v", err)
			}
		})
		if len(began) != 22 || lost != 21 {
			t.Fatalf("%d sessions, told of %d losses", len(began), lost)
		}
		pause := func(i int) time.Duration { return began[i].Sub(began[i-1]) }
		if p := pause(1); p < minBackoff/2 || p > minBackoff {
			t.Errorf("the first pause is %s", p)
		}
		if p := pause(19); p < MaxBackoff/2 || p > MaxBackoff {
			t.Errorf("the last pause is %s", p)
		}
		if p := pause(20) - time.Minute; p > minBackoff {
			t.Errorf("after a session that lasted the pause is %s", p)
		}
	})
}
