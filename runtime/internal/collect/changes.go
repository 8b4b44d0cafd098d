package collect

import (
	"slices"
	"strings"

	"github.com/cachegen/cachegen/runtime/internal/entry"
)

const (
	// mostTargets and mostBytes bound what is held for one store, in names and in their bytes.
	// Beyond that, the whole store is cleared.
	mostTargets = 100_000
	mostBytes   = 16 << 20
	// mostSets bounds the values that are held for one store. Other values are not set: their keys
	// are deleted.
	mostSets = 1000
)

// A How says how something is invalidated.
type How struct {
	Expire bool // values keep their grace; or else they are deleted
	Silent bool // the other processes are not told of the key
	Log    bool // that somebody was not reached is logged in place of an error
}

// with returns what does for both.
func (h How) with(other How) How {
	return How{Expire: h.Expire && other.Expire, Silent: h.Silent && other.Silent, Log: h.Log && other.Log}
}

// A Clear is a cache, a namespace or a store that is cleared.
type Clear struct {
	Of entry.Cache
	How
}

// A Set is a value that is to be stored.
type Set struct {
	Stamps      []string // names of those that it is stored under
	Silent, Log bool     // as in [How]
	Of          any      // what it is, which the store knows
}

// Changes are what is held for one store, in a form in which their order says nothing any more:
// first everything is invalidated, and then is set what was not invalidated after it was set.
type Changes struct {
	// Everything says that there were too many targets: the whole store is cleared. Then Keys,
	// Tags and Clears are empty.
	Everything bool
	Whole      How              // of Everything
	Keys       map[string]How   // by full key
	Tags       map[string]How   // by tag
	Clears     map[string]Clear // by the name of the stamp
	Sets       map[string]Set   // by full key

	bytes int
}

// put adds something to a map, which is made if it is nil.
func put[V any](m *map[string]V, name string, v V) {
	if *m == nil {
		*m = make(map[string]V)
	}
	(*m)[name] = v
}

// Invalidate invalidates keys, and the entries that have one of tags.
func (c *Changes) Invalidate(keys, tags []string, how How) {
	for _, key := range keys {
		add(c, &c.Keys, key, c.unset(key, how))
	}
	how.Silent = false // of tags everybody is told
	for _, tag := range tags {
		c.supersede(entry.TagStamp(tag))
		add(c, &c.Tags, tag, how)
	}
}

// add adds how something is invalidated.
func add(c *Changes, m *map[string]How, name string, how How) {
	old, ok := (*m)[name]
	if ok {
		how = how.with(old)
	}
	if c.room(name, ok, how) {
		put(m, name, how)
	}
}

// Clear clears a cache, a namespace or the store.
func (c *Changes) Clear(of entry.Cache, how How) {
	name := of.Stamp()
	c.supersede(name)
	how.Silent = false
	old, ok := c.Clears[name]
	if ok {
		how = how.with(old.How)
	}
	if c.room(name, ok, how) {
		put(&c.Clears, name, Clear{of, how})
	}
}

// room reports whether there is room for a name, which is there already or not.
func (c *Changes) room(name string, there bool, how How) bool {
	if c.Everything {
		c.Whole.Log = c.Whole.Log && how.Log
		return false
	}
	if there {
		return true
	}
	c.bytes += len(name)
	if len(c.Keys)+len(c.Tags)+len(c.Clears) < mostTargets && c.bytes <= mostBytes {
		return true
	}
	c.Everything, c.Whole = true, How{Log: how.Log}
	for _, h := range c.Keys {
		c.Whole = c.Whole.with(h)
	}
	for _, h := range c.Tags {
		c.Whole = c.Whole.with(h)
	}
	for _, cl := range c.Clears {
		c.Whole = c.Whole.with(cl.How)
	}
	for _, s := range c.Sets {
		c.Whole.Log = c.Whole.Log && s.Log
	}
	c.Keys, c.Tags, c.Clears, c.Sets = nil, nil, nil, nil
	return false
}

// Set sets a value.
func (c *Changes) Set(key string, s Set) {
	if _, there := c.Sets[key]; !there && len(c.Sets) >= mostSets {
		c.Invalidate([]string{key}, nil, How{Silent: s.Silent, Log: s.Log})
		return
	}
	if old, ok := c.Sets[key]; ok {
		s.Log = s.Log && old.Log
		if s.Silent && !old.Silent { // the others have to hear of it all the same
			c.Invalidate([]string{key}, nil, How{Log: old.Log})
		}
	}
	if old, ok := c.Keys[key]; ok && (old.Silent || !s.Silent) { // what is set replaces what was there
		s.Log = s.Log && old.Log
		delete(c.Keys, key)
		c.bytes -= len(key)
	}
	put(&c.Sets, key, s)
}

// unset forgets the value that a key was to be set to. If there is one, the key has to be deleted:
// it returns what becomes of how.
func (c *Changes) unset(key string, how How) How {
	s, ok := c.Sets[key]
	if !ok {
		return how
	}
	delete(c.Sets, key)
	return how.with(How{Silent: s.Silent, Log: s.Log})
}

// supersede makes deletions of those values that are to be set under a stamp.
func (c *Changes) supersede(stamp string) {
	for key, s := range c.Sets {
		if stamp == entry.StoreStamp || slices.Contains(s.Stamps, stamp) {
			c.Invalidate([]string{key}, nil, How{Silent: s.Silent, Log: s.Log})
		}
	}
}

// SetNothing makes deletions of all values that are to be set.
func (c *Changes) SetNothing() {
	for key, s := range c.Sets {
		c.Invalidate([]string{key}, nil, How{Silent: s.Silent, Log: s.Log})
	}
}

// Absorb takes over changes that came later.
func (c *Changes) Absorb(later *Changes) {
	if later.Everything {
		c.Clear(entry.Cache{}, later.Whole)
	}
	for key, how := range later.Keys {
		c.Invalidate([]string{key}, nil, how)
	}
	for tag, how := range later.Tags {
		c.Invalidate(nil, []string{tag}, how)
	}
	for _, cl := range later.Clears {
		c.Clear(cl.Of, cl.How)
	}
	for key, s := range later.Sets {
		c.Set(key, s)
	}
}

// Empty reports whether nothing is held.
func (c *Changes) Empty() bool {
	return !c.Everything && len(c.Keys)+len(c.Tags)+len(c.Clears)+len(c.Sets) == 0
}

// coversKey reports whether what is held changes an entry, as far as its key tells.
func (c *Changes) coversKey(key string) bool {
	if c.Everything {
		return true
	}
	if _, ok := c.Keys[key]; ok {
		return true
	}
	_, ok := c.Sets[key]
	return ok
}

// CoversStamp reports whether what is held invalidates what is under a stamp.
func (c *Changes) CoversStamp(name string) bool {
	if c.Everything {
		return true
	}
	if _, ok := c.Clears[name]; ok {
		return true
	}
	if !entry.IsTagStamp(name) {
		return false
	}
	_, ok := c.Tags[strings.TrimPrefix(name, entry.TagStamp(""))]
	return ok
}
