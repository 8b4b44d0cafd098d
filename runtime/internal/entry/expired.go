package entry

import (
	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// ExpiredValues returns what the values of keys in the shared tier are to be replaced with, so
// that the entries are stale.
func ExpiredValues(keys []string, values [][]byte) (swaps []drivers.Swap) {
	at := clock.Wall()
	for i, data := range values {
		if data == nil {
			continue
		}
		swap := drivers.Swap{Key: keys[i], Old: data}
		if h, value, err := Parse(data); err == nil && h.Expire(at) {
			swap.New, swap.TTL = Append(nil, &h, value), Lifetime(at, h.StaleUntil)
		}
		swaps = append(swaps, swap)
	}
	return swaps
}
