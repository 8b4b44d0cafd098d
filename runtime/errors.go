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
	// ErrNotFound is for loaders that have no error of their own for it: there is
	// nothing. See [Definition] and [Found].
	ErrNotFound = errors.New("cachegen: not found")
	// ErrTimeout is returned when a loader exceeds its hard timeout and no grace
	// value can stand in. errors.Is also takes it for context.DeadlineExceeded.
	ErrTimeout error = timeout{}
)

type timeout struct{}

func (timeout) Error() string        { return "cachegen: loader exceeded its hard timeout" }
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

// An InvalidationError says that entries could not be removed or replaced in the
// shared tier, or that other processes could not be told. What the annotated
// function did has happened all the same. This process's memory has dropped the
// entries; other processes, or the shared tier, may still serve them until their TTL.
type InvalidationError struct {
	Op      string   // delete, expire, set, delete by tag, expire by tag, clear
	Store   string   // name of the store
	Targets []string // keys or tags
	Err     error
}

// Error names the operation, the store, the first targets and the cause.
func (e *InvalidationError) Error() string {
	shown := e.Targets
	more := ""
	if len(shown) > 3 {
		more = fmt.Sprintf(" and %d more", len(shown)-3)
		shown = shown[:3]
	}
	return fmt.Sprintf("cachegen: %s %s%s in store %s: %v", e.Op, strings.Join(shown, ", "), more, e.Store, e.Err)
}

// Unwrap returns the cause.
func (e *InvalidationError) Unwrap() error { return e.Err }
