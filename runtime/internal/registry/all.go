package registry

import (
	"maps"
	"slices"
	"sync"

	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// All are the functions of several stores, which do not change.
type All struct {
	Stores []*Functions

	mu    sync.Mutex // held while options are set, so that all stores get them in one order
	names map[string]bool
}

// SetOptions gives options to the functions that a name matches, and to those that will be
// opened. It fails, and changes nothing, if they contradict those of a function.
func (a *All) SetOptions(name string, options policy.Options) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.Stores { // no cache is opened in between, with which they have not been compared
		f.mu.Lock()
		defer f.mu.Unlock()
	}
	for _, f := range a.Stores {
		if err := f.checkOptions(name, options); err != nil {
			return err
		}
	}
	for _, f := range a.Stores {
		f.setOptions(name, options)
	}
	if a.names == nil {
		a.names = make(map[string]bool)
	}
	a.names[name] = true
	return nil
}

// Names returns the names of the functions, sorted, each once.
func (a *All) Names() (names []string) {
	for _, f := range a.Stores {
		names = append(names, f.Names()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Matching returns the functions that a name matches.
func (a *All) Matching(name string) (all []*Function) {
	for _, f := range a.Stores {
		all = append(all, f.Matching(name)...)
	}
	return all
}

// Unmatched returns the names that were given options and match no function, sorted.
func (a *All) Unmatched() (names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(a.names)) {
		if len(a.Matching(name)) == 0 {
			names = append(names, name)
		}
	}
	return names
}
