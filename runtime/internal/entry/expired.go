package entry

import (
	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// IsExpired reports whether no entry among the bytes of a key is fresh, because a user has expired
// them.
func IsExpired(data []byte) bool {
	headers, ok := Headers(data)
	for _, h := range headers {
		ok = ok && h.Flags&FlagExpired != 0
	}
	return ok
}

// ExpiredValues returns what the values of keys in the shared tier are to be replaced with, so
// that the entries are stale: all variants of each. A key of which nothing may be served as a
// stale value is removed.
func ExpiredValues(keys []string, values [][]byte) (swaps []drivers.Swap) {
	at := clock.Wall()
	for i, data := range values {
		if data == nil {
			continue
		}
		swap := drivers.Swap{Key: keys[i], Old: data}
		var left [][]byte
		var until int64
		for _, v := range variants(data) {
			if h, value, err := Parse(v); err == nil && h.Expire(at) {
				left = append(left, Append(nil, &h, value))
				until = max(until, h.StaleUntil)
			}
		}
		if left != nil {
			swap.New, swap.TTL = join(left), Lifetime(at, until)
		}
		swaps = append(swaps, swap)
	}
	return swaps
}
