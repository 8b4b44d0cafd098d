package drivers

// An L1 is a tier in the memory of one process: a bounded map from the 64-bit hash of a key to
// an item. What an item is, is up to the runtime; an L1 does not look into items. An L1 may
// evict any item at any time.
//
// The methods of an L1 are called by many goroutines at once, and must not block. A Get that
// starts after a Set, Delete or Clear has returned sees the effect of that call, unless the
// item has been evicted since.
type L1 interface {
	// Get returns the item that is stored under hash, or nil if there is none.
	Get(hash uint64) any
	// Set stores item under hash, in place of an item that is there already. item is never
	// nil. size is about how many bytes of memory the item takes, at least 1.
	//
	// An error says that item is not stored, and why. The item that was there before is then
	// removed, too, because it is out of date. The error wraps [ErrRefused] if item is too
	// large for any L1 with these options. To evict an item later is no error.
	Set(hash uint64, item any, size int) error
	// Delete removes the item of hash, if there is one.
	Delete(hash uint64)
	// Clear removes every item.
	Clear()
	// Len returns about how many items there are.
	Len() int
	// Close ends the background work of the tier. After Close, Get finds nothing and Set
	// stores nothing. Calling Close twice is safe.
	Close() error
}

// A Ranger is an [L1] that can list its items. A program can then save the items, and start
// with a warm cache the next time.
type Ranger interface {
	// Range calls f with each item that is present when Range is called, until f returns
	// false. The items that the tier would evict last come first, as far as the tier knows. An
	// item that is added or removed during the call may be left out. f may use the tier.
	Range(f func(item any) bool)
}

// RangerOf returns the [Ranger] of l1. ok is false if l1, or a driver behind l1, is not a
// Ranger.
func RangerOf(l1 L1) (r Ranger, ok bool) { return capability[Ranger](l1) }
