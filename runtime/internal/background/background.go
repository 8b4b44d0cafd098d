// Package background runs what no caller waits for: a bounded number of loads and reads
// at a time, which end before the store is closed.
//
// The gate counts all work of the store, in the foreground too. Neither the gate nor the
// places are held by a lock while work runs.
package background

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"

	"github.com/cachegen/cachegen/runtime/internal/gate"
)

// ErrClosed is the error of work that does not begin, or is cancelled, because the store
// is closed.
var ErrClosed = errors.New("cachegen: store is closed")

// Work is all work of one store. Use [New].
type Work struct {
	gate.Gate
	// Context is that of work which no caller waits for. It ends with Cancel.
	Context context.Context
	Cancel  context.CancelFunc
	places  *semaphore.Weighted
}

// New returns Work with so many places in the background. Zero allows none.
func New(places int) *Work {
	ctx, cancel := context.WithCancel(context.Background())
	return &Work{Context: ctx, Cancel: cancel, places: semaphore.NewWeighted(int64(places))}
}

// TryAcquire takes a place in the background, if one is free. It ends with Release.
func (w *Work) TryAcquire() bool { return w.places.TryAcquire(1) }

// Release gives a place back.
func (w *Work) Release() { w.places.Release(1) }

// TryGo runs f in the background, if a place is free and the store is open.
func (w *Work) TryGo(f func(context.Context)) bool {
	if !w.TryAcquire() {
		return false
	}
	if !w.Enter() {
		w.Release()
		return false
	}
	go func() {
		defer w.Leave()
		defer w.Release()
		f(w.Context)
	}()
	return true
}
