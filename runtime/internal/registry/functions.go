// Package registry knows which cached functions a program has opened: by name, with the
// options that replace theirs, by the pattern of their keys, and by the value that a cached
// method loads from.
//
// Each type has a mutex that guards its map. One more, that of [Together], is held
// while caches are opened, before any other. Whether a function is disabled is read on
// every hit, without a lock.
package registry

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// A Function is what all caches of one cached function share.
type Function struct {
	Disabled atomic.Bool
}

// anonymous is the function of caches without a name. Nobody disables it.
var anonymous Function

// An Override replaces options of the functions that a name matches.
type Override struct {
	Name    string
	Options policy.Options
}

// Functions are those that caches have been opened for. The zero value has none, and no
// overrides; so have nil Functions, which remember nothing.
type Functions struct {
	Overrides []Override // not changed after the first use

	opening sync.Mutex // held by Together

	mu     sync.Mutex
	byName map[string]*Function
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

// Open returns the function of that name, and a policy with the overrides that match it
// applied. Nil Functions have no overrides, and remember nothing.
func (f *Functions) Open(name string, p policy.Policy) (*Function, policy.Policy) {
	if f == nil || name == "" {
		return &anonymous, p
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range f.Overrides {
		if Match(o.Name, name) {
			p = p.Apply(o.Options)
		}
	}
	if f.byName == nil {
		f.byName = make(map[string]*Function)
	}
	if f.byName[name] == nil {
		f.byName[name] = &Function{}
	}
	return f.byName[name], p
}

// Matching returns the functions that a name matches.
func (f *Functions) Matching(name string) (out []*Function) {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for full, fn := range f.byName {
		if Match(name, full) {
			out = append(out, fn)
		}
	}
	return out
}

// Names returns the names of the functions, sorted.
func (f *Functions) Names() []string {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	names := make([]string, 0, len(f.byName))
	for name := range f.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Unmatched returns the names of the overrides that match no function.
func (f *Functions) Unmatched() (names []string) {
	if f == nil {
		return nil
	}
	for _, o := range f.Overrides {
		if len(f.Matching(o.Name)) == 0 {
			names = append(names, o.Name)
		}
	}
	return names
}
