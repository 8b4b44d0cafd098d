// Package handle is how a loader has a say in what becomes of the value that it loads, and how the
// runtime knows which loads a caller is a part of.
//
// A [Handle] is in the context of a loader. Its mutex guards what it was told; once the loader has
// returned, it takes nothing any more, and what it was told is read without a lock.
package handle

import (
	"context"
	"fmt"
	"sync"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/keytext"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// A Handle is that of one call of a loader. The methods of a nil Handle do nothing.
type Handle struct {
	copy   func(any) any                      // nil if values can be handed out as they are
	stale  func() (*entry.Item, event.Reason) // nil in a load of many keys
	batch  *flight.Batch                      // of the load; nil for a loader that was called without a load
	parent *Handle                            // of the load in which the caller who began this one is

	mu   sync.Mutex
	over bool // the loader has returned
	said Said
}

// Said is what a loader has said of the entry that it loads.
type Said struct {
	Given       policy.Call
	Wrong       error // why the options that it gave are not taken
	Skip        bool  // nothing is to be stored
	Failure     error // the load is a failure although there is a value
	NotModified *entry.Item
}

type handleKey struct{}

// New returns a context for a loader, with a handle for it. The caller who began the load is in
// parent, if that is waited for. Stale returns what is served if the load fails, and why it is being
// loaded all the same; it may be nil.
func New(ctx context.Context, batch *flight.Batch, nested bool, copy func(any) any, stale func() (*entry.Item, event.Reason)) (context.Context, *Handle) {
	h := &Handle{copy: copy, batch: batch, stale: stale}
	if nested {
		h.parent = of(ctx)
	}
	return context.WithValue(ctx, handleKey{}, h), h
}

// Of returns the handle of the load that ctx belongs to, or nil if it belongs to none.
func Of(ctx context.Context) *Handle {
	if h := of(ctx); h != nil && h.batch != nil {
		return h
	}
	return nil
}

func of(ctx context.Context) *Handle {
	if ctx == nil {
		return nil
	}
	h, _ := ctx.Value(handleKey{}).(*Handle)
	return h
}

// WithoutLoad returns a context for a loader that is called without a load.
func WithoutLoad(ctx context.Context) context.Context {
	if Of(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, handleKey{}, &Handle{parent: of(ctx)})
}

// Within reports whether ctx is that of a loader which f waits for: who joins f then waits
// for himself.
func Within(ctx context.Context, f interface{ In(*flight.Batch) bool }) bool {
	for h := of(ctx); h != nil; h = h.parent {
		switch {
		case h.batch == nil:
		case !h.running(): // nobody waits for what a loader has left behind
			return false
		case f.In(h.batch):
			return true
		case h.batch.Background(): // its parent does not wait for it, or need not
			return false
		}
	}
	return false
}

// Inside reports whether ctx is that of a loader that runs: what its caller waits for, others may
// wait for, too.
func Inside(ctx context.Context) bool {
	for h := of(ctx); h != nil; h = h.parent {
		if h.batch != nil {
			return h.running()
		}
	}
	return false
}

// do runs f unless the load is over.
func (h *Handle) do(f func()) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		f()
	}
}

// running reports whether the loader has not returned yet.
func (h *Handle) running() (running bool) {
	h.do(func() { running = true })
	return running
}

// End takes no more, and returns what the loader has said. If the options that it has given are
// wrong, none of them is taken, and nothing of the load is to be kept: it might be kept for too
// long, or under tags that do not reach it.
func (h *Handle) End(cache string) *Said {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	if err := h.said.Given.Check(policy.SetOptions); err != nil {
		h.said.Wrong, h.said.Given = fmt.Errorf("cachegen: SetOptions in a loader of %s: %w", keytext.Line(cache), err), policy.Call{}
	}
	return &h.said
}

// Change lets change alter the options and tags of the entry that is loaded.
func (h *Handle) Change(change func(*policy.Call)) { h.do(func() { change(&h.said.Given) }) }

// Skip keeps the value from being stored.
func (h *Handle) Skip() { h.do(func() { h.said.Skip = true }) }

// Fail makes the load a failure although the loader returns a value. Nil does nothing.
func (h *Handle) Fail(err error) {
	h.do(func() {
		if err != nil {
			h.said.Failure = err
		}
	})
}

// Stale returns the value that is served if the load fails, and why it is being loaded all
// the same; event.NoValue if there is none.
func (h *Handle) Stale() (value any, why event.Reason) {
	it, why := h.instead()
	if it == nil {
		return nil, event.NoValue
	}
	if h.copy != nil {
		return h.copy(it.Value), why
	}
	return it.Value, why
}

func (h *Handle) instead() (it *entry.Item, why event.Reason) {
	h.do(func() {
		if h.stale != nil {
			it, why = h.stale()
		}
	})
	return it, why
}

// NotModified says that the stale value still holds, and reports whether that is accepted:
// an invalidation is not undone.
func (h *Handle) NotModified() bool {
	it, why := h.instead()
	if it == nil || why != event.Elapsed && why != event.Due {
		return false
	}
	h.do(func() { h.said.NotModified = it })
	return true
}
