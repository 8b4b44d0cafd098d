package gen

import (
	"errors"

	"github.com/cachegen/cachegen/runtime"
)

// Found turns a result whose error may be runtime.ErrNotFound into one that says whether
// there is a value, for functions of the form (V, bool, error). Other errors stay.
func Found[V any](v V, err error) (V, bool, error) {
	if errors.Is(err, runtime.ErrNotFound) {
		var zero V
		return zero, false, nil
	}
	return v, err == nil, err
}
