package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/registry"
	"github.com/cachegen/cachegen/runtime/internal/store"
)

// A Store is a memory tier, a shared tier, or both, with what callers of all its
// caches share: one load per key, and the stamps of tags and namespaces. [NewStore]
// makes stores; the zero Store is not usable.
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

// NewStore makes a store. It needs a tier: [L1], [L2] or both. The name is what
// `store=` in a directive refers to. The store owns its tiers and bus from here
// on and closes them in [Store.Close], or here if NewStore fails; clients and
// database handles stay the caller's. What several stores have is closed with the
// last of them.
func NewStore(name string, options ...StoreOption) (*Store, error) {
	c := storeConfig{Config: store.Config{
		Name: name, MaxLoadTime: DefaultMaxLoadTime, L2Timeout: DefaultL2Timeout, StampTrust: DefaultStampTrust,
		BreakFor: DefaultL2CircuitBreakerDuration, Background: DefaultMaxBackground, Errors: publicErrors,
	}}
	for _, o := range options {
		if c.refuse(o == nil, "one of its options"); o != nil {
			o.applyToStore(&c)
		}
	}
	err := c.Config.Check()
	if len(c.refused) > 0 {
		err = fmt.Errorf("%s: given nil", strings.Join(c.refused, ", "))
	}
	var rooms *store.Store
	if err = errors.Join(err, policy.CheckOptions(c.options)); err != nil {
		c.Discard()
	} else {
		rooms, err = store.New(c.Config)
	}
	if err != nil {
		return nil, fmt.Errorf("cachegen: new store %q: %w", name, err)
	}
	return &Store{rooms: rooms, config: c}, nil
}

// Name returns the store's name.
func (s *Store) Name() string { return s.rooms.Name }

// checkDefaults fails if the store cannot be given defaults. Its mutex is held.
func (s *Store) checkDefaults(d *storeConfig) error {
	if s.opened != "" {
		return fmt.Errorf("%s has been opened in store %s already", s.opened, s.Name())
	}
	if err := policyOf(s.defaults.options, d.options, s.config.options).Check(); err != nil {
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

// Ready asks the shared tier whether it has all that it needs, if its driver can tell,
// and waits until the store is connected to its bus, or until ctx is done. A program need
// not wait: until then entries in memory are served for a short time only, and what was
// loaded before may have to be loaded again.
func (s *Store) Ready(ctx context.Context) error { return s.rooms.Ready(ctx) }

// Close stops the store: new loads, writes and reads past the memory tier fail
// with [ErrClosed]. It waits until running loads have ended and stored what they
// loaded, and tries again to carry out the invalidations that did not reach everyone,
// until ctx is done, or for 10 s if ctx has no deadline. Then it cancels the loads, and
// says how many calls and loads there were, and which invalidations are lost, with an
// [InvalidationError]. It closes the tiers and the bus, which may go on in the background
// if they take longer. It does not wait for what cannot succeed any more because a client
// is closed. Calling it again does nothing.
func (s *Store) Close(ctx context.Context) error { return s.rooms.Close(ctx) }

// Prune removes from the shared tier what nobody can read any more, and returns how much that
// was: what is past its deadlines, if the tier does not do so by itself, and what a tag, a
// namespace or a clear has made invalid, if the driver can list keys and compare and swap.
// It reads every entry. [Store.Clear] does it by itself.
func (s *Store) Prune(ctx context.Context) (int64, error) {
	n, err := s.rooms.Pruner.Prune(ctx)
	if err != nil {
		return n, fmt.Errorf("cachegen: prune store %s: %w", s.Name(), err)
	}
	return n, nil
}

// DeleteByTag removes every entry that has one of tags, in the time of one write,
// however many there are. An error is an [InvalidationError] or [ErrClosed]. Without
// tags there is nothing to do.
func (s *Store) DeleteByTag(ctx context.Context, tags ...Tag) error {
	if s == nil {
		return ErrNotBound
	}
	return s.rooms.Invalidate.DeleteByTag(ctx, tagNames(tags))
}

// ExpireByTag makes every entry that has one of tags stale. Those with a grace
// period may still be served when a loader fails or is slow. Otherwise it is as
// [Store.DeleteByTag].
func (s *Store) ExpireByTag(ctx context.Context, tags ...Tag) error {
	if s == nil {
		return ErrNotBound
	}
	return s.rooms.Invalidate.ExpireByTag(ctx, tagNames(tags))
}

// Clear removes every entry of the store, as [Namespace.Clear] does.
func (s *Store) Clear(ctx context.Context) error {
	if s == nil {
		return ErrNotBound
	}
	return s.rooms.Invalidate.Clear(ctx, entry.Cache{})
}
