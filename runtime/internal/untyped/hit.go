package untyped

import (
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/entry"
)

// Hit returns the value of the key with that text if it is fresh in memory. It does not
// allocate, unless the value has to be copied by reflection. Generated code copies what it
// gets: the value is the cache's own. A false may have any reason: the caller goes on with
// GetOrSet.
func (c *Cache) Hit(text []byte) (v any, ok bool) {
	b := c.bound.Load()
	if b == nil {
		return nil, false
	}
	it := b.memory.Hit(b.Kind.Prefix, b.prefixHash, text)
	if it != nil && b.plain() {
		return it.Value, true
	}
	return b.value(it)
}

// HitInt is [Cache.Hit] for the key whose text is the definition's IntPrefix and n.
func (c *Cache) HitInt(n int64) (v any, ok bool) {
	b := c.bound.Load()
	if b == nil {
		return nil, false
	}
	it := b.memory.HitInt(b.scope, b.scopeHash, n)
	if it != nil && b.plain() {
		return it.Value, true
	}
	return b.value(it)
}

// plain reports whether a hit is handed out as it is and nobody is told: the usual case,
// which is small enough to be inlined.
func (b *Binding) plain() bool {
	return b.generated && !b.disabled.Load() && b.emit.Hooks().Hit == nil
}

// hit returns the item of the key with that text, if it may be served.
func (b *Binding) hit(text []byte) *entry.Item {
	return b.served(b.memory.Hit(b.Kind.Prefix, b.prefixHash, text))
}

// served returns an item that was found in memory, if the cache is not disabled, and tells
// the hooks.
func (b *Binding) served(it *entry.Item) *entry.Item {
	if it == nil || b.disabled.Load() {
		return nil
	}
	if b.Emit.Hooks().Hit != nil {
		b.Emit.Hit(b.Kind.Cache, it, event.L1, false)
	}
	return it
}

// value returns the value of an item; nil says that there is none.
func (b *Binding) value(it *entry.Item) (v any, ok bool) {
	if it = b.served(it); it == nil {
		return nil, false
	}
	if b.generated {
		return it.Value, true
	}
	return b.Kind.Own(it.Value), true
}
