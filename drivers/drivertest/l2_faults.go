package drivertest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// L2Faults tests a shared tier while its server is stopped or does not answer. All tests use
// the one server that open connects to, one test after the other.
func L2Faults(t *testing.T, open func(t *testing.T) drivers.L2, faults Faults) {
	store := func(t *testing.T) l2 {
		return l2{L2: open(t), t: t, ctx: testContext(t), prefix: unique("l2") + ":", open: open}
	}
	if faults.Pause != nil {
		t.Run("SilentServer", func(t *testing.T) { l2Silent(t, store(t), faults) })
	}
	if faults.Stop != nil {
		t.Run("StoppedServer", func(t *testing.T) { l2Stopped(t, store(t), faults) })
	}
}

// l2Silent: no call waits for a server without an answer after its context has ended.
func l2Silent(t *testing.T, s l2, faults Faults) {
	s.set(drivers.Item{Key: s.key("a"), Value: []byte("x")})
	ends := s.open(t)
	_, err := ends.GetMany(s.ctx, []string{s.key("a")})
	must(t, "GetMany", err)
	faults.Pause()
	resume := sync.OnceFunc(faults.Resume)
	defer resume()

	var wg sync.WaitGroup
	for name, operation := range s.online() {
		prompt := func(ctx context.Context, want error) {
			start := time.Now()
			mustFail(t, name, operation.run(ctx), want)
			if took := time.Since(start); took > patience/4 {
				t.Errorf("%s: returned after %s", name, took)
			}
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
			defer cancel()
			prompt(ctx, context.DeadlineExceeded)
		})
		wg.Go(func() {
			ctx, cancel := context.WithCancel(s.ctx)
			time.AfterFunc(50*time.Millisecond, cancel)
			prompt(ctx, context.Canceled)
		})
	}
	wg.Go(func() { // a program must be able to end
		start := time.Now()
		err := ends.Close()
		if took := time.Since(start); err != nil || took > patience/4 {
			t.Errorf("Close: %v, after %s", err, took)
		}
	})
	wg.Wait()

	resume()
	s.expect(s.key("a"), []byte("x"))
}

func l2Stopped(t *testing.T, s l2, faults Faults) {
	s.set(drivers.Item{Key: s.key("a"), Value: []byte("x")})
	historian, tells := drivers.HistorianOf(s.L2)
	var before string
	if tells {
		before = s.history(historian)
	}
	faults.Stop()
	restart := sync.OnceFunc(faults.Restart)
	defer restart()
	ctx, cancel := context.WithTimeout(s.ctx, patience/4)
	defer cancel()
	s.mustBeNamed(ctx, "without a server", s.online())
	restart()
	eventually(t, "the store works again", func() bool {
		return s.SetMany(s.ctx, []drivers.Item{{Key: s.key("b"), Value: []byte("y")}}) == nil
	})
	s.expect(s.key("b"), []byte("y"))
	if tells && s.get(s.key("a"))[0] == nil && s.history(historian) == before {
		t.Errorf("the server has lost what was acknowledged, and its history is still %q", before)
	}
}
