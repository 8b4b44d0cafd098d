package memory

import (
	"context"
	"sync"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
)

// How many keys' failures are remembered at a time, and how much memory they take: the
// budget of the tier is for values.
const (
	maxFailures     = 10_000
	maxFailureBytes = 16 << 20
)

// failures remembers the errors of loads for a while, so that a source that fails is not
// asked again by every caller.
type failures struct {
	mu    sync.Mutex
	byKey map[string]*Failure
	size  int // of all of them
}

// A Failure is the error of a load, with what an entry in its place would have had: how
// long it holds, and the stamps that invalidate it.
type Failure struct {
	entry.Item
	Err error
}

// NewFailure returns the failure of a load of key at a time, which holds until another.
// Its size is taken from the error's text: what else an error refers to is its own.
func NewFailure(key string, err error, at, until int64, stamps []entry.StampRef) *Failure {
	text := len(err.Error())
	return &Failure{Err: err, Item: entry.Item{
		Key: key, Size: entry.Overhead + len(key) + text, Stamps: stamps, FreshUntil: until, StaleUntil: until,
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
	f.drop(failure.Key)
	size := failure.Footprint()
	if len(f.byKey) >= maxFailures || f.size+size > maxFailureBytes {
		f.makeRoom(size)
	}
	if f.size+size <= maxFailureBytes {
		f.byKey[failure.Key], f.size = failure, f.size+size
	}
}

// drop is called under mu.
func (f *failures) drop(key string) {
	if failure := f.byKey[key]; failure != nil {
		delete(f.byKey, key)
		f.size -= failure.Footprint()
	}
}

// makeRoom is called under mu. It forgets what is over, and then, if that is not enough
// to last for a while, whatever comes.
func (f *failures) makeRoom(size int) {
	t := clock.Now()
	for key, failure := range f.byKey {
		if t >= failure.FreshUntil {
			f.drop(key)
		}
	}
	for key := range f.byKey {
		if len(f.byKey) <= maxFailures*7/8 && f.size+size <= maxFailureBytes*7/8 {
			return
		}
		f.drop(key)
	}
}

func (f *failures) forget(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(key)
}

func (f *failures) remove(failure *Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if failure != nil && f.byKey[failure.Key] == failure {
		f.drop(failure.Key)
	}
}

func (f *failures) forgetAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.byKey)
	f.size = 0
}
