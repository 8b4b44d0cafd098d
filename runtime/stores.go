package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/registry"
)

// Stores are the stores of a program, by name. One of them is the default store. [OpenStore] and
// [NewStores] make a Stores. A Stores is a handle: copies of it share everything. Its methods
// may be called by several goroutines. The methods of a zero Stores panic.
type Stores struct{ set *storeSet }

// A storeSet is what copies of one Stores share. Only functions changes.
type storeSet struct {
	defaultName string
	byName      map[string]*Store
	functions   registry.All
}

// OpenStore is for a program with one store: it makes the store, as [NewStore] does, and returns
// a Stores that has this store alone. If OpenStore fails, it closes the tiers and the bus that
// it was given.
func OpenStore(name string, options ...StoreOption) (Stores, error) {
	s, err := NewStore(name, options...)
	if err != nil {
		return Stores{}, err
	}
	return NewStores(s)
}

// NewStores returns a Stores that has the stores of a program. def is the default store, which
// functions use whose directive names no store. NewStores fails if a store is nil, if two stores
// have one name, or if a store is already in another Stores. If NewStores fails, it closes the
// stores that it was given, except those in another Stores. [Stores.SetDefaults] gives options
// to all stores.
func NewStores(def *Store, more ...*Store) (Stores, error) {
	all := append([]*Store{def}, more...)
	set := &storeSet{byName: make(map[string]*Store, len(all))}
	err := set.gather(all)
	if err == nil {
		set.defaultName = def.Name()
		for _, s := range all {
			set.functions.Stores = append(set.functions.Stores, &s.functions)
		}
		return Stores{set}, nil
	}
	for _, s := range all {
		if s != nil && s.set.CompareAndSwap(nil, set) {
			_ = s.Close(context.Background()) // the caller hears why there are no stores
		}
	}
	return Stores{}, fmt.Errorf("cachegen: new stores: %w", err)
}

// gather makes stores part of the set: all of them, or none.
func (set *storeSet) gather(all []*Store) error {
	for _, s := range all {
		if s == nil {
			return errors.New("a store is nil")
		}
		if set.byName[s.Name()] != nil {
			return fmt.Errorf("two stores named %q", s.Name())
		}
		set.byName[s.Name()] = s
	}
	for i, s := range all {
		if !s.set.CompareAndSwap(nil, set) {
			for _, claimed := range all[:i] {
				claimed.set.Store(nil)
			}
			return fmt.Errorf("store %q is part of other stores", s.Name())
		}
	}
	return nil
}

// SetDefaults gives all stores options, which hold where a store itself has not been given them.
// SetDefaults takes each [Option], [Logger], [WithCodec], [L2CircuitBreakerDuration] and
// [Hooks], which are called in addition to the hooks of a store. SetDefaults fails, and changes
// nothing, if an option is one of a single store, as [L1] is, if the options contradict each
// other or those of a store, or if a cache has been opened already, which would keep the options
// that it was opened with.
func (s Stores) SetDefaults(options ...StoreOption) error {
	var d storeConfig
	stores := s.sorted()
	err := d.takeDefaults(options)
	for _, store := range stores { // caches wait to be opened
		store.mu.Lock()
		defer store.mu.Unlock()
	}
	for _, store := range stores {
		if err == nil {
			err = store.checkDefaults(&d)
		}
	}
	if err != nil {
		return fmt.Errorf("cachegen: set defaults: %w", err)
	}
	for _, store := range stores {
		store.setDefaults(&d)
	}
	return nil
}

// sorted returns the stores by name.
func (s Stores) sorted() []*Store {
	set := s.must()
	var all []*Store
	for _, name := range slices.Sorted(maps.Keys(set.byName)) {
		all = append(all, set.byName[name])
	}
	return all
}

// Use returns the store of a name, or the default store if name is empty. If there is no such
// store, the error is [ErrUnknownStore].
func (s Stores) Use(name string) (*Store, error) {
	set := s.must()
	if name == "" {
		name = set.defaultName
	}
	if store := set.byName[name]; store != nil {
		return store, nil
	}
	return nil, fmt.Errorf("%w %q: there are [%s]", ErrUnknownStore, name, strings.Join(slices.Sorted(maps.Keys(set.byName)), " "))
}

// Default returns the default store.
func (s Stores) Default() *Store {
	store, _ := s.Use("")
	return store
}

// Ready waits until every store is ready: see [Store.Ready].
func (s Stores) Ready(ctx context.Context) error {
	return s.each(func(store *Store) error { return store.Ready(ctx) })
}

// Close closes every store: see [Store.Close].
func (s Stores) Close(ctx context.Context) error {
	return s.each(func(store *Store) error { return store.Close(ctx) })
}

func (s Stores) each(do func(*Store) error) error {
	var errs []error
	for _, store := range s.sorted() {
		errs = append(errs, do(store))
	}
	return errors.Join(errs...)
}

// policyOf returns what holds where options are given to a store, which may leave out the TTL.
func policyOf(levels ...policy.Options) policy.Policy {
	p := policy.Policy{TTL: DefaultTTL, GraceBackoff: DefaultGraceBackoff, SuppressL2Errors: true}
	for _, o := range levels {
		p = p.Apply(o)
	}
	return p
}
