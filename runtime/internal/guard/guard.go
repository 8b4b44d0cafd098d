// Package guard calls what others wrote. That it panics is its failure, and nobody
// else's. It holds no state.
package guard

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrPanic is wrapped by the error that a panic becomes.
var ErrPanic = errors.New("driver panicked")

// Call calls a driver. A panic becomes an error with its stack.
func Call(driver func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrPanic, p, debug.Stack())
		}
	}()
	return driver()
}
