package runtime

import "github.com/cachegen/cachegen/runtime/internal/untyped"

// What nobody has made panics with a sentence that says what to make. must returns what the
// methods of a value that was made work with.

func (c *Cache[K, V]) must() *untyped.Cache {
	if c == nil {
		panicNilCache()
	}
	return &c.untyped
}

func panicNilCache() {
	panic("cachegen: nil Cache: make it with runtime.NewCache, or with the constructor of generated code")
}
