package gen

import (
	"context"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/load"
)

// GetOrSetFound is runtime.Cache.GetOrSet for functions of the form (V, bool, error), of
// which a false bool says that there is no value. Callers of a load get the three results
// as load has returned them; where it is remembered that there is no value, they get the
// zero V and false.
func GetOrSetFound[K comparable, V any](ctx context.Context, c *runtime.Cache[K, V], key K,
	load func(context.Context) (V, bool, error), options ...runtime.CallOption) (V, bool, error) {
	v, err := c.GetOrSet(ctx, key, func(ctx context.Context) (V, error) {
		v, ok, err := load(ctx)
		return v, found(ok, err)
	}, options...)
	ok, err := isFound(err)
	return v, ok, err
}

// found makes one error of a bool that says whether there is a value, and an error.
func found(ok bool, err error) error {
	switch {
	case err != nil:
		return &load.OKError{OK: ok, Err: err}
	case !ok:
		return runtime.ErrNotFound
	}
	return nil
}

// isFound is the inverse of found.
func isFound(err error) (ok bool, _ error) {
	if e, ok := err.(*load.OKError); ok {
		return e.OK, e.Err
	}
	if err == runtime.ErrNotFound {
		return false, nil
	}
	return err == nil, err
}
