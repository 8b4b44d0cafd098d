package faketier

import "sync/atomic"

// A hook is a function that a test may set while operations are under way: a store has work
// behind its callers. The zero hook is none.
type hook[F any] struct{ f atomic.Pointer[F] }

func (h *hook[F]) set(f F) { h.f.Store(&f) }

// get returns the function, or nil.
func (h *hook[F]) get() (f F) {
	if p := h.f.Load(); p != nil {
		f = *p
	}
	return f
}
