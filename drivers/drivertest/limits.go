package drivertest

// Limits are what a shared tier documents as its limits. The zero value is no limit. The tests
// check that a write beyond a limit is refused with [drivers.ErrRefused]. What a read or a
// delete of such a key does is up to the driver.
type Limits struct {
	MaxKey     int  // how many bytes a key may have; if zero, the tests use keys up to 64 KB
	MaxValue   int  // how many bytes a value may have; if zero, the tests use values up to 64 MB
	NoEmptyKey bool // the empty key is refused
	// LargestValue is how many bytes the values of the tests have at most, for a tier where
	// larger ones take too long. If zero, 64 MB.
	LargestValue int
	// LargestBatch is how many keys the batches of the tests have at most, for a tier where
	// larger ones take too long. No less than 10; if zero, 3000.
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
