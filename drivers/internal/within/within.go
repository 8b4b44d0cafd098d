// Package within lets a driver return when its context ends although the client library
// below waits without watching the context. It promises only the return: the call goes on
// in the background. It has no state.
package within

import (
	"context"
	"errors"
	"fmt"
)

// Do runs f and returns when f returns or when ctx ends, whichever comes first. If ctx ends
// first, f goes on in the background, so f must own everything that it uses and must end
// by timeouts of its own. An error of f after the end of ctx wraps ctx.Err().
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
