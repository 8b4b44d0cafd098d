package load

// A Returned is what a loader has returned where there is no value to keep: a value beside
// an error, or one that means that there is none. The callers of its load get it as they
// would have got it without a cache. It is a flight's error; nothing remembers it.
type Returned struct {
	Value any
	Err   error // as the loader returned it; nil if it returned none
	Many  bool  // a loader of many keys has returned the value among others
}

// Error is that of Err.
func (r *Returned) Error() string {
	if r.Err == nil {
		return "the loader returned a value that means that there is none"
	}
	return r.Err.Error()
}

// Unwrap returns Err.
func (r *Returned) Unwrap() error { return r.Err }

// An OKError is the error of a loader that returns a value, a bool and an error. It is
// never taken for an error that means that there is no value: the bool says that.
type OKError struct {
	OK  bool
	Err error
}

// Error is that of Err.
func (e *OKError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *OKError) Unwrap() error { return e.Err }

// with returns err with what the loader has returned beside it. An err that replaces that
// of the loader has the value all the same.
func (s *said) with(err error, replaced bool) error {
	if s.beside == nil {
		return err
	}
	r := *s.beside
	if replaced {
		r.Err = err
	}
	return &r
}
