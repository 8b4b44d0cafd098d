package drivers

// An L1 is a bounded map inside the process, from the 64-bit hash of a key to an
// item. The driver does not look into items. It may evict any item at any time.
//
// Methods are called by many goroutines at once and must neither block nor fail.
// A Get that starts after a Set, Delete or Clear of the same hash has returned
// must see its effect, evictions aside.
type L1 interface {
	// Get returns the item of hash, or nil.
	Get(hash uint64) any
	// Set stores item, which is never nil, under hash in place of any other.
	// size is the item's approximate footprint in bytes, at least 1. An item
	// that the tier does not keep is dropped, together with the item it replaces:
	// the error says why, and wraps [ErrRefused] if no tier with these options keeps
	// an item of that size. That an item is evicted sooner or later is no error.
	Set(hash uint64, item any, size int) error
	// Delete removes the item of hash, if there is one.
	Delete(hash uint64)
	// Clear removes every item.
	Clear()
	// Len returns the approximate number of items.
	Len() int
	// Close stops the background work of the tier. Calling it twice is safe;
	// after it, Get finds nothing and Set keeps nothing.
	Close() error
}

// A Ranger is an [L1] that can list its items, so that a program can save them and
// start with a warm cache.
type Ranger interface {
	// Range calls f with each item that is present when Range is called, until f
	// returns false. The items that the tier would evict last come first, as far as the
	// tier knows. Items that are added or removed during the call may be left out or
	// not. f may use the tier.
	Range(f func(item any) bool)
}

// RangerOf returns the [Ranger] of l1; ok is false if l1, or a driver behind it, is none.
func RangerOf(l1 L1) (r Ranger, ok bool) { return capability[Ranger](l1) }
