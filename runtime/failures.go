package runtime

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
)

// maxFailures bounds how many keys' failures are remembered at a time.
const maxFailures = 10_000

// failures remembers the errors of loads for a while, so that a source that fails
// is not asked again by every caller.
type failures struct {
	mu    sync.Mutex
	byKey map[string]*failedLoad
}

// A failedLoad is an error with what an entry in its place would have had: how long
// it holds, and the stamps that invalidate it.
type failedLoad struct {
	item
	err error
}

func (f *failures) of(key string) *failedLoad {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byKey[key]
}

func (f *failures) keep(failed *failedLoad) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byKey == nil {
		f.byKey = make(map[string]*failedLoad)
	}
	if len(f.byKey) >= maxFailures {
		f.makeRoom()
	}
	f.byKey[failed.key] = failed
}

// makeRoom is called under mu. It forgets what is over, and then, if that is not
// enough to last for a while, whatever comes.
func (f *failures) makeRoom() {
	t := now()
	for key, failed := range f.byKey {
		if t >= failed.freshUntil {
			delete(f.byKey, key)
		}
	}
	for key := range f.byKey {
		if len(f.byKey) <= maxFailures*7/8 {
			return
		}
		delete(f.byKey, key)
	}
}

func (f *failures) forget(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byKey, key)
}

// take forgets a failure, but not a later one of its key.
func (f *failures) take(failed *failedLoad) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if failed != nil && f.byKey[failed.key] == failed {
		delete(f.byKey, failed.key)
	}
}

func (f *failures) forgetAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.byKey)
}

// failed returns the error of a load of key that a call need not try again.
func (c *core) failed(ctx context.Context, rq *request, key string) error {
	if rq.set.errorTTL <= 0 {
		return nil
	}
	failed := c.store.failures.of(key)
	if failed == nil || c.store.judge(ctx, &failed.item) != fresh {
		return nil
	}
	return failed.err
}

// failureStamps returns the stamps by which the failure of a load is invalidated: those
// of the value that there would have been, as far as the loader has told its tags. The
// shared tier is not asked for them. They are not sure if one may be younger than the
// load.
func (c *core) failureStamps(l *loading, p *part) (stamps []stampRef, sure bool) {
	if p.entry == nil || len(p.entry.given.tags) == 0 {
		return p.stamps, true
	}
	s := c.store
	cells := c.untold(p.stamps, p.entry.given.tags)
	if s.l2 == nil {
		s.provide(cells, math.MaxInt64)
	} else {
		s.provide(cells, now())
	}
	refs := current(cells)
	for _, ref := range refs {
		known := ref.cell.KnownSince(l.known) || ref.cell.Provided(ref.Value)
		if !known || s.stamps.ChangedSince(ref.cell.Name, p.flight.Epoch) { // after reading it
			return nil, false
		}
	}
	return slices.Concat(p.stamps, refs), true
}

// remember keeps the failure of a part's load, unless the key has been invalidated
// or loaded meanwhile. at is when it failed. It returns what it keeps.
func (c *core) remember(p *part, set settings, stamps []stampRef, err error, at int64) *failedLoad {
	if set.errorTTL <= 0 || errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed) {
		return nil
	}
	until := deadline(at, int64(set.errorTTL))
	failed := &failedLoad{err: err, item: item{
		key: p.key, stamps: stamps, freshUntil: until, staleUntil: until,
		loadStarted: at, kept: at, lookAgain: never, refreshAt: never,
	}}
	s := c.store
	s.stripes.Do(p.hash, func() {
		if !p.flight.Poisoned() && !p.kept {
			s.failures.keep(failed)
		}
	})
	return failed
}
