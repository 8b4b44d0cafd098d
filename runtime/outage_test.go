package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

var errGone = errors.New("i/o timeout")

// An outage is one of a server whose client lets every call wait for its limit, as one does
// that dials again and again.
type outage struct{ until time.Time }

func (o *outage) wait(ctx context.Context) error {
	if !time.Now().Before(o.until) {
		return nil
	}
	<-ctx.Done()
	return errGone
}

type waitingBus struct {
	*faketier.Bus
	outage *outage
}

func (b waitingBus) Publish(ctx context.Context, channel string, message []byte) error {
	if err := b.outage.wait(ctx); err != nil {
		return err
	}
	return b.Bus.Publish(ctx, channel, message)
}

var _ drivers.Bus = waitingBus{}

// Kind: one outage that lasts longer for us than for the server. A server is away for 1 s of
// every 6 s, and its client lets every call wait until its limit. Callers do not pay for that
// again and again, and yet invalidations succeed soon after the server is back: what is
// pending asks, and nobody waits for it.
func TestAnInvalidationSucceedsSoonAfterAServerIsBackThatLetCallsWait(t *testing.T) {
	for name, what := range map[string][2]bool{"tier": {true, false}, "bus": {false, true}, "both": {true, true}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mayTell(t, "breaker", "shared tier", "publish to the bus")
				tier, bus := &outage{}, &outage{}
				shared := new(faketier.Shared)
				shared.SetBefore(func(ctx context.Context, _ string, _ []string) error { return tier.wait(ctx) })
				s := newStore(t, memoryTier(), runtime.L2(shared), runtime.Bus(waitingBus{&faketier.Bus{}, bus}))
				c := newCache[int, int](t, s)
				for cycle := range 5 {
					began := time.Now()
					back := began.Add(time.Second)
					if what[0] {
						tier.until = back
					}
					if what[1] {
						bus.until = back
					}
					for i := 0; time.Since(began) < 6*time.Second; i++ {
						start := time.Now()
						err := errors.Join(c.Delete(t.Context(), i), s.DeleteByTag(t.Context(), runtime.Tag(fmt.Sprint(i))))
						// What was tried just before it was back takes its limit.
						if err != nil && start.After(back.Add(runtime.DefaultL2Timeout+200*time.Millisecond)) {
							t.Fatalf("cycle %d, %v after it was back: %v", cycle, start.Sub(back), err)
						}
						time.Sleep(30 * time.Millisecond)
					}
				}
			})
		})
	}
}
