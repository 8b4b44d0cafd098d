package runtime

import (
	"fmt"

	"github.com/cachegen/cachegen/runtime/event"
)

// none is where a store without hooks points to.
var none event.Hooks

// emit calls a hook if there is one.
func emit[E any](s *Store, hook func(E), e E) {
	if hook == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.warn("hook panicked", fmt.Errorf("%v", p))
		}
	}()
	hook(e)
}

// sayHit tells of an item that was served.
func (c *core) sayHit(it *item, tier event.Tier, stale bool) {
	s := c.store
	emit(s, s.hooks.Load().Hit, event.Hit{Store: s.name, Cache: c.name, Key: it.key, Tier: tier, Stale: stale, NotFound: it.presence != present})
}

func (c *core) sayMiss(key string) {
	s := c.store
	emit(s, s.hooks.Load().Miss, event.Miss{Store: s.name, Cache: c.name, Key: key})
}
