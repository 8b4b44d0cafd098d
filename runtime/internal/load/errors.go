package load

import (
	"context"
	"errors"
)

var (
	// ErrTimeout says that a load took longer than its hard timeout or the MaxLoadTime.
	ErrTimeout error = timeout{}
	// ErrGoexit says that a loader has ended its goroutine.
	ErrGoexit = errors.New("cachegen: loader called runtime.Goexit")
	// ErrRecursive says that a loader would wait for itself.
	ErrRecursive = errors.New("cachegen: loader asked for a key that it is loading")
	// ErrNotLoaded says that a loader of many keys has not returned this one.
	ErrNotLoaded = errors.New("not among the keys that the loader returned")

	// ErrAgain says that a flight has ended without a result although its load has not failed: who
	// has waited for it looks again.
	ErrAgain = errors.New("cachegen: the key was not loaded, look again")

	errNoPlace = errors.New("no place is left for the function (see MaxBackground)")
)

type timeout struct{}

func (timeout) Error() string        { return "cachegen: load timed out" }
func (timeout) Timeout() bool        { return true }
func (timeout) Is(target error) bool { return target == context.DeadlineExceeded }
