package runtime

import (
	"context"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/runtime/event"
)

// A Keyspace is where the entries of a cache are: a *[Store] or a *[Namespace] of one.
type Keyspace interface{ keyspace() (*Store, []string) }

func (s *Store) keyspace() (*Store, []string) { return s, nil }

// A Namespace is a part of a store's keys that can be cleared by itself.
// Namespaces nest. Handles are cheap and hold nothing: two of one path are the
// same namespace, in every process. [Store.Namespace] makes them; the zero Namespace is
// of no store, and cannot be used.
type Namespace struct {
	store *Store
	path  []string
}

func (n *Namespace) keyspace() (*Store, []string) {
	if n == nil {
		return nil, nil
	}
	return n.store, n.path
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
	return n.store.clear(ctx, namespaceStamp+joinNamespace(n.path), event.Invalidation{Namespace: strings.Join(n.path, "/")})
}

// Clear removes every entry of the store, as [Namespace.Clear] does.
func (s *Store) Clear(ctx context.Context) error {
	return s.clear(ctx, storeStamp, event.Invalidation{})
}

// clear changes one stamp and tells of it.
func (s *Store) clear(ctx context.Context, name string, e event.Invalidation) error {
	if s == nil {
		return ErrNotBound
	}
	err := s.restamp(ctx, "clear", []string{name}, false)
	if err != ErrClosed {
		e.Store, e.Err = s.name, err
		emit(s, s.hooks.Load().Cleared, e)
	}
	return err
}

// byTag is [Store.restamp] for tags.
func (s *Store) byTag(ctx context.Context, op string, tags []Tag, expire bool, hook func(event.Invalidation)) error {
	tags = distinct(slices.Clone(tags))
	err := s.restamp(ctx, op, tagNames(tags), expire)
	if hook != nil && len(tags) > 0 && err != ErrClosed {
		names := make([]string, len(tags))
		for i, t := range tags {
			names[i] = string(t)
		}
		emit(s, hook, event.Invalidation{Store: s.name, Tags: names, Err: err})
	}
	return err
}

// DeleteByTag removes every entry that has one of tags, in the time of one write,
// however many there are. An error is an [InvalidationError] or [ErrClosed]. No
// tags are nothing to do.
func (s *Store) DeleteByTag(ctx context.Context, tags ...Tag) error {
	if s == nil {
		return ErrNotBound
	}
	return s.byTag(ctx, "delete by tag", tags, false, s.hooks.Load().Deleted)
}

// ExpireByTag makes every entry that has one of tags stale. Those with a grace
// period may still stand in for a loader that fails or is slow. Otherwise it is as
// [Store.DeleteByTag].
func (s *Store) ExpireByTag(ctx context.Context, tags ...Tag) error {
	if s == nil {
		return ErrNotBound
	}
	return s.byTag(ctx, "expire by tag", tags, true, s.hooks.Load().Expired)
}
