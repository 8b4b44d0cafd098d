package lease

import (
	"slices"
	"sync"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
)

const (
	// returnsAtOnce is how many requests that give leases back are under way at a time.
	returnsAtOnce = 4
	// mostReturns bounds the keys that wait to be given back. Others end by themselves.
	mostReturns = 10_000

	firstAgain, lastAgain = 20 * time.Millisecond, 250 * time.Millisecond
)

// A back is leases that are to be given back, all under one token.
type back struct {
	token string
	keys  []string
	// lands is until when the request that asked for them may still take effect; zero if it has.
	// What is given back before that may come once more.
	lands int64

	gone  int64 // when they have ended by themselves
	at    int64 // of the next try
	delay time.Duration
}

// returns are the leases that are to be given back.
type returns struct {
	mu      sync.Mutex
	waiting []*back
	keys    int         // of all of them
	running int         // goroutines
	timer   *time.Timer // of what is not due yet; nil if there is nothing
	timerAt int64
	stopped bool
}

// giveBack gives leases back in the background. The caller is work of the store.
func (l *Leases) giveBack(b *back) {
	t := clock.Mono()
	b.at, b.delay = t, firstAgain
	// A renewal under way may make them longer by as much again.
	b.gone = clock.Add(max(t, b.lands), clock.Multiply(2, l.TTL))
	if l.returns.add(b) {
		l.beginGivingBack()
	}
}

// beginGivingBack begins the goroutine that returns asks for, unless the store is closed.
func (l *Leases) beginGivingBack() {
	if l.work.EnterUnlessDone() {
		go l.giveBackDue()
	} else {
		l.returns.stop()
	}
}

// giveBackDue gives back what is due, until nothing is.
func (l *Leases) giveBackDue() {
	defer l.work.Leave()
	for b := l.nextDue(); b != nil; b = l.nextDue() {
		began := clock.Mono()
		awaited, err := l.remote.Release(l.work.Context, b.keys, b.token)
		l.tell(b.keys, awaited)
		if err == nil && began >= b.lands {
			l.returns.done(b)
		} else {
			l.returns.again(b, l.work.Closed())
		}
	}
}

func (l *Leases) nextDue() *back {
	return l.returns.next(func() {
		if l.returns.begin() {
			l.beginGivingBack()
		}
	})
}

// add adds leases, if there is room for them. start says that a goroutine is to begin.
func (r *returns) add(b *back) (start bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.keys+len(b.keys) > mostReturns {
		return false
	}
	r.keys += len(b.keys)
	r.waiting = append(r.waiting, b)
	return r.mayBegin()
}

// mayBegin is called under mu. If it returns true, a goroutine is to begin.
func (r *returns) mayBegin() bool {
	if r.running == returnsAtOnce {
		return false
	}
	r.running++
	return true
}

// begin reports whether a goroutine is to begin, because something is due now.
func (r *returns) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil
	return !r.stopped && r.mayBegin()
}

// next returns leases that are due. If there are none, the goroutine that asks ends, and later
// is called when there are some.
func (r *returns) next(later func()) *back {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := clock.Mono()
	var first *back // of those that are not due
	for i, b := range r.waiting {
		if b.at <= t {
			r.waiting = slices.Delete(r.waiting, i, i+1)
			return b
		}
		if first == nil || b.at < first.at {
			first = b
		}
	}
	r.running--
	if first != nil && (r.timer == nil || first.at < r.timerAt) {
		if r.timer != nil {
			r.timer.Stop()
		}
		r.timer, r.timerAt = time.AfterFunc(clock.Span(t, first.at), later), first.at
	}
	return nil
}

// again has leases given back once more, unless they have ended by then, or the store closes.
func (r *returns) again(b *back, closing bool) {
	b.at = clock.Add(clock.Mono(), b.delay)
	b.delay = min(2*b.delay, lastAgain)
	r.mu.Lock()
	defer r.mu.Unlock()
	if closing || r.stopped || b.at >= b.gone {
		r.keys -= len(b.keys)
		return
	}
	r.waiting = append(r.waiting, b)
}

// done says that leases have been given back.
func (r *returns) done(b *back) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys -= len(b.keys)
}

// stop gives nothing back any more.
func (r *returns) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped, r.waiting = true, nil
	if r.timer != nil {
		r.timer.Stop()
	}
}
