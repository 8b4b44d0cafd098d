package wire

import (
	"bytes"
	"cmp"
	"slices"
	"unsafe"
)

// Keys returns the keys of m in order, so that equal maps are written alike.
func Keys[M ~map[K]V, K cmp.Ordered, V any](m M) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// An Entry is a key of a map as it is written, and its value.
type Entry[V any] struct {
	Key   []byte
	Value V
}

// Entries returns what m holds, in the order of its keys' bytes, which encode
// writes. It is for keys that have no order, or that cannot be looked up.
func Entries[M ~map[K]V, K comparable, V any](e *Encoder, m M, encode func(*Encoder, K)) []Entry[V] {
	entries := make([]Entry[V], 0, len(m))
	for k, v := range m {
		data, err := Marshal(k, encode)
		if err != nil {
			e.Fail(err)
			return nil
		}
		entries = append(entries, Entry[V]{data, v})
	}
	slices.SortStableFunc(entries, func(a, b Entry[V]) int { return bytes.Compare(a.Key, b.Key) })
	return entries
}

// AsBytes returns the bytes of s, whose element type need not be byte itself.
func AsBytes[T ~uint8](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

// FromBytes is the inverse of [AsBytes].
func FromBytes[T ~uint8](s []byte) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}
