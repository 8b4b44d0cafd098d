package runtime

import (
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/registry"
)

// ErrUnknownFunction is returned for the name of a cached function that no cache has
// been opened for.
var ErrUnknownFunction = errors.New("cachegen: unknown function")

// Override replaces options of one cached function, those of its directive and of
// cache:wrap; what it does not mention stays. The function is named
// by its import path and name, or by the end of that after a slash or a dot:
// example.com/shop/users.Repo.FindUser, users.Repo.FindUser, or FindUser for every
// function so called. Of several overrides the last one holds. Names that match no
// function are told by [Stores.Check].
func Override(function string, options ...Option) StoresOption {
	return storesOption(func(c *storesConfig) {
		var given policy.Call
		for _, o := range options {
			if o == nil {
				c.refused = append(c.refused, "an option of the Override of "+function)
				continue
			}
			o.applyToCall(&given)
		}
		c.overrides = append(c.overrides, registry.Override{Name: function, Options: given.Options})
	})
}

// Functions returns the names of the cached functions that caches have been opened
// for, sorted.
func (s Stores) Functions() []string { return s.set.functions().Names() }

// Check returns an [ErrUnknownFunction] for each [Override] of a function that no
// cache has been opened for so far. A program asks once it has opened them all.
func (s Stores) Check() error {
	var errs []error
	for _, name := range s.set.functions().Unmatched() {
		errs = append(errs, fmt.Errorf("%w %q in an Override", ErrUnknownFunction, name))
	}
	return errors.Join(errs...)
}

// Disable switches the caching of a function off, in this process, from now on: its
// reads call the loader each time and keep nothing, and to Get and the like nothing is
// there. Invalidations go on, and Set removes what is there, so that nothing old comes
// back with [Stores.Enable]. The function is named as in [Override]. Without one of
// that name it is an [ErrUnknownFunction].
func (s Stores) Disable(function string) error { return s.setDisabled(function, true) }

// Enable switches the caching of a function on again.
func (s Stores) Enable(function string) error { return s.setDisabled(function, false) }

func (s Stores) setDisabled(name string, disabled bool) error {
	matching := s.set.functions().Matching(name)
	if len(matching) == 0 {
		return fmt.Errorf("%w %q", ErrUnknownFunction, name)
	}
	for _, f := range matching {
		f.Disabled.Store(disabled)
	}
	return nil
}
