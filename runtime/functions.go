package runtime

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// ErrUnknownFunction is returned for the name of a cached function that no cache has
// been opened for.
var ErrUnknownFunction = errors.New("cachegen: unknown function")

// A function is what all caches of one cached function share in some Stores.
type function struct {
	name string
	off  atomic.Bool // its caching is switched off
}

// anonymousFunction is that of caches without a name. Nobody switches it off.
var anonymousFunction function

// functions are those that caches have been opened for.
type functions struct {
	mu        sync.Mutex
	byName    map[string]*function
	overrides []override
}

// An override is what [Override] was given.
type override struct {
	name    string
	options []Option
}

// Override replaces options of one cached function, those of its directive and of
// cache:wrap; what it does not mention stays. The function is named
// by its import path and name, or by the end of that after a slash or a dot:
// example.com/shop/users.Repo.FindUser, users.Repo.FindUser, or FindUser for every
// function so called. Of several overrides the last one holds. Names that match no
// function are told by [Stores.Check].
func Override(function string, options ...Option) StoresOption {
	return storesOption(func(c *storesConfig) { c.overrides = append(c.overrides, override{function, options}) })
}

// names reports whether name is how full is called, or the end of that.
func names(name, full string) bool {
	if !strings.HasSuffix(full, name) || name == "" {
		return false
	}
	at := len(full) - len(name)
	return at == 0 || full[at-1] == '/' || full[at-1] == '.'
}

// open returns the function of that name, and the options that replace its own.
func (f *functions) open(name string) (*function, []Option) {
	if name == "" {
		return &anonymousFunction, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var options []Option
	for _, o := range f.overrides {
		if names(o.name, name) {
			options = append(options, o.options...)
		}
	}
	if f.byName == nil {
		f.byName = make(map[string]*function)
	}
	if f.byName[name] == nil {
		f.byName[name] = &function{name: name}
	}
	return f.byName[name], options
}

// called returns the functions that name calls.
func (f *functions) called(name string) (out []*function) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for full, fn := range f.byName {
		if names(name, full) {
			out = append(out, fn)
		}
	}
	return out
}

// Functions returns the names of the cached functions that caches have been opened
// for, sorted.
func (s Stores) Functions() []string {
	if s.set == nil {
		return nil
	}
	f := &s.set.functions
	f.mu.Lock()
	defer f.mu.Unlock()
	names := make([]string, 0, len(f.byName))
	for name := range f.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Check returns an [ErrUnknownFunction] for each [Override] of a function that no
// cache has been opened for so far. A program asks once it has opened them all.
func (s Stores) Check() error {
	if s.set == nil {
		return nil
	}
	var errs []error
	for _, o := range s.set.functions.overrides {
		if len(s.set.functions.called(o.name)) == 0 {
			errs = append(errs, fmt.Errorf("%w %q is overridden", ErrUnknownFunction, o.name))
		}
	}
	return errors.Join(errs...)
}

// Disable switches the caching of a function off, in this process, from now on: its
// reads call the loader each time and keep nothing, and to Get and the like nothing is
// there. Invalidations go on, and Set removes what is there, so that nothing old comes
// back with [Stores.Enable]. The function is named as in [Override]. Without one of
// that name it is an [ErrUnknownFunction].
func (s Stores) Disable(function string) error { return s.turn(function, true) }

// Enable switches the caching of a function on again.
func (s Stores) Enable(function string) error { return s.turn(function, false) }

func (s Stores) turn(name string, off bool) error {
	if s.set == nil {
		return fmt.Errorf("%w %q: no stores", ErrUnknownFunction, name)
	}
	called := s.set.functions.called(name)
	if len(called) == 0 {
		return fmt.Errorf("%w %q", ErrUnknownFunction, name)
	}
	for _, f := range called {
		f.off.Store(off)
	}
	return nil
}
