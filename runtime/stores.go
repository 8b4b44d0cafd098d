package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/runtime/event"
)

// Stores are the stores of a program by name, one of them the default. Copies
// share everything. The zero Stores has none, and no cache can be opened on it.
type Stores struct{ set *storeSet }

type storeSet struct {
	fallback  string
	byName    map[string]*Store
	settings  settings
	codec     Codec
	functions functions
}

type storesConfig struct {
	settings
	stores    []*Store
	codec     Codec
	logger    *slog.Logger
	hooks     event.Hooks
	breakFor  pause
	overrides []override
	refused   []string // options that were given nil
}

type storesOption func(*storesConfig)

func (o storesOption) applyToStores(c *storesConfig) { o(c) }

// NewStores gathers stores and options that hold for all of them where a store
// itself is silent. fallback is the name of the default store. It fails if that
// store is missing, a name is given twice, or a store is in other Stores already.
// Caches should be opened after it: those opened before keep the options of then.
func NewStores(fallback string, parts ...StoresOption) (Stores, error) {
	var c storesConfig
	for _, p := range parts {
		if p == nil {
			return Stores{}, errors.New("cachegen: new stores: a nil part")
		}
		p.applyToStores(&c)
	}
	if err := c.checkStores(); err != nil {
		return Stores{}, fmt.Errorf("cachegen: new stores: %w", err)
	}
	set := &storeSet{
		fallback: fallback, byName: make(map[string]*Store, len(c.stores)),
		settings: c.settings, codec: c.codec, functions: functions{overrides: c.overrides},
	}
	for _, s := range c.stores {
		if s == nil {
			return Stores{}, errors.New("cachegen: new stores: a nil store")
		}
		if set.byName[s.name] != nil {
			return Stores{}, fmt.Errorf("cachegen: new stores: two stores named %q", s.name)
		}
		set.byName[s.name] = s
	}
	if set.byName[fallback] == nil {
		return Stores{}, fmt.Errorf("%w %q as the default of %s", ErrUnknownStore, fallback, set.names())
	}
	for _, s := range c.stores {
		if err := s.settings.or(c.settings).check(); err != nil {
			return Stores{}, fmt.Errorf("cachegen: new stores: store %s: %w", s.name, err)
		}
	}
	for i, s := range c.stores {
		if !s.set.CompareAndSwap(nil, set) {
			for _, claimed := range c.stores[:i] {
				claimed.set.Store(nil)
			}
			return Stores{}, fmt.Errorf("cachegen: new stores: store %q is part of other stores", s.name)
		}
	}
	for _, s := range c.stores {
		hooks := event.Join(*s.hooks.Load(), c.hooks)
		s.hooks.Store(&hooks)
		if c.logger != nil && s.storeConfig.logger == nil {
			s.setLogger(c.logger)
		}
		if c.breakFor.given && !s.breakFor.given {
			s.breaker.PauseFor(c.breakFor.d)
		}
	}
	return Stores{set}, nil
}

func (c *storesConfig) checkStores() error {
	if len(c.refused) > 0 {
		return fmt.Errorf("%s: given nil", strings.Join(c.refused, ", "))
	}
	if c.breakFor.d < 0 {
		return fmt.Errorf("L2CircuitBreakerDuration %v is negative", c.breakFor.d)
	}
	for _, o := range c.overrides {
		if o.name == "" {
			return errors.New("an override of a function without a name")
		}
		var given call
		for _, option := range o.options {
			if option == nil {
				return fmt.Errorf("override of %s: a nil option", o.name)
			}
			option.applyToCall(&given)
		}
		if err := given.check(); err != nil {
			return fmt.Errorf("override of %s: %w", o.name, err)
		}
	}
	return c.check()
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
		name = s.set.fallback
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
	if s.set == nil {
		return nil
	}
	errs := make([]error, 0, len(s.set.byName))
	for _, store := range s.set.byName {
		errs = append(errs, store.Ready(ctx))
	}
	return errors.Join(errs...)
}

// Close closes every store. See [Store.Close].
func (s Stores) Close(ctx context.Context) error {
	if s.set == nil {
		return nil
	}
	errs := make([]error, 0, len(s.set.byName))
	for _, store := range s.set.byName {
		errs = append(errs, store.Close(ctx))
	}
	return errors.Join(errs...)
}

func (s *Store) applyToStores(c *storesConfig) { c.stores = append(c.stores, s) }
