package runtime

import (
	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
)

// The methods of what nobody has made panic with a sentence that says what to make. must
// returns what those of a value that was made go on with. A nil Store is that of a cache which is
// not bound: those of its methods that have an error return ErrNotBound.

func (s Stores) must() *storeSet {
	if s.set == nil {
		panic("cachegen: zero Stores: make them with runtime.NewStores or OpenStore")
	}
	return s.set
}

// with calls do with the rooms of a store.
func (s *Store) with(do func(*store.Store) error) error {
	if s == nil {
		return ErrNotBound
	}
	return do(s.must())
}

func (s *Store) must() *store.Store {
	if s.rooms == nil {
		panic("cachegen: zero Store: make it with runtime.NewStore or OpenStore")
	}
	return s.rooms
}

func (n *Namespace) must() *Namespace {
	switch {
	case n == nil:
		panic("cachegen: nil Namespace: make it with Store.Namespace")
	case len(n.path) == 0:
		panic("cachegen: zero Namespace: make it with Store.Namespace")
	}
	return n
}

func (c *Collected) must() *collect.Collected {
	if c == nil || c.collected == nil {
		panic("cachegen: nil or zero Collected: make it with runtime.Collect")
	}
	return c.collected
}

func (c *Cache[K, V]) must() *untyped.Cache {
	if c == nil {
		panic("cachegen: nil Cache: make it with runtime.NewCache, or with the constructor of generated code")
	}
	return &c.untyped
}
