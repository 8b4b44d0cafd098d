package runtime

import (
	"context"
	"slices"

	"github.com/cachegen/cachegen/runtime/internal/entry"
)

// A Namespace is a part of a store's keys that can be cleared by itself.
// Namespaces nest. Handles are cheap and hold nothing: two of one path are the
// same namespace, in every process. [Store.Namespace] makes them; the zero Namespace
// belongs to no store and is not usable.
type Namespace struct {
	store *Store
	path  []string
}

// Namespace returns the namespace of that name. Any string is a name; the empty
// one is a namespace like others, not the store.
func (s *Store) Namespace(name string) *Namespace { return &Namespace{s, []string{name}} }

// Namespace returns a namespace inside n.
func (n *Namespace) Namespace(name string) *Namespace {
	return &Namespace{n.store, append(slices.Clip(n.path), name)}
}

// Clear removes every entry of n and of the namespaces inside it, in the time of
// one write, however many there are. An error is an [InvalidationError] or
// [ErrClosed].
func (n *Namespace) Clear(ctx context.Context) error {
	if n.store == nil {
		return ErrNotBound
	}
	return n.store.rooms.Invalidate.Clear(ctx, entry.Cache{Namespace: n.path})
}
