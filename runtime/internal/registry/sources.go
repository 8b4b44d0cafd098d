package registry

import (
	"fmt"
	"reflect"
	"sync"
)

// Sources remember, of one store, which value each cached method was opened around first: two
// values in one cache would get what the other has loaded. They keep the values, so that what
// they answer does not depend on the garbage collector. The zero value is ready.
type Sources struct {
	mu    sync.Mutex
	first map[place]any
}

// A place is where the entries of one function are: the prefix of their keys, and the function's
// name.
type place struct{ prefix, name string }

// Claim fails with a [SourceError] if the function of that name has another source under the
// prefix of its keys. A source that a failed transaction has claimed is forgotten.
func (s *Sources) Claim(t *Transaction, prefix, name string, source any) error {
	at := place{prefix, name}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.first[at]; ok {
		if same(first, source) {
			return nil
		}
		return &SourceError{First: first, Second: source}
	}
	if s.first == nil {
		s.first = make(map[place]any)
	}
	s.first[at] = source
	t.OnFailure(func() { s.forget(at) })
	return nil
}

func (s *Sources) forget(at place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.first, at)
}

// A SourceError says that two values would share the entries of a cached method.
type SourceError struct{ First, Second any }

func (e *SourceError) Error() string {
	what := fmt.Sprintf("another %T", e.Second)
	switch t := reflect.TypeOf(e.Second); {
	case reflect.TypeOf(e.First) != t:
		what = fmt.Sprintf("a %T, and not this %T,", e.First, e.Second)
	case t != nil && !t.Comparable():
		what = fmt.Sprintf("another %T (values of this type cannot be compared: each counts as another)", e.Second)
	}
	return what + ` is its source already, and the two would get each other's values: give one of them a runtime.Within("NAME") of its own, ` +
		"tell them apart in the key with {recv.Field}, or write instances=shared in the directive if both read the same data"
}

// same reports whether two values are one source: one pointer, or values that are equal by ==.
// A type without a size has one value, whatever the addresses of its variables.
func same(a, b any) bool {
	t := reflect.TypeOf(a)
	switch {
	case t != reflect.TypeOf(b):
		return false
	case t == nil, t.Size() == 0, t.Kind() == reflect.Pointer && t.Elem().Size() == 0:
		return true
	}
	return reflect.ValueOf(a).Comparable() && a == b
}
