package runtime

import (
	"context"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/store"
)

// A Namespace is a part of a store, with keys of its own, that can be cleared by itself.
// Namespaces nest. [Store.Namespace] makes a Namespace. A Namespace is a handle and holds
// nothing: two with the same names are the same namespace, in every process. The methods of a
// zero or nil Namespace panic.
type Namespace struct {
	store *Store
	path  []string
}

// Namespace returns the namespace of the given name. Every string is a name; the namespace whose
// name is empty is a namespace like others, and not the whole store.
func (s *Store) Namespace(name string) *Namespace {
	if s != nil { // a namespace of a nil store is not bound, as the store is not
		s.must()
	}
	return &Namespace{s, []string{name}}
}

// Namespace returns the namespace of the given name inside n.
func (n *Namespace) Namespace(name string) *Namespace {
	return &Namespace{n.must().store, append(slices.Clip(n.path), name)}
}

// Clear deletes all entries of n and of the namespaces inside n, in the memory of all processes
// and in the shared tier. Clear takes the time of one write, however many entries there are. An
// error is an [InvalidationError] or [ErrClosed].
func (n *Namespace) Clear(ctx context.Context) error {
	return n.must().store.with(func(r *store.Store) error {
		return r.Invalidate.Clear(ctx, entry.Cache{Namespace: n.path}, n.store.mode())
	})
}
