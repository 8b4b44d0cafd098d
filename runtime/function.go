package runtime

import (
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// SetOptions gives a cached function options that win over those of its directive, of
// cache:wrap and of the store; those of a call win over them. What it does not mention stays.
// It holds for caches that are open, from their next call on, and for those that will be
// opened. Of several calls for one function the last one holds.
//
// The function is named by its import path and name, or by the end of that after a slash or a
// dot: example.com/shop/users.Repo.FindUser, users.Repo.FindUser, or FindUser for every function
// so called; an ad-hoc cache by its name. A name that matches no function is no error, because a
// cache may be opened later; [Stores.Check] tells of it. SetOptions fails, and changes nothing,
// if options contradict each other or those of an open cache.
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

// Check returns an [ErrUnknownFunction] for each [Stores.SetOptions] of a function that no
// cache has been opened for so far. A program asks once it has opened them all.
func (s Stores) Check() error {
	var errs []error
	for _, name := range s.must().functions.Unmatched() {
		errs = append(errs, fmt.Errorf("%w %q was given options", ErrUnknownFunction, name))
	}
	return errors.Join(errs...)
}

// Disable switches the caching of a function off, in this process, from now on: its
// reads call the loader each time and keep nothing, and to Get and the like nothing is
// there. Invalidations go on, and Set removes what is there, so that nothing old comes
// back with [Stores.Enable]. The function is named as in [Stores.SetOptions]. Without one of
// that name it is an [ErrUnknownFunction].
func (s Stores) Disable(function string) error { return s.setDisabled(function, true) }

// Enable switches the caching of a function on again.
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
