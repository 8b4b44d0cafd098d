package runtime

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/keytext"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
)

var (
	// ErrNotBound is returned by a cache that has no store yet, such as the cache of a plain
	// function before the generated BindCaches of its package has been called.
	ErrNotBound = untyped.ErrNotBound
	// ErrClosed is returned by a store that has been closed, and by its caches.
	ErrClosed = background.ErrClosed
	// ErrCollectDone is returned by [Collected.Commit] and [Collected.Unclear] if what was
	// collected has been committed or rolled back before.
	ErrCollectDone = collect.ErrDone
	// ErrNotCollected is returned by what the generated wrapper of a transaction changes (see the
	// methods that bind a type to a transaction, in the documentation of command cachegen), if its
	// context is none of [Collect]: nothing would carry the change out after the commit. In caches
	// nothing has been changed. Roll the transaction back.
	ErrNotCollected = untyped.ErrNotCollected
	// ErrUnknownStore is returned if a directive or [Stores.Use] names a store that the Stores
	// do not have, and by [NewCache] without a store.
	ErrUnknownStore = errors.New("cachegen: unknown store")
	// ErrUnknownFunction is returned if a program names a cached function for which no cache has
	// been opened.
	ErrUnknownFunction = errors.New("cachegen: unknown function")
	// ErrGoexit is returned to the callers of a load whose loader has called runtime.Goexit of
	// Go, as FailNow of a test does.
	ErrGoexit = load.ErrGoexit
	// ErrNotFound says that there is no value. A loader of an ad-hoc cache, see [NewCache], can
	// return ErrNotFound, or an error that wraps it, and so can an annotated loader whose
	// directive says notfound=runtime.ErrNotFound. Generated code uses it
	// for functions that return (V, bool, error).
	ErrNotFound = errors.New("cachegen: not found")
	// ErrRecursive is returned to a loader that asks the cache for the key that it is loading,
	// directly or through the loader of another key: the loader would wait for itself. If there
	// is a stale value, the loader gets the value instead. The cache recognizes the loader by
	// the context, which must be the one that the loader was called with, or one made of it. If
	// two loads wait for each other, the cache does not notice, and they end with [ErrTimeout].
	ErrRecursive = load.ErrRecursive
	// ErrL2CircuitBreakerOpen is the cause of an [L2Error] while the circuit breaker of the
	// shared tier is open; see [L2CircuitBreakerDuration]. The text of the error names the
	// failure that has opened it.
	ErrL2CircuitBreakerOpen = remote.ErrCircuitOpen
	// ErrTimeout is returned when a load takes longer than its [HardTimeout], and there is no
	// stale value to serve, or longer than the [MaxLoadTime] of its store. errors.Is also takes
	// it for context.DeadlineExceeded.
	ErrTimeout = load.ErrTimeout
)

// A PanicError is a panic of a loader. The caller that began the load panics with the
// PanicError. Callers who waited for the same load get it as an error.
type PanicError struct {
	Value any    // what the loader panicked with
	Stack []byte // of the loader's goroutine
}

// Error describes the panic with the loader's stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("cachegen: loader panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns Value if it is an error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// An L2Error says that an operation on the shared tier of a store has failed. Reads return an
// L2Error if [SuppressL2Errors] is false. An [InvalidationError] can wrap one.
type L2Error struct {
	Store string
	Op    string // read, write, delete, add, swap
	Err   error  // [ErrL2CircuitBreakerOpen] if the tier was not asked
}

// Error names the store, the operation and the cause.
func (e *L2Error) Error() string {
	return fmt.Sprintf("shared tier of store %s: %s: %v", e.Store, e.Op, e.Err)
}

// Unwrap returns Err.
func (e *L2Error) Unwrap() error { return e.Err }

// A PartialError is the error that a loader of many keys returns if it could load only some of
// them. [Cache.GetOrSetMany] keeps the values that the loader returns beside the PartialError.
// The keys without a value have failed with Err.
//
//	return found, &runtime.PartialError{Err: err}
type PartialError struct{ Err error }

// Error returns the text of Err.
func (e *PartialError) Error() string {
	if e.Err == nil {
		return "cachegen: some keys could not be loaded"
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *PartialError) Unwrap() error { return e.Err }

// An InvalidationError says that entries could not be removed or replaced in the shared tier, or
// that other processes could not be told. If an annotated function returns one, the function
// itself has done its work. The memory of this process has dropped the entries, and the store
// goes on trying to reach the shared tier and the other processes. Until that has succeeded,
// this process does not read the entries from the shared tier, but other processes may serve
// them until their TTL. [Store.Close] tries once more, and returns an InvalidationError for what
// is lost.
type InvalidationError struct {
	// Function is the annotated function that has done its work, as [Stores.Functions] names
	// cached ones. It is empty if a program has called a method of the cache itself. Of
	// [Collected.Commit] it may be several, separated by commas.
	Function string
	Op       string   // delete, expire, set, pull, delete by tag, expire by tag, invalidate, clear, close
	Store    string   // name of the store
	Targets  []string // full keys, and of tags, namespaces and clears what they are: "tag team:7"
	Err      error
}

// Error names the operation, the store, the first targets, cut and quoted where they are long or
// strange, and the cause. If Function is set, Error says that the function has done its work.
func (e *InvalidationError) Error() string {
	done := ""
	if e.Function != "" {
		done = e.Function + " has done its work, but the cache failed: "
	}
	cause := strings.ReplaceAll(fmt.Sprint(e.Err), "\n", "; ") // of the tier and of the bus: one line of a log
	return fmt.Sprintf("cachegen: %s%s %s in store %s: %s", done, e.Op, keytext.ShowAll(e.Targets), e.Store, cause)
}

// Unwrap returns Err.
func (e *InvalidationError) Unwrap() error { return e.Err }

// publicErrors make the errors of a store that callers get.
var publicErrors = store.Errors{
	L2: func(store, op string, err error) error { return &L2Error{store, op, err} },
	Invalidation: func(function, store, op string, targets []string, err error) error {
		return &InvalidationError{Function: function, Op: op, Store: store, Targets: targets, Err: err}
	},
	Panic: func(value any, stack []byte) error { return &PanicError{value, stack} },
}
