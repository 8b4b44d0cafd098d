package registry

import (
	"maps"
	"slices"
	"sync"

	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// A Set is the functions of several stores of a program. The zero Set has no stores.
type Set struct {
	Of []*Functions // of each store, in the order in which they are changed

	mu    sync.Mutex      // held while stores are changed, so that all of them get options in one order
	given map[string]bool // the names that options were given for
}

// SetOptions gives options to the functions that a name matches in all stores, and to those that
// will be opened. It fails, and changes nothing, if they contradict each other or
// those of an open cache.
func (s *Set) SetOptions(name string, options policy.Options) error {
	if err := policy.CheckOptions(options); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.Of {
		if err := f.CheckOptions(name, options); err != nil {
			return err
		}
	}
	for _, f := range s.Of {
		f.SetOptions(name, options)
	}
	if s.given == nil {
		s.given = make(map[string]bool)
	}
	s.given[name] = true
	return nil
}

// Unmatched returns the names that options were given for and that match no function, sorted.
func (s *Set) Unmatched() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.given)) {
		if len(s.Matching(name)) == 0 {
			names = append(names, name)
		}
	}
	return names
}

// Matching returns the functions that a name matches.
func (s *Set) Matching(name string) (all []*Function) {
	for _, f := range s.Of {
		all = append(all, f.Matching(name)...)
	}
	return all
}

// SetDisabled switches the caching of the functions that a name matches off or on. It reports
// whether there are any.
func (s *Set) SetDisabled(name string, disabled bool) bool {
	matching := s.Matching(name)
	for _, f := range matching {
		f.Disabled.Store(disabled)
	}
	return len(matching) > 0
}

// Names returns the names of the functions, each once and sorted.
func (s *Set) Names() (names []string) {
	for _, f := range s.Of {
		names = append(names, f.Names()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
