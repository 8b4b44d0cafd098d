// Package within keeps a driver's promise to honour contexts where the library
// below does not watch them in all of its waits.
package within

import (
	"context"
	"errors"
	"fmt"
)

// Do runs f and returns when f does or when ctx ends, whichever is first. In the
// second case f goes on in the background: whatever it uses must be its own, and
// its own timeouts must end it. An error of f after the end of ctx wraps ctx.Err().
func Do(ctx context.Context, f func() error) error {
	if ctx.Done() == nil {
		return f()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			return fmt.Errorf("%w (%w)", ctx.Err(), err)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
