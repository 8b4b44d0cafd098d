// Package prune removes from the shared tier what nobody can read any more: when a user asks
// for it, and behind those who clear.
//
// A batch at a time is read and removed, each with the tier's own limits; only one prune runs
// behind the callers of a store. A mutex guards what is to be pruned next, and is not held
// meanwhile. The package decides nothing about what is valid: an entry goes if one of its
// stamps is not current, if it is still the one that was read, and if nobody loads its key under a
// lease, who will replace it. A key with entries of several builds goes if nobody can read any of
// them.
package prune

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/guard"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// What bounds a batch: nobody else waits for more than that.
const (
	batchEntries = 64
	batchStamps  = 1024
)

// A Pruner is that of one store.
type Pruner struct {
	Remote *remote.Tier
	Work   *background.Work
	Emit   *emit.Emitter

	behind behind
}

// can reports whether the driver can do what is needed to remove what is invalid.
func (p *Pruner) can() bool {
	_, ok := drivers.ScannerOf(p.Remote.Driver)
	return ok && p.Remote.CanSwap()
}

// Prune removes what nobody can read any more, and returns how much that was: what is past
// its TTL, if the driver does not remove that by itself, and what is invalid by its stamps.
func (p *Pruner) Prune(ctx context.Context) (n int64, err error) {
	n, err = p.Remote.Prune(ctx)
	invalid, errInvalid := p.invalid(ctx, p.Remote.Prefix, func(batch func() error) error { return batch() })
	if errInvalid != nil {
		err = errors.Join(err, errInvalid)
	}
	return n + invalid, err
}

// invalid removes those entries of the store whose keys begin with prefix and which an
// invalidation by tag or a clear has made invalid: an entry that lives for ever would stay,
// although nobody can read it. It goes through the keys a batch at a time, each of which is
// carried out by around, and stops at the first error.
//
// An entry is removed only if it is still the one that was read. A stamp that it carries and
// that was not current after that is never current again. Where a load has the lease of the key,
// the entry stays: to remove it would end the lease, and what was loaded would not be stored.
func (p *Pruner) invalid(ctx context.Context, prefix string, around func(batch func() error) error) (n int64, err error) {
	scanner, ok := drivers.ScannerOf(p.Remote.Driver)
	if !ok || !p.Remote.CanSwap() {
		return 0, nil
	}
	err = guard.Call(func() error {
		return scanner.Scan(ctx, prefix, func(keys []string) error {
			keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
				return !strings.HasPrefix(key, p.Remote.Prefix) || strings.HasPrefix(key[len(p.Remote.Prefix):], "!")
			})
			for some := range slices.Chunk(keys, batchEntries) {
				err := around(func() error {
					removed, err := p.some(ctx, some)
					n += removed
					return err
				})
				if err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	})
	return n, err
}

// A suspect is a key that a prune looks at, with the entries that it holds: one, or a variant
// of each of several builds.
type suspect struct {
	variants []entry.Header
	key      string
	data     []byte
}

// ofStores reports whether entries carry what entries of stores carry first.
func ofStores(variants []entry.Header) bool {
	return !slices.ContainsFunc(variants, func(h entry.Header) bool {
		return len(h.Stamps) == 0 || h.Stamps[0].Name != entry.StoreStamp
	})
}

// isOf reports whether one of the entries is of a store with that stamp.
func (s *suspect) isOf(store stamp.Record) bool {
	return slices.ContainsFunc(s.variants, func(h entry.Header) bool { return h.Stamps[0].Delete == store.Delete })
}

// isOnlyOf reports whether all of the entries are of a store with that stamp.
func (s *suspect) isOnlyOf(store stamp.Record) bool {
	return !slices.ContainsFunc(s.variants, func(h entry.Header) bool { return h.Stamps[0].Delete != store.Delete })
}

// over reports whether the time of one of the entries is over at t although their key lives on.
// What is alone ends with its key.
func (s *suspect) over(h *entry.Header, t int64) bool {
	return len(s.variants) > 1 && t >= h.StaleUntil
}

func (p *Pruner) some(ctx context.Context, keys []string) (removed int64, err error) {
	values, err := p.Remote.Read(ctx, p.Remote.Timeout, keys, nil)
	if err != nil {
		return 0, err
	}
	var all []suspect
	var names []string
	for i, data := range values {
		variants, ok := entry.Headers(data)
		if !ok || !ofStores(variants) {
			continue // of somebody else, or of another version
		}
		all = append(all, suspect{variants, keys[i], data})
		for _, h := range variants {
			for _, s := range h.Stamps {
				names = append(names, p.Remote.StampKey(s.Name))
			}
		}
	}
	current, err := p.records(ctx, names)
	if err != nil {
		return 0, err
	}
	t := clock.Wall()
	all = slices.DeleteFunc(all, func(s suspect) bool { // if somebody may still use one of its entries
		return slices.ContainsFunc(s.variants, func(h entry.Header) bool {
			return !s.over(&h, t) && p.valid(&h, current)
		})
	})
	if all, err = p.withoutForeign(ctx, all, current); err != nil || len(all) == 0 {
		return 0, err
	}
	swaps := make([]drivers.Swap, len(all))
	for i, s := range all {
		swaps[i] = drivers.Swap{Key: s.key, Old: s.data, Unleased: true}
	}
	swapped, err := p.Remote.Swap(ctx, swaps)
	for _, ok := range swapped {
		if ok {
			removed++
		}
	}
	return removed, err
}

// records reads stamps by their keys.
func (p *Pruner) records(ctx context.Context, keys []string) (map[string]stamp.Record, error) {
	keys = entry.Distinct(keys)
	found := make(map[string]stamp.Record, len(keys))
	for some := range slices.Chunk(keys, batchStamps) {
		values, err := p.Remote.Read(ctx, p.Remote.Timeout, some, nil)
		if err != nil {
			return nil, err
		}
		for i, b := range values {
			if r, ok := stamp.Parse(b); ok {
				found[some[i]] = r
			}
		}
	}
	return found, nil
}

// valid reports whether an entry may be served, also as a stale one, by the stamps that are
// current.
func (p *Pruner) valid(h *entry.Header, current map[string]stamp.Record) bool {
	for _, s := range h.Stamps {
		r, ok := current[p.Remote.StampKey(s.Name)]
		if !ok || r.Delete != s.Delete || r.Expire != s.Expire && h.Grace <= 0 {
			return false
		}
	}
	return true
}

// withoutForeign removes entries of other stores, whose keys may begin with this store's
// prefix: those that carry the stamp which such a store has now. The prefix of a store is the
// begin of its keys, up to a colon.
func (p *Pruner) withoutForeign(ctx context.Context, all []suspect, current map[string]stamp.Record) ([]suspect, error) {
	others := make([][]string, len(all)) // keys of stamps
	var names []string
	for i, s := range all {
		if r, ok := current[p.Remote.StampKey(entry.StoreStamp)]; ok && s.isOnlyOf(r) {
			continue // of this store for certain
		}
		for end := 0; end >= 0; {
			if prefix := s.key[:end]; prefix != p.Remote.Prefix {
				others[i] = append(others[i], remote.StampKeyOf(prefix, entry.StoreStamp))
			}
			next := strings.IndexByte(s.key[end:], ':')
			if end += next + 1; next < 0 || len(others[i]) > batchStamps {
				break
			}
		}
		names = append(names, others[i]...)
	}
	if len(names) == 0 {
		return all, nil
	}
	theirs, err := p.records(ctx, names)
	if err != nil {
		return nil, err
	}
	var own []suspect
	for i, s := range all {
		if !slices.ContainsFunc(others[i], func(key string) bool {
			r, ok := theirs[key]
			return ok && s.isOf(r)
		}) {
			own = append(own, s)
		}
	}
	return own, nil
}
