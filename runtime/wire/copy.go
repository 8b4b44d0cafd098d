package wire

import (
	"reflect"
	"unsafe"

	"github.com/cachegen/cachegen/runtime/internal/reflectvalue"
)

// CloneSlice returns a slice with memory of its own and the same elements. Nil
// stays nil, and empty empty.
func CloneSlice[S ~[]T, T any](s S) S {
	if s == nil {
		return nil
	}
	return append(make(S, 0, len(s)), s...)
}

// CloneMap is [CloneSlice] for a map.
func CloneMap[M ~map[K]V, K comparable, V any](m M) M {
	if m == nil {
		return nil
	}
	out := make(M, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// Copy returns a copy of v made by reflection: all that exported fields reach has
// memory of its own. It is for interfaces, and types that generated code cannot name.
func Copy[V any](v V) V { return reflectvalue.Copy(v) }

// Seen is what has been met of a value of a recursive type while it is copied or
// measured: the copies, or nothing.
type Seen map[place]any

// A place is where something is in memory.
type place struct {
	at  unsafe.Pointer
	len int // of a slice; -1 for others
}

// CopyPointer returns a pointer to a copy of what p points to. unshare gives the
// copy, which begins as one by assignment, memory of its own. What has been met is
// not copied again, so that cycles stay what they are.
func CopyPointer[T any](seen Seen, p *T, unshare func(*T, Seen)) *T {
	if p == nil {
		return nil
	}
	at := place{unsafe.Pointer(p), -1}
	if done, ok := seen[at].(*T); ok {
		return done
	}
	out := new(T)
	*out = *p
	seen[at] = out
	unshare(out, seen)
	return out
}

// CopySlice is [CopyPointer] for a slice, whose elements unshare sees to.
func CopySlice[S ~[]T, T any](seen Seen, s S, unshare func(*T, Seen)) S {
	if len(s) == 0 {
		return CloneSlice(s)
	}
	at := place{unsafe.Pointer(unsafe.SliceData(s)), len(s)}
	if done, ok := seen[at].(S); ok {
		return done
	}
	out := CloneSlice(s)
	seen[at] = out
	for i := range out {
		unshare(&out[i], seen)
	}
	return out
}

// CopyMap is [CopyPointer] for a map, whose values unshare sees to.
func CopyMap[M ~map[K]V, K comparable, V any](seen Seen, m M, unshare func(*V, Seen)) M {
	if m == nil {
		return nil
	}
	at := place{reflect.ValueOf(m).UnsafePointer(), -1}
	if done, ok := seen[at].(M); ok {
		return done
	}
	out := make(M, len(m))
	seen[at] = out
	for k, v := range m {
		unshare(&v, seen)
		out[k] = v
	}
	return out
}
