package flight

import (
	"context"
	"sync"
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
	acquire    func() bool // see OnDetach
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
