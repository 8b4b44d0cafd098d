package runtime

import (
	"context"
	"errors"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/busmsg"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/generation"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// Every change of keys goes the same way: move the keys' stripes, so that nothing
// loaded before is stored after; wait for the writes to the shared tier that had
// begun; write there; move again, now for those who read the shared tier before
// that, changing memory under the stripe's lock; poison the keys' flights, so
// that nobody who comes later joins one from before; tell the other processes.
//
// A change is carried out although ctx is cancelled: the caller has usually
// changed the source already.

// begin is the first half of a change. It returns the stripes' marks.
func (s *Store) begin(ctx context.Context, keys []string) []generation.Mark {
	marks := make([]generation.Mark, len(keys))
	waits := make([]func(context.Context), len(keys))
	for i, key := range keys {
		marks[i], waits[i] = s.stripes.Move(s.hash(key), nil)
	}
	ctx, cancel := context.WithTimeout(ctx, s.l2Timeout) // a fill takes no longer, if its driver keeps to the limit
	defer cancel()
	for _, wait := range waits {
		wait(ctx)
	}
	return marks
}

// finish is the second half: change is run for each key under its stripe's lock.
func (s *Store) finish(keys []string, change func(i int, hash uint64, before generation.Mark)) {
	for i, key := range keys {
		hash := s.hash(key)
		s.stripes.Move(hash, func(before generation.Mark) {
			if s.l1 != nil {
				change(i, hash, before)
			}
		})
		s.flights.Poison(key)
	}
}

func (s *Store) failed(op string, targets []string, errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return &InvalidationError{Op: op, Store: s.name, Targets: targets, Err: err}
	}
	return nil
}

// remove deletes keys everywhere.
func (s *Store) remove(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	ctx = context.WithoutCancel(ctx)
	s.begin(ctx, keys)
	var err error
	if s.l2 != nil {
		err = s.deleteMany(ctx, keys)
	}
	s.finish(keys, func(_ int, hash uint64, _ generation.Mark) { s.l1.Delete(hash) })
	return s.failed("delete", keys, err, s.tell(ctx, busmsg.Message{Kind: busmsg.Drop, Names: keys}))
}

// age makes keys stale everywhere, keeping their values for the grace they have.
func (s *Store) age(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	ctx = context.WithoutCancel(ctx)
	s.begin(ctx, keys)
	var err error
	if s.l2 != nil {
		err = s.ageShared(ctx, keys)
	}
	s.finish(keys, func(i int, hash uint64, _ generation.Mark) { s.ageMemory(keys[i], hash) })
	return s.failed("expire", keys, err, s.tell(ctx, busmsg.Message{Kind: busmsg.Expire, Names: keys}))
}

// ageMemory is called under the stripe's lock.
func (s *Store) ageMemory(key string, hash uint64) {
	it, _ := s.l1.Get(hash).(*item)
	if it == nil || it.key != key {
		return
	}
	if old := it.aged(now()); old != nil {
		s.l1.Set(hash, old, old.size)
	} else {
		s.l1.Delete(hash)
	}
}

// ageShared rewrites the deadlines of keys in the shared tier. What has no grace,
// or cannot be read, is deleted.
func (s *Store) ageShared(ctx context.Context, keys []string) error {
	values, err := s.getMany(ctx, keys)
	if err != nil {
		return errors.Join(err, s.deleteMany(ctx, keys)) // without its value it can only go
	}
	var remove []string
	var rewrite []drivers.Item
	t := now()
	for i, data := range values {
		if data == nil {
			continue
		}
		h, value, err := entry.Parse(data)
		if err != nil || h.StaleUntil <= t || h.StaleUntil <= h.FreshUntil {
			remove = append(remove, keys[i])
			continue
		}
		h.FreshUntil = min(h.FreshUntil, t)
		h.Flags |= entry.Expired
		rewrite = append(rewrite, drivers.Item{Key: keys[i], Value: entry.Append(nil, &h, value), TTL: lifetime(h.StaleUntil)})
	}
	var errs [2]error
	if len(rewrite) > 0 {
		errs[0] = s.setMany(ctx, rewrite)
	}
	if len(remove) > 0 {
		errs[1] = s.deleteMany(ctx, remove)
	}
	return errors.Join(errs[:]...)
}

// set stores value under key everywhere.
func (c *core) set(ctx context.Context, key string, value any, set settings, tags []Tag) error {
	s := c.store
	if set.ttl <= 0 {
		return s.remove(ctx, []string{key}) // nothing to keep, and what was there is superseded
	}
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	ctx = context.WithoutCancel(ctx)
	if c.resultTags != nil {
		tags = append(tags[:len(tags):len(tags)], c.resultTags(value)...)
	}
	cells := c.cells(tags)
	_, errStamps := s.fetch(ctx, "", cells)
	it := c.newItem(key, value, set, now(), current(cells))

	keys := []string{key}
	mark := s.begin(ctx, keys)[0]
	err := errStamps
	if s.l2 != nil {
		var written drivers.Item
		var errPack error
		if written, errPack = c.pack(it); errPack == nil {
			err = errors.Join(err, s.setMany(ctx, []drivers.Item{written}))
		} else {
			err = errors.Join(err, errPack, s.deleteMany(ctx, keys))
		}
	}
	s.finish(keys, func(_ int, hash uint64, before generation.Mark) {
		// With two writers of one key, who was last in the shared tier is not known
		// here: both leave memory to the next reader.
		if err == nil && (s.l2 == nil || before == mark) {
			s.l1.Set(hash, it, it.size)
		} else {
			s.l1.Delete(hash)
		}
	})
	return s.failed("set", keys, err, s.tell(ctx, busmsg.Message{Kind: busmsg.Drop, Names: keys}))
}

// restamp changes the stamps of names, which invalidates all entries under them:
// their expire half, or else their delete half.
func (s *Store) restamp(ctx context.Context, op string, names []string, expire bool) error {
	if len(names) == 0 {
		return nil
	}
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	ctx = context.WithoutCancel(ctx)
	kind := busmsg.DeleteStamp
	if expire {
		kind = busmsg.ExpireStamp
	}
	halves := make([]uint64, len(names))
	items := make([]drivers.Item, len(names))
	for i, name := range names {
		s.stamps.Announce(name) // what is loaded from here on may be stored, what was before may not
		halves[i] = stamp.Half()
		key := s.deleteKey(name)
		if expire {
			key = s.expireKey(name)
		}
		items[i] = drivers.Item{Key: key, Value: stamp.Bytes(halves[i]), TTL: stampTTL(name)}
	}
	var err error
	if s.l2 != nil {
		err = s.setMany(ctx, items)
	}
	for i, name := range names {
		s.stamps.ChangeHalf(name, halves[i], expire, s.trust())
	}
	return s.failed(op, names, err, s.tell(ctx, busmsg.Message{Kind: kind, Names: names, Halves: halves}))
}
