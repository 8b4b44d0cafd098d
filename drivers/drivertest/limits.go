package drivertest

// Limits are the documented limits of a store. The zero value has none. A write beyond
// them has to be refused with [drivers.ErrRefused]; the result of a read or a delete of
// such a key is up to the driver.
type Limits struct {
	MaxKey     int // bytes; 0: the tests use keys up to 64 KB
	MaxValue   int // bytes; 0: the tests use values up to 64 MB
	NoEmptyKey bool
	// LargestValue bounds the values that the tests use, in bytes, for a store where
	// larger values take too long. 0: 64 MB.
	LargestValue int
	// LargestBatch bounds the batches that the tests use, in keys, for a store where
	// large batches take too long. At least 10; 0: 3000.
	LargestBatch int
}

func (l Limits) apply(o *options) { o.limit = l }

// largest returns the size in bytes of the largest value in the tests.
func (l Limits) largest() int {
	size := 64 << 20
	for _, limit := range []int{l.MaxValue, l.LargestValue} {
		if limit > 0 {
			size = min(size, limit)
		}
	}
	return size
}

// batch returns the number of keys for a test that would use n.
func (l Limits) batch(n int) int {
	if l.LargestBatch > 0 {
		return min(n, max(l.LargestBatch, 10))
	}
	return n
}

// longest returns the length in bytes of the longest key in the tests.
func (l Limits) longest() int {
	if l.MaxKey > 0 {
		return min(l.MaxKey, 64<<10)
	}
	return 64 << 10
}
