package runtime

import "errors"

// Found turns a result whose error may be [ErrNotFound] into one that says whether
// there is a value, for functions of the form (V, bool, error). Other errors stay.
func Found[V any](v V, err error) (V, bool, error) {
	if errors.Is(err, ErrNotFound) {
		var zero V
		return zero, false, nil
	}
	return v, err == nil, err
}
