package memory

import (
	"context"
	"sync"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
)

// maxFailures bounds how many keys' failures are remembered at a time.
const maxFailures = 10_000

// failures remembers the errors of loads for a while, so that a source that fails is not
// asked again by every caller.
type failures struct {
	mu    sync.Mutex
	byKey map[string]*Failure
}

// A Failure is the error of a load, with what an entry in its place would have had: how
// long it holds, and the stamps that invalidate it.
type Failure struct {
	entry.Item
	Err error
}

// NewFailure returns the failure of a load of key at a time, which holds until another.
func NewFailure(key string, err error, at, until int64, stamps []entry.StampRef) *Failure {
	return &Failure{Err: err, Item: entry.Item{
		Key: key, Stamps: stamps, FreshUntil: until, StaleUntil: until,
		LoadStarted: at, ObtainedAt: at, RecheckAt: clock.Never, RefreshAt: clock.Never,
	}}
}

// Failed returns the error of a load of key that is remembered and still holds, or nil.
func (m *Memory) Failed(ctx context.Context, key string) error {
	failure := m.failures.of(key)
	if failure == nil || m.Check(ctx, &failure.Item) != Fresh {
		return nil
	}
	return failure.Err
}

// RememberFailure keeps the failure of a flight's load, unless the key has been
// invalidated or loaded meanwhile.
func (m *Memory) RememberFailure(hash uint64, f *Flight, failure *Failure) {
	m.Fence.Do(hash, func() {
		if !f.Poisoned() && !f.Kept() {
			failure.Confirm(m.stamps.Generation(), failure.ObtainedAt)
			m.failures.keep(failure)
		}
	})
}

// ForgetFailure forgets a failure, but not a later one of its key. Nil is no failure.
func (m *Memory) ForgetFailure(failure *Failure) { m.failures.remove(failure) }

func (f *failures) of(key string) *Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byKey[key]
}

func (f *failures) keep(failure *Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byKey == nil {
		f.byKey = make(map[string]*Failure)
	}
	if len(f.byKey) >= maxFailures {
		f.makeRoom()
	}
	f.byKey[failure.Key] = failure
}

// makeRoom is called under mu. It forgets what is over, and then, if that is not enough
// to last for a while, whatever comes.
func (f *failures) makeRoom() {
	t := clock.Now()
	for key, failure := range f.byKey {
		if t >= failure.FreshUntil {
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

func (f *failures) remove(failure *Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if failure != nil && f.byKey[failure.Key] == failure {
		delete(f.byKey, failure.Key)
	}
}

func (f *failures) forgetAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.byKey)
}
