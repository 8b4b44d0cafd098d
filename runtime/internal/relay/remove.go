package relay

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/guard"
)

const (
	// gather is how long entries that were carried out wait for others, to be removed with them.
	gather = 50 * time.Millisecond
	// mostRemovals bounds how many wait. What is beyond is taken and carried out once more.
	mostRemovals = 10_000
	// removedAtOnce is how many are removed in one call.
	removedAtOnce = 1000
	// operationTime bounds one operation on the outbox.
	operationTime = 5 * time.Second
)

func putUint64(b []byte, n uint64) { binary.BigEndian.PutUint64(b, n) }

// removals are entries that were carried out.
type removals struct {
	ids     []drivers.OutboxID
	running chan struct{} // closed when the goroutine that removes has ended; nil without one
	hurry   chan struct{} // closed when it must not gather any more
}

// remove removes entries soon.
func (r *Relay) remove(ids []drivers.OutboxID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.removals.ids)+len(ids) > mostRemovals {
		return
	}
	r.removals.ids = append(r.removals.ids, ids...)
	if r.removals.running == nil && len(r.removals.ids) > 0 && !r.stopped {
		r.removals.running, r.removals.hurry = make(chan struct{}), make(chan struct{})
		go r.removeAll(r.removals.running, r.removals.hurry)
	}
}

// removeAll removes entries until there are none, or until somebody is in a hurry and they cannot
// be removed.
func (r *Relay) removeAll(running, hurry chan struct{}) {
	defer close(running)
	hurried := false
	for wait := gather; ; {
		if !hurried {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-hurry:
				timer.Stop()
				hurried = true
			}
		}
		ids, more := r.nextRemovals()
		if !more {
			return
		}
		err := r.operation(r.ctx, func(ctx context.Context) error { return r.driver.Remove(ctx, ids) })
		if err == nil {
			wait = gather
			continue
		}
		r.warn("outbox: entries that were carried out could not be removed, and may be carried out once more", err)
		if hurried || forGood(err) {
			r.endRemovals()
			return
		}
		r.remove(ids)
		wait = min(2*wait, operationTime)
	}
}

// nextRemovals returns what is to be removed next, and ends the removals if that is nothing.
func (r *Relay) nextRemovals() (ids []drivers.OutboxID, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.removals.ids), removedAtOnce)
	if n == 0 {
		r.removals = removals{}
		return nil, false
	}
	ids, r.removals.ids = r.removals.ids[:n:n], r.removals.ids[n:]
	return ids, true
}

func (r *Relay) endRemovals() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removals = removals{}
}

// flush removes what is to be removed, until ctx is done.
func (r *Relay) flush(ctx context.Context) {
	r.mu.Lock()
	running, hurry := r.removals.running, r.removals.hurry
	if hurry != nil {
		close(hurry)
		r.removals.hurry = nil
	}
	r.mu.Unlock()
	if running == nil {
		return
	}
	select {
	case <-running:
	case <-ctx.Done():
	}
}

// operation does something with the driver, for at most operationTime.
func (r *Relay) operation(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	return guard.Call(func() error { return do(ctx) })
}
