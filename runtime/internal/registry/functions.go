// Package registry knows which cached functions have been opened in a store: by name, with
// the options that a program has given them, by the pattern of their keys, and by the value
// that a cached method loads from.
//
// Each type has a mutex that guards its maps. Whether a function is disabled, and which
// options it has been given, is read without a lock.
package registry

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// A Function is what all caches of one cached function share. The zero Function has no
// options, and is not disabled.
type Function struct {
	Disabled atomic.Bool

	options atomic.Pointer[policy.Options] // nil for none
	bases   []policy.Policy                // of its caches, each once; guarded by Functions.mu
}

// Policy returns a cache's policy with the options that a program has given the function.
func (f *Function) Policy(base policy.Policy) policy.Policy {
	if given := f.options.Load(); given != nil {
		return base.Apply(*given)
	}
	return base
}

// An override gives options to the functions that a name matches.
type override struct {
	name    string
	options policy.Options
}

// Functions are those that caches of a store have been opened for. The zero value has none.
type Functions struct {
	mu        sync.Mutex
	overrides []override
	byName    map[string]*Function
}

// Match reports whether name is how full is called, or the end of that after a slash or a
// dot.
func Match(name, full string) bool {
	if !strings.HasSuffix(full, name) || name == "" {
		return false
	}
	at := len(full) - len(name)
	return at == 0 || full[at-1] == '/' || full[at-1] == '.'
}

// maxFunctions is how many functions are remembered. A program has fewer; but it chooses the
// names of ad-hoc caches while it runs.
const maxFunctions = 10_000

// maxBases is how many policies of a function's caches are remembered: a program may make ad-hoc
// caches of one name with any options.
const maxBases = 100

// Open returns the function of that name for a cache with a policy. It fails if the policy
// contradicts itself, or the options that the function has been given. What a failed transaction
// has opened is forgotten.
func (f *Functions) Open(t *Transaction, name string, base policy.Policy) (*Function, error) {
	if name == "" { // nobody can name it
		return &Function{}, base.Check()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fn := f.byName[name]
	if fn == nil {
		fn = &Function{}
		var given policy.Options
		for _, o := range f.overrides {
			if Match(o.name, name) {
				given = given.Merge(o.options)
				fn.options.Store(&given)
			}
		}
	}
	if err := fn.Policy(base).Check(); err != nil {
		return nil, err
	}
	switch {
	case f.byName[name] == nil && len(f.byName) >= maxFunctions:
		return fn, nil
	case f.byName == nil:
		f.byName = make(map[string]*Function)
	}
	if f.byName[name] == nil {
		f.byName[name] = fn
		t.OnFailure(func() { f.forget(name) })
	}
	base.OnLoadError = nil // functions cannot be compared
	if len(fn.bases) < maxBases && !slices.ContainsFunc(fn.bases, func(p policy.Policy) bool { return reflect.DeepEqual(p, base) }) {
		fn.bases = append(fn.bases, base)
		t.OnFailure(func() { f.forgetBase(fn) })
	}
	return fn, nil
}

func (f *Functions) forget(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byName, name)
}

// forgetBase removes the last policy.
func (f *Functions) forgetBase(fn *Function) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn.bases = fn.bases[:len(fn.bases)-1]
}

// checkOptions fails if options contradict those of a function that the name matches. It is
// called under mu.
func (f *Functions) checkOptions(name string, options policy.Options) error {
	for _, full := range f.matching(name) {
		fn := f.byName[full]
		for _, base := range fn.bases {
			if err := fn.Policy(base).Apply(options).Check(); err != nil {
				return fmt.Errorf("%s: %w", full, err)
			}
		}
	}
	return nil
}

// setOptions gives options to the functions that a name matches, and to those that will be
// opened. checkOptions has succeeded, and mu is held since.
func (f *Functions) setOptions(name string, options policy.Options) {
	if last := len(f.overrides) - 1; last >= 0 && f.overrides[last].name == name { // as when they are set again and again
		f.overrides[last].options = f.overrides[last].options.Merge(options)
	} else {
		f.overrides = append(f.overrides, override{name, options})
	}
	for _, full := range f.matching(name) {
		fn := f.byName[full]
		var given policy.Options
		if before := fn.options.Load(); before != nil {
			given = *before
		}
		given = given.Merge(options)
		fn.options.Store(&given)
	}
}

// matching returns the names of the functions that a name matches, sorted.
func (f *Functions) matching(name string) (full []string) {
	for n := range f.byName {
		if Match(name, n) {
			full = append(full, n)
		}
	}
	slices.Sort(full)
	return full
}

// Matching returns the functions that a name matches.
func (f *Functions) Matching(name string) (out []*Function) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, full := range f.matching(name) {
		out = append(out, f.byName[full])
	}
	return out
}

// Names returns the names of the functions, sorted.
func (f *Functions) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := make([]string, 0, len(f.byName))
	for name := range f.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
