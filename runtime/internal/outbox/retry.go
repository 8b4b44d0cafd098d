package outbox

import (
	"context"
	"sync"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/breaker"
)

// retry is the goroutine that carries out what is queued. It runs only while something
// is. It asks a server that is away again and again, because nobody waits for it, and finds
// out first that the server is back.
type retry struct {
	ctx context.Context // of all runs

	mu      sync.Mutex
	running chan struct{} // closed when the goroutine has ended; nil if there is none
	wake    chan struct{}
	ended   bool
	stop    context.CancelFunc
}

// start starts the goroutine, unless it runs, or has been ended for good.
func (r *retry) start(o *Outbox) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil || r.ended {
		return
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(r.ctx)
	r.running, r.wake = make(chan struct{}), make(chan struct{}, 1)
	go r.run(ctx, o, r.running, r.wake)
}

// wakeUp makes the next try come at once.
func (r *retry) wakeUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// end ends the goroutine for good and waits for it, until ctx is done: a hook that it
// calls may be who waits.
func (r *retry) end(ctx context.Context) {
	r.mu.Lock()
	r.ended = true
	running, stop := r.running, r.stop
	r.mu.Unlock()
	if running != nil {
		stop()
		select {
		case <-running:
		case <-ctx.Done():
		}
	}
}

func (r *retry) run(ctx context.Context, o *Outbox, running, wake chan struct{}) {
	defer close(running)
	ctx = breaker.Patient(ctx)
	delay := firstDelay
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-wake:
		case <-ctx.Done():
			return
		}
		if err := o.flush(ctx); err != nil {
			delay = min(2*delay, lastDelay)
		} else {
			delay = firstDelay
		}
		if r.endIfIdle(o) {
			return
		}
		timer.Reset(delay)
	}
}

// endIfIdle reports whether the goroutine ends, because nothing is queued any more.
func (r *retry) endIfIdle(o *Outbox) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.queue.Len() > 0 {
		return false
	}
	r.stop()
	r.running = nil
	return true
}
