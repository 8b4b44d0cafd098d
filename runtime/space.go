package runtime

import (
	"context"
	"slices"
)

// A Space is where a cache's entries live: a *[Store] or a *[Namespace] of one.
type Space interface{ space() (*Store, []string) }

func (s *Store) space() (*Store, []string) { return s, nil }

// A Namespace is a part of a store's keys that can be cleared by itself.
// Namespaces nest. Handles are cheap and hold nothing: two of one path are the
// same namespace, in every process.
type Namespace struct {
	store *Store
	path  []string
}

func (n *Namespace) space() (*Store, []string) { return n.store, n.path }

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
	return n.store.restamp(ctx, "clear", []string{namespaceStamp + joinNamespace(n.path)}, false)
}

// Clear removes every entry of the store, as [Namespace.Clear] does.
func (s *Store) Clear(ctx context.Context) error {
	return s.restamp(ctx, "clear", []string{storeStamp}, false)
}

// DeleteByTag removes every entry that has one of tags, in the time of one write,
// however many there are. An error is an [InvalidationError] or [ErrClosed]. No
// tags are nothing to do.
func (s *Store) DeleteByTag(ctx context.Context, tags ...Tag) error {
	return s.restamp(ctx, "delete by tag", tagNames(tags), false)
}

// ExpireByTag makes every entry that has one of tags stale. Those with a grace
// period may still stand in for a loader that fails or is slow. Otherwise it is as
// [Store.DeleteByTag].
func (s *Store) ExpireByTag(ctx context.Context, tags ...Tag) error {
	return s.restamp(ctx, "expire by tag", tagNames(tags), true)
}
