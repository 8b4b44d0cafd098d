package runtime

import (
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// SetOptions gives a cached function options. They win over those of its directive, of
// cache:wrap and of the store; the options of a call win over them. Options that SetOptions is
// not given stay as they are. The new ones hold for open caches, from their next call on, and for
// caches that will be opened. Of several calls of SetOptions for one function the last one wins.
//
// function is the import path and name of a function, or an end of these that begins after a
// slash or a dot: example.com/shop/users.Repo.FindUser, users.Repo.FindUser, or FindUser for
// every function of that name. For an ad-hoc cache, function is the name of the cache. A name
// that matches no function is no error, because a cache may be opened later; [Stores.Check] names
// it. SetOptions fails, and changes nothing, if the options contradict each other or those of an
// open cache.
func (s Stores) SetOptions(function string, options ...Option) error {
	functions := &s.must().functions
	var given policy.Call
	if function == "" {
		return errors.New("cachegen: set options: the name of the function is empty")
	}
	fail := func(err error) error { return fmt.Errorf("cachegen: set options of %s: %w", function, err) }
	for _, o := range options {
		if o == nil {
			return fail(errors.New("an option is nil"))
		}
		o.applyToCall(&given)
	}
	err := policy.CheckOptions(given.Options)
	if err == nil {
		err = functions.SetOptions(function, given.Options)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// Functions returns the names of the cached functions and of the ad-hoc caches that have been
// opened, sorted.
func (s Stores) Functions() []string { return s.must().functions.Names() }

// Check returns an [ErrUnknownFunction] for each name that [Stores.SetOptions] was given and that
// matches no cache which has been opened so far. A program calls Check when it has opened all its
// caches.
func (s Stores) Check() error {
	var errs []error
	for _, name := range s.must().functions.Unmatched() {
		errs = append(errs, fmt.Errorf("%w %q was given options", ErrUnknownFunction, name))
	}
	return errors.Join(errs...)
}

// Disable switches the caching of a function off, in this process, from now on. Reads of the
// function call the loader each time and keep nothing; Get and the like find nothing.
// Invalidations go on, and Set removes the value that is there, so that nothing old comes back
// with [Stores.Enable]. function is as in [Stores.SetOptions]. If no open cache matches function,
// the error is [ErrUnknownFunction].
func (s Stores) Disable(function string) error { return s.setDisabled(function, true) }

// Enable switches the caching of a function on again, after [Stores.Disable].
func (s Stores) Enable(function string) error { return s.setDisabled(function, false) }

func (s Stores) setDisabled(name string, disabled bool) error {
	matching := s.must().functions.Matching(name)
	if len(matching) == 0 {
		return fmt.Errorf("%w %q: Stores.Functions lists those that are open", ErrUnknownFunction, name)
	}
	for _, f := range matching {
		f.Disabled.Store(disabled)
	}
	return nil
}
