package runtime

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/generation"
	"github.com/cachegen/cachegen/runtime/internal/recovery"
)

// save writes what a load has brought to the shared tier, if shared, and to memory,
// in this order, unless a key has been invalidated meanwhile.
func (s *Store) save(ctx context.Context, c *core, parts []*part, shared bool) {
	for _, p := range parts {
		if p.it != nil {
			p.it.private = true // until it is written to the shared tier
		}
	}
	if s.l2 != nil && shared {
		s.share(ctx, c, parts)
	}
	for _, p := range parts {
		if s.l2 != nil && p.flight.Forced && !p.flight.Poisoned() {
			s.replace(p) // before anyone may read it and keep what he has read
		}
		switch {
		case p.keep:
			s.keepLoaded(p, p.it)
			if p.kept {
				emit(s, s.hooks.Load().Written, event.Write{Store: s.name, Cache: c.name, Key: p.key, Loaded: true})
			}
		case p.drop:
			s.keepLoaded(p, nil)
		}
	}
}

// replace sees to it that what was there does not come back when somebody has asked
// for it to be loaded anew.
func (s *Store) replace(p *part) {
	switch {
	case p.replaced:
		s.outlast([]string{p.key})
	case p.keep && !p.skipShared, p.drop:
		s.enqueue([]recovery.Target{keyTarget(p.key)}, recovery.Item{Shared: true, Tell: s.peers != nil}, nil)
	}
}

// share writes to the shared tier what parts are to keep, and removes what they are
// to drop, all at once.
func (s *Store) share(ctx context.Context, c *core, parts []*part) {
	var ready []*part
	var hashes []uint64
	var packed []drivers.Item
	for _, p := range parts {
		var item drivers.Item
		switch {
		case p.keep && p.skipShared:
			continue
		case p.keep:
			var err error
			if item, err = c.pack(p.it); err != nil {
				s.warn("encode", err, "cache", c.name)
				continue
			}
		case p.drop && p.older:
		case p.drop: // nothing is there
			p.replaced = true
			continue
		default:
			continue
		}
		ready, hashes, packed = append(ready, p), append(hashes, p.hash), append(packed, item)
	}
	var write []drivers.Item
	var written, removed []*part
	var remove []string
	turn := s.stripes.Fill(hashes, func(i int) bool {
		if !ready[i].flight.Claim() {
			return false
		}
		if ready[i].keep {
			write, written = append(write, packed[i]), append(written, ready[i])
		} else {
			remove, removed = append(remove, ready[i].key), append(removed, ready[i])
		}
		return true
	})
	if turn == nil {
		return
	}
	defer turn.End()
	s.await(turn)
	done := func(p *part, err error) {
		if err != nil {
			s.warn("shared tier: write", err)
			return
		}
		p.replaced = true
		s.pending.Overtaken(keyTarget(p.key))
	}
	for i, err := range s.fill(ctx, write) {
		done(written[i], err)
		if err == nil || mayLand(err) { // what another process may pull is not this one's alone
			written[i].it.private = false
		}
	}
	if len(remove) > 0 {
		err := s.deleteMany(ctx, remove)
		for _, p := range removed {
			done(p, err)
		}
	}
}

// fill writes items that have been loaded. One that the tier refuses is kept in
// memory only, and does not keep the others from being written: one by one, but within
// the time of one operation, since others wait for their turn. It returns the error of
// each.
func (s *Store) fill(ctx context.Context, items []drivers.Item) []error {
	if len(items) == 0 {
		return nil
	}
	err := s.setMany(ctx, items)
	if len(items) == 1 || !errors.Is(err, drivers.ErrRefused) {
		return slices.Repeat([]error{err}, len(items))
	}
	ctx, cancel := context.WithTimeout(ctx, s.l2Timeout)
	defer cancel()
	errs := make([]error, len(items))
	for i := range items {
		errs[i] = s.setMany(ctx, items[i:i+1])
	}
	return errs
}

// await waits for a turn. Those before it have written within three operations (see
// ageShared) once it is their turn, each within the limit if the driver keeps to
// it; one that does not must not hold up the rest for ever.
func (s *Store) await(turn *generation.Turn) { turn.Wait(time.Duration(times(4, s.l2Timeout))) }

// times returns n times d, or for ever.
func times(n int64, d time.Duration) int64 {
	if d > Forever/time.Duration(n) {
		return int64(Forever)
	}
	return n * int64(d)
}

// keepLoaded puts what a flight has brought into memory, or removes what is there
// if that is nil, unless the key has been invalidated meanwhile.
func (s *Store) keepLoaded(p *part, it *item) {
	if s.l1 != nil && p.flight.Forced { // readers of the shared tier may be on their way with what was there before
		s.stripes.Move(p.hash, nil)
	}
	s.stripes.Do(p.hash, func() {
		if !p.flight.Claim() {
			return
		}
		p.kept = true
		s.failures.forget(p.key)
		switch {
		case s.l1 == nil:
		case it != nil:
			s.l1.Set(p.hash, it, it.size)
		default:
			s.l1.Delete(p.hash)
		}
	})
}

// keepStale is keepLoaded for a stale item from the shared tier. If memory has the
// same one, which remembers when to try the loader again, or a younger one, it
// stays. The one to use is returned.
func (s *Store) keepStale(p *part, it *item) *item {
	use := it
	if s.l1 != nil {
		s.stripes.Do(p.hash, func() {
			if old := s.find(it.key, p.hash); old != nil && s.supersedes(old, it) {
				use = old
			} else if !p.flight.Poisoned() {
				s.l1.Set(p.hash, it, it.size)
			}
		})
	}
	return use
}

// supersedes reports whether it is younger than other, or the same and knows as
// well that it has expired. What is over, or has been invalidated, supersedes
// nothing.
func (s *Store) supersedes(it, other *item) bool {
	if s.look(it, now()) == dead {
		return false
	}
	if it.loadStarted != other.loadStarted {
		return it.loadStarted > other.loadStarted
	}
	return it.expired || !other.expired && it.freshUntil <= other.freshUntil
}

// pack returns what the shared tier keeps of it.
func (c *core) pack(it *item) (drivers.Item, error) {
	var value []byte
	if it.presence == present {
		var err error
		if value, err = c.encode(it.value); err != nil {
			return drivers.Item{}, err
		}
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
