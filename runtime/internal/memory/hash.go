package memory

import (
	"hash/maphash"
	"math/bits"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/keytext"
)

// A hasher makes the hashes of one store's keys. A key's hash can be made of the parts
// that the fast paths have: the prefix of its namespace and the text, or, if its last
// segment is an integer, what is before that and the integer.
type hasher struct {
	seed   maphash.Seed
	prefix string // of the store
}

// Hash returns the hash of a full key.
func (h *hasher) Hash(key string) uint64 {
	prefix, text := entry.SplitKey(h.prefix, key)
	return h.textHash(h.PrefixHash(prefix), text)
}

// PrefixHash returns the hash of a namespace's prefix.
func (h *hasher) PrefixHash(prefix string) uint64 { return maphash.String(h.seed, prefix) }

// ScopeHash returns the hash of what is before the integer of a key, in the namespace
// whose prefix has that hash.
func (h *hasher) ScopeHash(prefixHash uint64, text string) uint64 {
	return mix(prefixHash, maphash.String(h.seed, text)|1)
}

func (h *hasher) textHash(prefixHash uint64, text string) uint64 {
	if i, n, ok := keytext.TrailingInt(text); ok {
		return intHash(h.ScopeHash(prefixHash, text[:i]), n)
	}
	return mix(prefixHash, maphash.String(h.seed, text))
}

func intHash(scopeHash uint64, n int64) uint64 { return mix(scopeHash, uint64(n)) }

// mix folds the full product of two numbers, as wyhash does.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xa0761d6478bd642f, b^0xe7037ed1a0b428db)
	return hi ^ lo
}
