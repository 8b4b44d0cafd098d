package entry

import "slices"

// Distinct removes repetitions from a list, in place.
func Distinct[T comparable](list []T) []T {
	if len(list) < 2 {
		return list
	}
	seen := make(map[T]bool, len(list))
	return slices.DeleteFunc(list, func(e T) bool {
		again := seen[e]
		seen[e] = true
		return again
	})
}

// InPlaceOf returns the values of some of keys, in their order, in the places of keys.
func InPlaceOf(keys, some []string, values [][]byte) [][]byte {
	if len(some) == len(keys) {
		return values
	}
	all := make([][]byte, len(keys))
	for i, key := range keys {
		if len(some) > 0 && key == some[0] {
			all[i] = values[0]
			some, values = some[1:], values[1:]
		}
	}
	return all
}
