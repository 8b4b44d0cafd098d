package wire

import (
	"reflect"
	"unsafe"

	"github.com/cachegen/cachegen/runtime/internal/reflectvalue"
)

// Sizes are in bytes, and estimates. Those of what refers to memory count that
// memory, but not what is referred to from there.

// PointerSize is how large what p points to is; 0 if it is nil.
func PointerSize[T any](p *T) int {
	if p == nil {
		return 0
	}
	return int(unsafe.Sizeof(*p))
}

// SliceSize is how large the array behind s is.
func SliceSize[S ~[]T, T any](s S) int { return cap(s) * int(unsafe.Sizeof(*new(T))) }

// MapSize is about how large m is; 0 if it is nil.
func MapSize[M ~map[K]V, K comparable, V any](m M) int {
	if m == nil {
		return 0
	}
	return reflectvalue.MapSize(len(m), int(unsafe.Sizeof(*new(K))), int(unsafe.Sizeof(*new(V))))
}

// Size is what the value that v points to refers to, found by reflection. It is for
// values that generated code cannot look into.
func Size[V any](v *V) int { return reflectvalue.Size(*v) - int(unsafe.Sizeof(*v)) }

// first reports whether seen has not met a place yet, and remembers it.
func (seen Seen) first(at place) bool {
	_, met := seen[at]
	seen[at] = nil
	return !met
}

// SizePointer is [PointerSize] with what size finds behind that. What has been met
// counts nothing.
func SizePointer[T any](seen Seen, p *T, size func(*T, Seen) int) int {
	if p == nil || !seen.first(place{unsafe.Pointer(p), -1}) {
		return 0
	}
	return PointerSize(p) + size(p, seen)
}

// SizeSlice is [SizePointer] for a slice.
func SizeSlice[S ~[]T, T any](seen Seen, s S, size func(*T, Seen) int) int {
	if cap(s) == 0 || !seen.first(place{unsafe.Pointer(unsafe.SliceData(s)), len(s)}) {
		return 0
	}
	n := SliceSize(s)
	for i := range s {
		n += size(&s[i], seen)
	}
	return n
}

// SizeMap is [SizePointer] for a map, whose entries size looks behind.
func SizeMap[M ~map[K]V, K comparable, V any](seen Seen, m M, size func(K, *V, Seen) int) int {
	if m == nil || !seen.first(place{reflect.ValueOf(m).UnsafePointer(), -1}) {
		return 0
	}
	n := MapSize(m)
	for k, v := range m {
		n += size(k, &v, seen)
	}
	return n
}
