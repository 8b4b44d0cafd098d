package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/registry"
	"github.com/cachegen/cachegen/runtime/internal/store"
)

// A Store has a memory tier, a shared tier or both, and what all caches in the store share: one
// load for each key at a time, the stamps by which tags and namespaces are invalidated, and the
// bus. [NewStore] makes a Store. Its methods may be called by several goroutines. The methods of
// a zero Store panic. [Cache.Store] of a cache that is not bound returns a nil Store, whose
// methods return [ErrNotBound].
type Store struct {
	rooms     *store.Store
	config    storeConfig
	set       atomic.Pointer[storeSet] // of the Stores that this store is part of
	claims    registry.Claims
	functions registry.Functions

	mu       sync.Mutex // guards what follows: a cache is opened with all defaults, or they are refused
	defaults storeConfig
	opened   string // a cache that has been opened; empty for none
}

// NewStore makes a store, which needs [L1], [L2] or both. A directive calls the store by name,
// with store=NAME. The tiers and the bus belong to the store: [Store.Close] closes them, and so
// does NewStore if it fails. A driver that several stores have been given is closed with the
// last of them. Clients and database handles that drivers use stay open; the caller closes them.
func NewStore(name string, options ...StoreOption) (*Store, error) {
	c := storeConfig{Config: store.Config{
		Name: name, MaxLoadTime: DefaultMaxLoadTime, L2Timeout: DefaultL2Timeout, StampTrust: DefaultStampTrust,
		OutboxPoll: DefaultOutboxPoll, BreakFor: DefaultL2CircuitBreakerDuration, Background: DefaultMaxBackground, Errors: publicErrors,
	}}
	for _, o := range options {
		if c.Refuse(o == nil, "one of its options"); o != nil {
			o.applyToStore(&c)
		}
	}
	var rooms *store.Store
	err := errors.Join(c.Check(), policy.CheckOptions(c.options))
	if err != nil {
		c.Discard()
	} else {
		rooms, err = store.New(c.Config)
	}
	if err != nil {
		return nil, fmt.Errorf("cachegen: new store %q: %w", name, err)
	}
	return &Store{rooms: rooms, config: c}, nil
}

// Name returns the name of the store. The name of a nil Store is empty.
func (s *Store) Name() (name string) {
	_ = s.with(func(r *store.Store) error { name = r.Name; return nil })
	return name
}

// checkDefaults fails if the store cannot be given defaults. Its mutex is held.
func (s *Store) checkDefaults(d *storeConfig) error {
	if s.opened != "" {
		return fmt.Errorf("%s has been opened in store %s already: set defaults before the first cache is made", s.opened, s.Name())
	}
	// Where nobody gives a TTL, functions may, as they may beside the options of NewStore.
	given := policy.Policy{}.Apply(s.defaults.options).Apply(d.options).Apply(s.config.options)
	if err := given.Check(); err != nil {
		return fmt.Errorf("store %s: %w", s.Name(), err)
	}
	return nil
}

// setDefaults takes over defaults that checkDefaults accepts. Its mutex is held.
func (s *Store) setDefaults(d *storeConfig) {
	s.defaults.options = s.defaults.options.Merge(d.options)
	if d.codec != nil {
		s.defaults.codec = d.codec
	}
	s.rooms.Emit.Add(d.Hooks)
	if d.Logger != nil && s.config.Logger == nil {
		s.rooms.Emit.SetLogger(d.Logger)
	}
	if d.breakForSet && !s.config.breakForSet {
		s.rooms.Remote.SetBreakFor(d.BreakFor)
	}
}

// given returns what a cache is opened with: the policy that holds where the cache says nothing
// itself, and the codec of values that have no generated one. The store's mutex is held.
func (s *Store) given() (policy.Policy, Codec) {
	codec := MsgPack()
	if s.defaults.codec != nil {
		codec = s.defaults.codec
	}
	if s.config.codec != nil {
		codec = s.config.codec
	}
	return policyOf(s.defaults.options, s.config.options), codec
}

// mode is how what concerns no single cache is invalidated.
func (s *Store) mode() invalidate.Mode {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, _ := s.given()
	return invalidate.ModeOf(&p)
}

// Ready waits until the store is connected to its bus, or until ctx is done. If the driver of the
// shared tier can tell, Ready first asks whether the tier has all that it needs, such as its table.
// A program need not call Ready: while the bus is not connected, entries in memory are served for a
// short time only, and what was loaded before may be loaded again.
func (s *Store) Ready(ctx context.Context) error {
	return s.with(func(r *store.Store) error { return r.Ready(ctx) })
}

// Close closes the store. From now on loads, writes, and reads that memory cannot answer fail
// with [ErrClosed]. Close waits until the loads that run have ended and their values are stored,
// and tries once more the invalidations that have not reached the shared tier or the other
// processes. Close waits until ctx is done, or for 10 s if ctx has no deadline. Then Close
// cancels the loads that still run, and closes the tiers and the bus; if these take longer, they
// are closed in the background. The error says how many loads were still running, and has an
// [InvalidationError] for the invalidations that are lost. If a client was closed before, Close
// does not wait for what needs the client. A second Close does nothing and returns nil.
func (s *Store) Close(ctx context.Context) error {
	return s.with(func(r *store.Store) error { return r.Close(ctx) })
}

// Prune removes entries from the shared tier that nobody can read any more, and returns how
// many. Prune removes entries whose time is over, if the tier does not do so itself. If the
// driver can list keys, and can compare and swap, Prune also removes entries that a tag, a
// namespace or a clear has invalidated. Prune reads every entry. After a [Store.Clear] the store
// prunes in the background.
func (s *Store) Prune(ctx context.Context) (n int64, err error) {
	return n, s.with(func(r *store.Store) error {
		if n, err = r.Pruner.Prune(ctx); err != nil {
			err = fmt.Errorf("cachegen: prune store %s: %w", r.Name, err)
		}
		return err
	})
}

// DeleteByTag deletes every entry that has one of tags, in the memory of all processes and in
// the shared tier. DeleteByTag takes the time of one write, however many entries there are. An
// error is an [InvalidationError] or [ErrClosed]. Without tags DeleteByTag does nothing.
func (s *Store) DeleteByTag(ctx context.Context, tags ...Tag) error {
	return s.with(func(r *store.Store) error { return r.Invalidate.DeleteByTag(ctx, tagNames(tags), s.mode()) })
}

// ExpireByTag makes every entry stale that has one of tags. A stale value whose [Grace] is not
// over may still be served, when its load fails or is slow. Otherwise ExpireByTag is like
// [Store.DeleteByTag].
func (s *Store) ExpireByTag(ctx context.Context, tags ...Tag) error {
	return s.with(func(r *store.Store) error { return r.Invalidate.ExpireByTag(ctx, tagNames(tags), s.mode()) })
}

// Clear deletes all entries of the store, of every cache and namespace, as [Namespace.Clear]
// does for one namespace.
func (s *Store) Clear(ctx context.Context) error {
	return s.with(func(r *store.Store) error { return r.Invalidate.Clear(ctx, entry.Cache{}, s.mode()) })
}
