package load

import (
	"context"
	"fmt"
	"sync"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// A Handle is how a loader has a say in what becomes of the value that it loads. Once the
// loader has returned, the handle takes nothing any more. Its mutex guards what it was
// told. The methods of a nil Handle do nothing.
type Handle struct {
	loader *Loader
	copy   func(any) any // nil if values can be handed out as they are
	key    *Key          // nil in a load of many keys

	batch  *flight.Batch // of the load; nil for a loader that was called without a load
	parent *Handle       // of the load in which the caller who began this one is

	mu          sync.Mutex
	over        bool // the loader has returned
	given       policy.Call
	wrong       error // why given is not taken, once the loader has returned
	skip        bool
	failure     error
	notModified *entry.Item
}

type handleKey struct{}

// HandleOf returns the handle of the load that ctx belongs to, or nil if it belongs to
// none.
func HandleOf(ctx context.Context) *Handle {
	if h := handleOf(ctx); h != nil && h.batch != nil {
		return h
	}
	return nil
}

func handleOf(ctx context.Context) *Handle {
	if ctx == nil {
		return nil
	}
	h, _ := ctx.Value(handleKey{}).(*Handle)
	return h
}

// WithoutLoad returns a context for a loader that is called without a load.
func WithoutLoad(ctx context.Context) context.Context {
	if HandleOf(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, handleKey{}, &Handle{parent: handleOf(ctx)})
}

// Within reports whether ctx is that of a loader which f waits for: who joins f then waits
// for himself.
func Within(ctx context.Context, f interface{ In(*flight.Batch) bool }) bool {
	for h := handleOf(ctx); h != nil; h = h.parent {
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

// end takes no more. It fails if the options that the loader has given are wrong. Then none of
// them is taken, and nothing of the load is kept: it might be kept for too long, or under tags
// that do not reach it.
func (h *Handle) end(cache string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	if err := h.given.Check(policy.SetOptions); err != nil {
		h.wrong, h.given = fmt.Errorf("cachegen: SetOptions in a loader of %s: %w", cache, err), policy.Call{}
	}
	return h.wrong
}

// Change lets change alter the options and tags of the entry that is loaded.
func (h *Handle) Change(change func(*policy.Call)) { h.do(func() { change(&h.given) }) }

// Skip keeps the value from being stored.
func (h *Handle) Skip() { h.do(func() { h.skip = true }) }

// Fail makes the load a failure although the loader returns a value. Nil does nothing.
func (h *Handle) Fail(err error) {
	h.do(func() {
		if err != nil {
			h.failure = err
		}
	})
}

// Stale returns the value that is served if the load fails, and why it is being loaded all
// the same; event.NoValue if there is none.
func (h *Handle) Stale() (value any, why event.Reason) {
	it, why := h.stale()
	if it == nil {
		return nil, event.NoValue
	}
	if h.copy != nil {
		return h.copy(it.Value), why
	}
	return it.Value, why
}

func (h *Handle) stale() (it *entry.Item, why event.Reason) {
	h.do(func() {
		if h.key == nil {
			return
		}
		f := h.key.fallback
		if f.Item == nil || f.Item.Presence != entry.Present {
			return
		}
		it, why = f.Item, f.reason()
	})
	return it, why
}

// NotModified says that the stale value still holds, and reports whether that is accepted:
// an invalidation is not undone.
func (h *Handle) NotModified() bool {
	it, why := h.stale()
	if why != event.Elapsed && why != event.Due {
		return false
	}
	h.do(func() { h.notModified = it })
	return it != nil
}

// reason says why a key with a fallback is being loaded.
func (f Fallback) reason() event.Reason {
	it, t := f.Item, clock.Now()
	if it.Expired {
		return event.Invalidated
	}
	for _, ref := range it.Stamps {
		if current, _, ok := ref.Cell.Current(); !ok || current != ref.Value {
			return event.Invalidated
		}
	}
	switch {
	case f.Unconfirmed:
		return event.Unconfirmed
	case t < it.FreshUntil:
		return event.Due
	}
	return event.Elapsed
}
