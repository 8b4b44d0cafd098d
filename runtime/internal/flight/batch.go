package flight

import (
	"context"
	"sync"
	"time"
)

// A Batch is the flights that one load serves: one for each key that it loads. The
// load is cancelled when nobody waits for any of them. Until then callers may join
// each of them. The zero Batch is ready, and serves one load.
type Batch struct {
	mu         sync.Mutex // locked while a shard's is held
	open       int        // flights that have not finished
	wanted     int        // those of them that have waiters, or that go on in the background
	abandoned  bool       // cancelled, because no flight was wanted
	background bool       // some flights go on although nobody waits
	refused    bool       // some were to, and may not
	cancel     context.CancelCauseFunc
	acquire    func() bool   // see OnDetach
	hurry      chan struct{} // closed when the load is to wait no longer; nil if it has not waited
	hurried    bool          // hurry is closed
	awaits     bool          // the load waits for somebody else's
	resumed    time.Time     // when it has last ceased to wait
}

// OnDetach says what has to allow the load to go on in the background. Without it, it may
// not. It is called before anyone else can join a flight of the batch.
func (b *Batch) OnDetach(acquire func() bool) { b.acquire = acquire }

// OnAbandoned says how to cancel the load when the last waiter of all its flights
// leaves. If that has happened already, cancel is called at once. stop takes it back.
func (b *Batch) OnAbandoned(cancel context.CancelCauseFunc) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.abandoned {
		cancel(ErrNoWaiters)
	}
	b.cancel = cancel
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.cancel = nil
	}
}

// Await says that the load waits for somebody else to load its keys, until [Batch.Resume]. The
// channel is closed when it is to wait no longer: see [Flight.Hurry].
func (b *Batch) Await() (hurry <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.awaits = true
	if b.hurry == nil {
		b.hurry = make(chan struct{})
	}
	return b.hurry
}

// Resume says that the load does not wait any more.
func (b *Batch) Resume() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.awaits, b.resumed = false, time.Now()
}

// hasten has the load wait no longer, now or later, if it waits. It returns since when it does
// not.
func (b *Batch) hasten() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.awaits {
		return b.resumed
	}
	if !b.hurried {
		b.hurried = true
		close(b.hurry)
	}
	return time.Now()
}

// Background reports whether the load goes on when nobody waits.
func (b *Batch) Background() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.background
}

// Left reports whether the load was cancelled because all who waited have given up, rather than
// because it may not go on in the background.
func (b *Batch) Left() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.abandoned && !b.refused
}

// add counts a new flight, which is wanted.
func (b *Batch) add(background bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open++
	b.wanted++
	b.background = b.background || background
}

// want counts a flight that was not wanted before. It returns false if the load has
// been cancelled.
func (b *Batch) want() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.abandoned {
		return false
	}
	b.wanted++
	return true
}

// unwant takes back a want.
func (b *Batch) unwant() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wanted--
	b.cancelIfUnwanted()
}

// finish counts a flight that has finished, and was wanted or not.
func (b *Batch) finish(wanted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	if wanted {
		b.wanted--
	}
	b.cancelIfUnwanted()
}

// cancelIfUnwanted is called under mu.
func (b *Batch) cancelIfUnwanted() {
	if b.wanted > 0 || b.open == 0 || b.abandoned {
		return
	}
	b.abandoned = true
	if b.cancel != nil {
		b.cancel(ErrNoWaiters)
	}
}

// detach lets the load go on in the background if it is allowed to.
func (b *Batch) detach() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.background && b.acquire != nil && b.acquire() {
		b.background = true
	}
	b.refused = !b.background
	return b.background
}
