package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/registry"
)

// Stores are the stores of a program by name, one of them the default. Copies
// share everything. The zero Stores has none, and no cache can be opened on it.
type Stores struct{ set *storeSet }

// A storeSet is what copies of one Stores share. It does not change, but for its
// functions, which have their own lock.
type storeSet struct {
	defaultName string
	byName      map[string]*Store
	options     policy.Options
	codec       Codec
	registry    registry.Functions
}

type storesConfig struct {
	options   policy.Options
	stores    []*Store
	codec     Codec
	logger    *slog.Logger
	hooks     event.Hooks
	breakFor  policy.Opt[time.Duration]
	overrides []registry.Override
	refused   []string // options that were given nil
}

type storesOption func(*storesConfig)

func (o storesOption) applyToStores(c *storesConfig) { o(c) }

// NewStores gathers stores and options that hold for all of them where a store
// itself does not give them. defaultName is the name of the default store. It fails if that
// store is missing, a name is given twice, or a store is in other Stores already. The stores
// stay the caller's then, who closes them.
// Caches should be opened after it: those opened before keep the options of then.
func NewStores(defaultName string, parts ...StoresOption) (Stores, error) {
	var c storesConfig
	for _, p := range parts {
		if p == nil {
			return Stores{}, errors.New("cachegen: new stores: one of its arguments is nil")
		}
		p.applyToStores(&c)
	}
	if err := c.checkStores(); err != nil {
		return Stores{}, fmt.Errorf("cachegen: new stores: %w", err)
	}
	set := &storeSet{
		defaultName: defaultName, byName: make(map[string]*Store, len(c.stores)),
		options: c.options, codec: c.codec, registry: registry.Functions{Overrides: c.overrides},
	}
	for _, s := range c.stores {
		if s == nil {
			return Stores{}, errors.New("cachegen: new stores: a store is nil")
		}
		if set.byName[s.Name()] != nil {
			return Stores{}, fmt.Errorf("cachegen: new stores: two stores named %q", s.Name())
		}
		set.byName[s.Name()] = s
	}
	if set.byName[defaultName] == nil {
		return Stores{}, fmt.Errorf("%w %q as the default of %s", ErrUnknownStore, defaultName, set.names())
	}
	for _, s := range c.stores {
		if err := (policy.Policy{}).Apply(c.options).Apply(s.config.options).Check(); err != nil {
			return Stores{}, fmt.Errorf("cachegen: new stores: store %s: %w", s.Name(), err)
		}
	}
	for i, s := range c.stores {
		if !s.set.CompareAndSwap(nil, set) {
			for _, claimed := range c.stores[:i] {
				claimed.set.Store(nil)
			}
			return Stores{}, fmt.Errorf("cachegen: new stores: store %q is part of other stores", s.Name())
		}
	}
	for _, s := range c.stores {
		s.rooms.Emit.Add(c.hooks)
		if c.logger != nil && s.config.Logger == nil {
			s.rooms.Emit.SetLogger(c.logger)
		}
		if c.breakFor.Given && !s.config.breakForSet {
			s.rooms.Remote.SetBreakFor(c.breakFor.Value)
		}
	}
	return Stores{set}, nil
}

func (c *storesConfig) checkStores() error {
	if len(c.refused) > 0 {
		return fmt.Errorf("%s: given nil", strings.Join(c.refused, ", "))
	}
	if c.breakFor.Value < 0 {
		return fmt.Errorf("L2CircuitBreakerDuration %v is negative", c.breakFor.Value)
	}
	for _, o := range c.overrides {
		if o.Name == "" {
			return errors.New("an Override names no function")
		}
		if err := policy.CheckOptions(o.Options); err != nil {
			return fmt.Errorf("override of %s: %w", o.Name, err)
		}
	}
	return policy.CheckOptions(c.options)
}

// functions returns the registry; nil for a store that is in no Stores.
func (set *storeSet) functions() *registry.Functions {
	if set == nil {
		return nil
	}
	return &set.registry
}

func (set *storeSet) names() string {
	names := make([]string, 0, len(set.byName))
	for name := range set.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return "[" + strings.Join(names, " ") + "]"
}

// Use returns the store of that name, or the default for "". An unknown name is
// [ErrUnknownStore].
func (s Stores) Use(name string) (*Store, error) {
	if s.set == nil {
		return nil, fmt.Errorf("%w %q: no stores", ErrUnknownStore, name)
	}
	if name == "" {
		name = s.set.defaultName
	}
	if store := s.set.byName[name]; store != nil {
		return store, nil
	}
	return nil, fmt.Errorf("%w %q: there are %s", ErrUnknownStore, name, s.set.names())
}

// Default returns the default store; nil on the zero Stores.
func (s Stores) Default() *Store {
	store, _ := s.Use("")
	return store
}

// Ready waits for every store. See [Store.Ready].
func (s Stores) Ready(ctx context.Context) error {
	return s.each(func(store *Store) error { return store.Ready(ctx) })
}

// Close closes every store. See [Store.Close].
func (s Stores) Close(ctx context.Context) error {
	return s.each(func(store *Store) error { return store.Close(ctx) })
}

func (s Stores) each(do func(*Store) error) error {
	if s.set == nil {
		return nil
	}
	var errs []error
	for _, store := range s.set.byName {
		errs = append(errs, do(store))
	}
	return errors.Join(errs...)
}
