package runtime

import (
	"context"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/store"
)

// A Namespace is a part of the keys of a store that can be cleared by itself. Namespaces nest.
// [Store.Namespace] makes them. A Namespace is a handle and holds nothing: two with one path are the
// same namespace, in every process. The methods of a zero or nil Namespace panic.
type Namespace struct {
	store *Store
	path  []string
}

// Namespace returns the namespace of that name. Every string is a name. The empty one is a namespace
// as others are, not the store.
func (s *Store) Namespace(name string) *Namespace {
	_ = s.with(func(*store.Store) error { return nil })
	return &Namespace{s, []string{name}}
}

// Namespace returns the namespace of that name inside n.
func (n *Namespace) Namespace(name string) *Namespace {
	return &Namespace{n.must().store, append(slices.Clip(n.path), name)}
}

// Clear deletes every entry of n and of the namespaces inside it, in memory, in the shared tier and
// in other processes. It takes the time of one write, however many entries there are. An error is
// an [InvalidationError] or [ErrClosed].
func (n *Namespace) Clear(ctx context.Context) error {
	return n.must().store.with(func(r *store.Store) error {
		return r.Invalidate.Clear(ctx, entry.Cache{Namespace: n.path}, n.store.mode())
	})
}
