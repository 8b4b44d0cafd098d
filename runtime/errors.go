package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNotBound is returned by the functions of a package whose BindCaches has
	// not been called.
	ErrNotBound = errors.New("cachegen: not bound to a store: call BindCaches first")
	// ErrClosed is returned once the store is closed.
	ErrClosed = errors.New("cachegen: store is closed")
	// ErrUnknownStore is returned for a store name that the Stores do not have.
	ErrUnknownStore = errors.New("cachegen: unknown store")
	// ErrGoexit is what callers get when a loader ended its goroutine with
	// runtime.Goexit, as t.FailNow does.
	ErrGoexit = errors.New("cachegen: loader called runtime.Goexit")
	// ErrNotFound is for loaders that have no error of their own for it: there is no
	// value. Generated code returns it for functions that say so with a bool.
	ErrNotFound = errors.New("cachegen: not found")
	// ErrRecursive is returned at once to a loader that asks, with the context it was
	// called with or one made of it, for a key that it is loading itself, directly or
	// through the loader of another key, unless a grace value can stand in: it would
	// wait for itself. Two loads that wait for each other are not noticed; they end
	// with [ErrTimeout].
	ErrRecursive = errors.New("cachegen: loader asked for a key that it is loading")
	// ErrL2Paused is the cause of an [L2Error] while the shared tier is left alone
	// because it has failed before; see [L2CircuitBreakerDuration].
	ErrL2Paused = errors.New("it has failed before and is left alone for a while")
	// ErrTimeout is returned when a load exceeds its [HardTimeout] and no grace value
	// can stand in, or the [MaxLoadTime] of its store. errors.Is also takes it for
	// context.DeadlineExceeded.
	ErrTimeout error = timeout{}
)

type timeout struct{}

func (timeout) Error() string        { return "cachegen: load took longer than it may" }
func (timeout) Timeout() bool        { return true }
func (timeout) Is(target error) bool { return target == context.DeadlineExceeded }

// A PanicError is a loader's panic. The caller that started the load panics with
// it; those who waited for the same load get it as an error.
type PanicError struct {
	Value any    // what the loader panicked with
	Stack []byte // of the loader's goroutine
}

// Error describes the panic with the loader's stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("cachegen: loader panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// A LoadError is what [OnLoadError] gets.
type LoadError struct {
	Store, Cache string // Cache is empty for an ad-hoc one
	Keys         []string
	Err          error
	Background   bool // nobody waits for the load
}

// Error names the cache, the first keys and the cause.
func (e *LoadError) Error() string {
	return fmt.Sprintf("cachegen: load %s of %s in store %s: %v", some(e.Keys), e.Cache, e.Store, e.Err)
}

// Unwrap returns the cause.
func (e *LoadError) Unwrap() error { return e.Err }

// An L2Error says that the shared tier of a store has failed.
type L2Error struct {
	Store string
	Op    string // read, write, delete, add, swap
	Err   error  // [ErrL2Paused] if it was not even asked
}

// Error names the store, the operation and the cause.
func (e *L2Error) Error() string {
	return fmt.Sprintf("shared tier of store %s: %s: %v", e.Store, e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *L2Error) Unwrap() error { return e.Err }

// A PartialError is for loaders of many keys that could load some of them only: with
// it, [Cache.GetOrSetMany] takes what they return. Keys that are not in there have
// failed with Err. See [Partial].
type PartialError struct{ Err error }

// Partial returns a [PartialError], or nil if err is nil.
func Partial(err error) error {
	if err == nil {
		return nil
	}
	return &PartialError{err}
}

// Error is the cause's.
func (e *PartialError) Error() string {
	if e.Err == nil {
		return "cachegen: some keys could not be loaded"
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *PartialError) Unwrap() error { return e.Err }

// An InvalidationError says that entries could not be removed or replaced in the
// shared tier, or that other processes could not be told. What the annotated
// function did has happened all the same. This process's memory has dropped the
// entries, and the store keeps trying to reach the others; until then it does not
// read the entries from the shared tier, but other processes may serve them until
// their TTL. [Store.Close] tries once more and returns an InvalidationError for what
// has been lost.
type InvalidationError struct {
	Op      string   // delete, expire, set, pull, delete by tag, expire by tag, clear, close
	Store   string   // name of the store
	Targets []string // keys or tags
	Err     error
}

// Error names the operation, the store, the first targets and the cause.
func (e *InvalidationError) Error() string {
	return fmt.Sprintf("cachegen: %s %s in store %s: %v", e.Op, some(e.Targets), e.Store, e.Err)
}

// some names the first of names.
func some(names []string) string {
	if len(names) <= 3 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
}

// Unwrap returns the cause.
func (e *InvalidationError) Unwrap() error { return e.Err }
