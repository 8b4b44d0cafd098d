// Package guard calls what others wrote. That it panics is its failure, and nobody
// else's. It holds no state.
package guard

import (
	"fmt"
	"runtime/debug"
)

// Call calls a driver. A panic becomes an error with its stack.
func Call(driver func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("driver panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return driver()
}
