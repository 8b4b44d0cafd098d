package runtime

import (
	"context"
	"errors"
	"strings"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/busmsg"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/generation"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// change changes keys everywhere. Every change goes the same way: move the keys'
// stripes, so that nothing read before is kept after, and take a turn among those
// who write; write to the shared tier; move again, now for those who read it
// before that, poison the keys' flights, so that what they bring is not kept and
// nobody who comes later joins one, and change memory; tell the other processes.
//
// It is carried out although ctx is cancelled: the caller has usually changed the
// source already. memory is told whether this change is surely the one that the
// shared tier holds now.
func (s *Store) change(ctx context.Context, op string, kind busmsg.Kind, keys []string,
	shared func(context.Context) error, memory func(i int, hash uint64, sure bool)) error {
	if len(keys) == 0 {
		return nil
	}
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	ctx = context.WithoutCancel(ctx)
	err := s.inTurn(ctx, keys, shared, memory)
	return s.failed(op, keys, err, s.tell(ctx, busmsg.Message{Kind: kind, Names: keys}))
}

func (s *Store) inTurn(ctx context.Context, keys []string, shared func(context.Context) error, memory func(i int, hash uint64, sure bool)) (err error) {
	hashes := make([]uint64, len(keys))
	for i, key := range keys {
		hashes[i] = s.hash(key)
	}
	marks, turn := s.stripes.Change(hashes)
	defer turn.End()
	if s.l2 != nil {
		s.await(turn)
		err = shared(ctx)
	}
	s.settle(keys, func(i int, hash uint64, before generation.Mark) {
		memory(i, hash, err == nil && (s.l2 == nil || before == marks[i]))
	})
	return err
}

// settle moves the stripes of keys, poisons their flights and changes memory, all
// under the stripes' locks.
func (s *Store) settle(keys []string, memory func(i int, hash uint64, before generation.Mark)) {
	for i, key := range keys {
		hash := s.hash(key)
		s.stripes.Move(hash, func(before generation.Mark) {
			s.flights.Poison(key)
			s.failures.forget(key)
			if s.l1 != nil {
				memory(i, hash, before)
			}
		})
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
	return s.change(ctx, "delete", busmsg.Drop, keys,
		func(ctx context.Context) error { return s.deleteMany(ctx, keys) },
		func(_ int, hash uint64, _ bool) { s.l1.Delete(hash) })
}

// age makes keys stale everywhere, keeping their values for the grace they have.
func (s *Store) age(ctx context.Context, keys []string) error {
	return s.change(ctx, "expire", busmsg.Expire, keys,
		func(ctx context.Context) error { return s.ageShared(ctx, keys) },
		func(i int, hash uint64, _ bool) { s.ageMemory(keys[i], hash) })
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
		if err != nil || !h.Age(t) {
			remove = append(remove, keys[i])
			continue
		}
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

// set stores value under key everywhere, or that there is none.
func (c *core) set(ctx context.Context, key string, value any, set settings, tags []Tag) error {
	s := c.store
	is, ttl := present, set.ttl
	if c.absent != nil && c.absent(value) {
		is, ttl, value = absent, set.missingTTL(), nil
	}
	if ttl <= 0 {
		return s.remove(ctx, []string{key}) // nothing to keep, and what was there is superseded
	}
	if c.resultTags != nil && is == present {
		tags = append(tags[:len(tags):len(tags)], c.resultTags(value)...)
	}
	cells := c.cells(tags)
	_, errStamps := s.fetch(context.WithoutCancel(ctx), nil, cells)
	it := c.newItem(key, value, is, set, now(), current(cells))
	return s.change(ctx, "set", busmsg.Drop, []string{key},
		func(ctx context.Context) error {
			written, err := c.pack(it)
			if err != nil {
				return errors.Join(err, s.deleteMany(ctx, []string{key}))
			}
			return errors.Join(errStamps, s.setMany(ctx, []drivers.Item{written}))
		},
		func(_ int, hash uint64, sure bool) {
			// With two writers of one key, who was last in the shared tier is not known
			// here: both leave memory to the next reader.
			if sure {
				s.l1.Set(hash, it, it.size)
			} else {
				s.l1.Delete(hash)
			}
		})
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
	for _, name := range names {
		s.stamps.Announce(name) // what is loaded from here on may be stored, what was before may not
	}
	err := s.restampShared(ctx, names, expire)
	for _, name := range names {
		s.stamps.Change(name, expire, s.l2 != nil)
	}
	kind := busmsg.DeleteStamp
	if expire {
		kind = busmsg.ExpireStamp
	}
	return s.failed(op, names, err, s.tell(ctx, busmsg.Message{Kind: kind, Names: names}))
}

func (s *Store) restampShared(ctx context.Context, names []string, expire bool) error {
	if s.l2 == nil {
		return nil
	}
	items := make([]drivers.Item, 0, len(names)+1)
	if strings.HasPrefix(names[0], tagStamp) { // then all are tags. First: who sees a stamp of these sees it too
		items = append(items, drivers.Item{Key: s.anyTagKey(), Value: stamp.Bytes(stamp.Half())})
	}
	for _, name := range names {
		key := s.deleteKey(name)
		if expire {
			key = s.expireKey(name)
		}
		items = append(items, drivers.Item{Key: key, Value: stamp.Bytes(stamp.Half()), TTL: stampTTL(name)})
	}
	return s.setMany(ctx, items)
}
