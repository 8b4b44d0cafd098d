package runtime

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/generation"
)

// save writes what a flight has loaded to the shared tier, if shared, and to
// memory, in this order, unless the key has been invalidated meanwhile.
func (s *Store) save(ctx context.Context, c *core, it *item, hash uint64, f *load, shared bool) {
	if s.l2 != nil && shared {
		if written, err := c.pack(it); err != nil {
			s.warn("encode", err, "cache", c.name)
		} else if turn, ok := s.stripes.Fill(hash, func() bool { return !f.Poisoned() }); ok {
			if err := s.fill(ctx, turn, written); err != nil {
				s.warn("shared tier: write", err)
			}
		}
	}
	s.keepLoaded(it, hash, f)
}

func (s *Store) fill(ctx context.Context, turn *generation.Turn, it drivers.Item) error {
	defer turn.End()
	s.await(turn)
	return s.setMany(ctx, []drivers.Item{it})
}

// await waits for a turn. Those before it take three operations at most (see
// ageShared) once it is their turn, each within the limit if the driver keeps to
// it; one that does not must not hold up the rest for ever.
func (s *Store) await(turn *generation.Turn) { turn.Wait(4 * s.l2Timeout) }

// keepLoaded puts what a flight has brought into memory, unless the key has been
// invalidated meanwhile.
func (s *Store) keepLoaded(it *item, hash uint64, f *load) {
	if s.l1 == nil {
		return
	}
	if f.Forced { // readers of the shared tier may be on their way with what was there before
		s.stripes.Move(hash, nil)
	}
	s.stripes.Do(hash, func() {
		if !f.Poisoned() {
			s.l1.Set(hash, it, it.size)
		}
	})
}

// keepStale is keepLoaded for a stale item from the shared tier. If memory has the
// same one, which remembers when to try the loader again, or a younger one, it
// stays. The one to use is returned.
func (s *Store) keepStale(it *item, hash uint64, f *load) *item {
	use := it
	if s.l1 != nil {
		s.stripes.Do(hash, func() {
			if old := s.find(it.key, hash); old != nil && old.supersedes(it) {
				use = old
			} else if !f.Poisoned() {
				s.l1.Set(hash, it, it.size)
			}
		})
	}
	return use
}

// supersedes reports whether it is younger than other, or the same and knows as
// well that it has expired.
func (it *item) supersedes(other *item) bool {
	if it.loadStarted != other.loadStarted {
		return it.loadStarted > other.loadStarted
	}
	return it.expired || it.freshUntil <= other.freshUntil
}

// pack returns what the shared tier keeps of it.
func (c *core) pack(it *item) (drivers.Item, error) {
	value, err := c.encode(it.value)
	if err != nil {
		return drivers.Item{}, err
	}
	h := it.header(c.fingerprint)
	return drivers.Item{Key: it.key, Value: entry.Append(nil, &h, value), TTL: lifetime(it.staleUntil)}, nil
}

// lifetime returns how long something may be kept until a time; zero is for ever.
func lifetime(until int64) time.Duration {
	if until == int64(Forever) {
		return 0
	}
	return max(time.Duration(until-now()), 1)
}
