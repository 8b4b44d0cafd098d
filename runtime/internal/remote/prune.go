package remote

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/guard"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// What bounds a batch of a prune: nobody else waits for more than that.
const (
	pruneEntries = 64
	pruneStamps  = 1024
)

// Prune removes what nobody can read any more, and returns how much that was: what is past
// its TTL, if the driver does not remove that by itself, and what is invalid by its stamps.
func (t *Tier) Prune(ctx context.Context) (n int64, err error) {
	if p, ok := drivers.PrunerOf(t.Driver); ok {
		n, err = p.Prune(ctx)
	}
	dead, errDead := t.PruneInvalid(ctx, t.Prefix, func(batch func() error) error { return batch() })
	if errDead != nil {
		err = errors.Join(err, errDead)
	}
	return n + dead, err
}

// CanPruneInvalid reports whether [Tier.PruneInvalid] does anything.
func (t *Tier) CanPruneInvalid() bool {
	_, ok := drivers.ScannerOf(t.Driver)
	return ok && t.canSwap()
}

// PruneInvalid removes those entries of the store whose keys begin with prefix and which an
// invalidation by tag or a clear has made invalid: an entry that lives for ever would stay,
// although nobody can read it. It goes through the keys a batch at a time, each of which is
// carried out by around, and stops at the first error.
//
// An entry is removed only if it is still the one that was read. A stamp that it carries and
// that was not current after that is never current again.
func (t *Tier) PruneInvalid(ctx context.Context, prefix string, around func(batch func() error) error) (n int64, err error) {
	scanner, ok := drivers.ScannerOf(t.Driver)
	if !ok || !t.canSwap() {
		return 0, nil
	}
	err = guard.Call(func() error {
		return scanner.Scan(ctx, prefix, func(keys []string) error {
			keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
				return !strings.HasPrefix(key, t.Prefix) || strings.HasPrefix(key[len(t.Prefix):], "!")
			})
			for some := range slices.Chunk(keys, pruneEntries) {
				err := around(func() error {
					removed, err := t.pruneSome(ctx, some)
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

// A suspect is an entry that a prune looks at.
type suspect struct {
	entry.Header
	key  string
	data []byte
}

func (t *Tier) pruneSome(ctx context.Context, keys []string) (removed int64, err error) {
	values, err := t.get(ctx, t.Timeout, keys)
	if err != nil {
		return 0, err
	}
	var all []suspect
	var names []string
	for i, data := range values {
		h, _, err := entry.Parse(data)
		if err != nil || len(h.Stamps) == 0 || h.Stamps[0].Name != entry.StoreStamp {
			continue // of somebody else, or of another version
		}
		all = append(all, suspect{h, keys[i], data})
		for _, s := range h.Stamps {
			names = append(names, t.stampKey(s.Name))
		}
	}
	current, err := t.records(ctx, names)
	if err != nil {
		return 0, err
	}
	all = slices.DeleteFunc(all, func(s suspect) bool { return t.valid(&s.Header, current) })
	if all, err = t.withoutForeign(ctx, all, current); err != nil || len(all) == 0 {
		return 0, err
	}
	swaps := make([]drivers.Swap, len(all))
	for i, s := range all {
		swaps[i] = drivers.Swap{Key: s.key, Old: s.data}
	}
	swapped, err := t.swapBy(ctx, operation{}, swaps)
	for _, ok := range swapped {
		if ok {
			removed++
		}
	}
	return removed, err
}

// records reads stamps by their keys.
func (t *Tier) records(ctx context.Context, keys []string) (map[string]stamp.Record, error) {
	keys = entry.Distinct(keys)
	found := make(map[string]stamp.Record, len(keys))
	for some := range slices.Chunk(keys, pruneStamps) {
		values, err := t.get(ctx, t.Timeout, some)
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
func (t *Tier) valid(h *entry.Header, current map[string]stamp.Record) bool {
	for _, s := range h.Stamps {
		r, ok := current[t.stampKey(s.Name)]
		if !ok || r.Delete != s.Delete || r.Expire != s.Expire && h.Grace <= 0 {
			return false
		}
	}
	return true
}

// withoutForeign removes entries of other stores, whose keys may begin with this store's
// prefix: those that carry the stamp which such a store has now. The prefix of a store is the
// begin of its keys, up to a colon.
func (t *Tier) withoutForeign(ctx context.Context, all []suspect, current map[string]stamp.Record) ([]suspect, error) {
	others := make([][]string, len(all)) // keys of stamps
	var names []string
	for i, s := range all {
		if r, ok := current[t.stampKey(entry.StoreStamp)]; ok && r.Delete == s.Stamps[0].Delete {
			continue // of this store for certain
		}
		for end := 0; end >= 0; {
			if prefix := s.key[:end]; prefix != t.Prefix {
				others[i] = append(others[i], prefix+stampMark+entry.StoreStamp)
			}
			next := strings.IndexByte(s.key[end:], ':')
			if end += next + 1; next < 0 || len(others[i]) > pruneStamps {
				break
			}
		}
		names = append(names, others[i]...)
	}
	if len(names) == 0 {
		return all, nil
	}
	theirs, err := t.records(ctx, names)
	if err != nil {
		return nil, err
	}
	var own []suspect
	for i, s := range all {
		if !slices.ContainsFunc(others[i], func(key string) bool {
			r, ok := theirs[key]
			return ok && r.Delete == s.Stamps[0].Delete
		}) {
			own = append(own, s)
		}
	}
	return own, nil
}
