package runtime

import (
	"context"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/keytext"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// A core is all of a cache that does not need to know its key and value types. It
// is made once for all instances of Cache, however many functions are cached.
type core struct {
	store       *Store
	name        string // empty for an ad-hoc cache
	namespace   []string
	base        string // what every full key begins with: prefix and namespace
	scope       string // base and the text before the integer of an integer key
	baseHash    uint64
	scopeHash   uint64
	statics     []*stamp.Cell // of the store, the namespaces and the cache
	function    *function
	settings    settings
	fingerprint uint64
	shares      bool // copies of a value share memory: callers get copies
	copiesHits  bool // and generated code does not make them on the fast path

	encode     func(any) ([]byte, error)
	decode     func([]byte) (any, error)
	size       func(any) int
	copy       func(any) any   // nil if assignment copies
	resultTags func(any) []Tag // nil if there are none
	setsTags   atomic.Bool     // its loader has set tags before
	notFound   error           // what a loader means by it: there is nothing; nil if nothing
	absent     func(any) bool  // whether a value means so; nil if none does
}

// Names of stamps. What follows is a name that a user chose, so each kind has a
// letter of its own.
const (
	storeStamp     = "s"
	namespaceStamp = "n:"
	cacheStamp     = "c:"
	tagStamp       = "t:"
)

func tagName(t Tag) string { return tagStamp + string(t) }

func tagNames(tags []Tag) []string {
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = tagName(t)
	}
	return names
}

// joinNamespace returns how a path of namespaces is written in keys. Names are
// escaped: no two paths are written alike.
func joinNamespace(path []string) string {
	var b []byte
	for _, name := range path {
		b = append(b, '@')
		escaped := string(keytext.AppendEscaped(nil, name))
		b = append(b, strings.ReplaceAll(escaped, "@", "%40")...)
	}
	return string(b)
}

// place fills in what follows from store and namespace.
func (c *core) place(intPrefix string, hasIntPrefix bool) {
	s := c.store
	c.base = s.prefix
	c.statics = []*stamp.Cell{s.stamps.Cell(storeStamp)}
	for i := range c.namespace {
		c.statics = append(c.statics, s.stamps.Cell(namespaceStamp+joinNamespace(c.namespace[:i+1])))
	}
	if len(c.namespace) > 0 {
		c.base += joinNamespace(c.namespace) + ":"
	}
	if c.name != "" {
		c.statics = append(c.statics, s.stamps.Cell(c.ownStamp()))
	}
	c.baseHash = maphash.String(s.seed, c.base)
	if hasIntPrefix {
		c.scope = c.base + intPrefix
		c.scopeHash = s.scopeHash(c.baseHash, intPrefix)
	}
}

// ownStamp names the stamp that Clear changes.
func (c *core) ownStamp() string {
	path := joinNamespace(c.namespace)
	switch {
	case c.name != "":
		return cacheStamp + path + ":" + c.name
	case path != "":
		return namespaceStamp + path
	}
	return storeStamp
}

// split cuts a full key of the store into base and text.
func (s *Store) split(key string) (base, text string) {
	n := min(len(s.prefix), len(key)) // a message may name anything
	if n < len(key) && key[n] == '@' {
		if i := strings.IndexByte(key[n:], ':'); i >= 0 {
			n += i + 1
		}
	}
	return key[:n], key[n:]
}

// hash returns the hash of a full key. It is the one that the fast paths compute
// from the parts they have: base and text, or scope and integer.
func (s *Store) hash(key string) uint64 {
	base, text := s.split(key)
	return s.textHash(maphash.String(s.seed, base), text)
}

func (s *Store) textHash(baseHash uint64, text string) uint64 {
	if i, n, ok := trailingInt(text); ok {
		return intHash(s.scopeHash(baseHash, text[:i]), n)
	}
	return mix(baseHash, maphash.String(s.seed, text))
}

func (s *Store) scopeHash(baseHash uint64, prefix string) uint64 {
	return mix(baseHash, maphash.String(s.seed, prefix)|1)
}

func intHash(scopeHash uint64, n int64) uint64 { return mix(scopeHash, uint64(n)) }

// mix folds the full product of two numbers, as wyhash does.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xa0761d6478bd642f, b^0xe7037ed1a0b428db)
	return hi ^ lo
}

// hit returns the item of a key if memory holds a fresh one. It does not allocate.
func (c *core) hit(text []byte) *item {
	s := c.store
	if s.l1 == nil {
		return nil
	}
	// The string lives no longer than the call, in which nobody changes the bytes.
	key := unsafe.String(unsafe.SliceData(text), len(text))
	it, _ := s.l1.Get(s.textHash(c.baseHash, key)).(*item)
	if it == nil || len(it.key) != len(c.base)+len(key) || it.key[len(c.base):] != key || it.key[:len(c.base)] != c.base {
		return nil
	}
	return c.served(it)
}

// hitInt is hit for a key that is the cache's scope and n.
func (c *core) hitInt(n int64) *item {
	s := c.store
	if s.l1 == nil {
		return nil
	}
	it, _ := s.l1.Get(intHash(c.scopeHash, n)).(*item)
	if it == nil || it.num != n || it.scope != c.scope || c.scope == "" {
		return nil
	}
	return c.served(it)
}

// served returns an item that was found on the fast path if it may be served there.
func (c *core) served(it *item) *item {
	s := c.store
	if c.function.off.Load() || !s.good(it) && !s.serves(it) {
		return nil
	}
	if s.hooks.Load().Hit != nil {
		c.sayHit(it, event.L1, false)
	}
	return it
}

// serves reports whether the fast path may serve an item that is not known to be
// good.
func (s *Store) serves(it *item) bool {
	t := now()
	return s.look(it, t) == fresh && t < it.dueAt() && it.presence != notFound
}

// find returns the item of a full key in memory, whatever it is worth.
func (s *Store) find(key string, hash uint64) *item {
	if s.l1 == nil {
		return nil
	}
	if it, _ := s.l1.Get(hash).(*item); it != nil && it.key == key {
		return it
	}
	return nil
}

// judge says what an item is worth now, reading stamps from the shared tier if it
// has to. It is never unsure; nil is dead.
func (s *Store) judge(ctx context.Context, it *item) verdict {
	if it == nil {
		return dead
	}
	if v := s.look(it, now()); v != unsure {
		return v
	}
	return s.judgeAll(ctx, []*item{it})[0]
}

// judgeAll is judge for many items, whose stamps it reads at once.
func (s *Store) judgeAll(ctx context.Context, items []*item) []verdict {
	verdicts := make([]verdict, len(items))
	var cells []*stamp.Cell
	t := now()
	limit := s.l2Timeout
	if s.l2Soft > 0 {
		limit = min(limit, s.l2Soft)
	}
	for i, it := range items {
		if it == nil {
			continue
		}
		if verdicts[i] = s.look(it, t); verdicts[i] == unsure {
			if t < it.freshUntil { // it is no grace value: a tier that is slow is worth waiting for
				limit = s.l2Timeout
			}
			for _, ref := range it.stamps {
				cells = append(cells, ref.cell)
			}
		}
	}
	if len(cells) == 0 {
		return verdicts
	}
	s.refetch(ctx, limit, distinct(cells))
	for i, it := range items {
		if verdicts[i] == unsure {
			if verdicts[i] = s.look(it, now()); verdicts[i] == unsure {
				verdicts[i] = dead
			}
		}
	}
	return verdicts
}

// distinct removes repetitions from a list, in place.
func distinct[T comparable](list []T) []T {
	if len(list) < 2 {
		return list
	}
	seen := make(map[T]bool, len(list))
	return slices.DeleteFunc(list, func(e T) bool {
		again := seen[e]
		seen[e] = true
		return again
	})
}
