package runtime

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/busmsg"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/generation"
	"github.com/cachegen/cachegen/runtime/internal/recovery"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// A change is what becomes of keys. Every change goes the same way: move the keys'
// stripes, so that nothing read before is kept after, and take a turn among those
// who write; write to the shared tier; move again, now for those who read it
// before that, poison the keys' flights, so that what they bring is not kept and
// nobody who comes later joins one, and change memory; tell the other processes.
type change struct {
	op   string
	kind busmsg.Kind
	keys []string
	// shared changes the shared tier. open says that it may still hold what was to go.
	shared func(context.Context) (open bool, err error)
	// memory is told whether this change is surely the one that the shared tier holds now.
	memory func(i int, hash uint64, sure bool)
	silent bool // the others are not told
}

// carryOut carries out a change although ctx is cancelled: the caller has usually
// changed the source already.
func (s *Store) carryOut(ctx context.Context, c *change) error {
	if len(c.keys) == 0 {
		return nil
	}
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	ctx = context.WithoutCancel(ctx)
	err := s.inTurn(ctx, c)
	var told error
	if !c.silent {
		if told = s.tell(ctx, busmsg.Message{Kind: c.kind, Names: c.keys}); told != nil {
			s.enqueue(targets(c.keys, keyTarget), recovery.Item{Tell: true}, told)
		}
	}
	return s.failed(c.op, c.keys, err, told)
}

func (s *Store) inTurn(ctx context.Context, c *change) (err error) {
	hashes := make([]uint64, len(c.keys))
	for i, key := range c.keys {
		hashes[i] = s.hash(key)
	}
	marks, turn := s.stripes.Change(hashes)
	defer turn.End()
	if s.l2 != nil {
		s.await(turn)
		var open bool
		open, err = c.shared(ctx)
		if open { // before anyone may read it and keep what it has read
			s.enqueue(targets(c.keys, keyTarget), recovery.Item{Shared: true, Age: c.kind == busmsg.Expire, Tell: s.peers != nil && !c.silent}, err)
		} else if err == nil {
			s.pending.Overtaken(targets(c.keys, keyTarget)...)
		}
		s.outlast(c.keys)
	}
	s.settle(c.keys, func(i int, hash uint64, before generation.Mark) {
		c.memory(i, hash, err == nil && (s.l2 == nil || before == marks[i]))
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
		if s.pending.Len() > 0 {
			s.sayPending(err)
		}
		return &InvalidationError{Op: op, Store: s.name, Targets: targets, Err: err}
	}
	return nil
}

// whole is what a change leaves open if it has failed: all.
func whole(err error) (open bool, _ error) { return err != nil, err }

// remove deletes keys everywhere.
func (s *Store) remove(ctx context.Context, keys []string, silent bool) error {
	err := s.carryOut(ctx, &change{
		op: "delete", kind: busmsg.Drop, keys: keys, silent: silent,
		shared: func(ctx context.Context) (bool, error) { return whole(s.deleteMany(ctx, keys)) },
		memory: func(_ int, hash uint64, _ bool) { s.l1.Delete(hash) },
	})
	if len(keys) > 0 && err != ErrClosed {
		emit(s, s.hooks.Load().Deleted, event.Invalidation{Store: s.name, Keys: keys, Err: err})
	}
	return err
}

// age makes keys stale everywhere, keeping their values for the grace they have.
func (s *Store) age(ctx context.Context, keys []string, silent bool) error {
	err := s.carryOut(ctx, &change{
		op: "expire", kind: busmsg.Expire, keys: keys, silent: silent,
		shared: func(ctx context.Context) (bool, error) {
			var age, drop []string
			for _, key := range keys {
				if s.pending.Drops(keyTarget(key)) { // what lies there is to go
					drop = append(drop, key)
				} else {
					age = append(age, key)
				}
			}
			if len(drop) > 0 {
				if err := s.deleteMany(ctx, drop); err != nil {
					return true, err
				}
			}
			return whole(s.ageShared(ctx, age))
		},
		memory: func(i int, hash uint64, _ bool) { s.ageMemory(keys[i], hash) },
	})
	if len(keys) > 0 && err != ErrClosed {
		emit(s, s.hooks.Load().Expired, event.Invalidation{Store: s.name, Keys: keys, Err: err})
	}
	return err
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

// ageTries is how often an entry that changes meanwhile is looked at anew. Whoever
// changes it that often has made it younger than what was to be expired.
const ageTries = 3

// ageShared rewrites the deadlines of keys in the shared tier. What has no grace,
// or cannot be read, is deleted. If the tier can compare and swap, what another
// process stores meanwhile is not overwritten with what was there before.
func (s *Store) ageShared(ctx context.Context, keys []string) error {
	for range ageTries {
		if len(keys) == 0 {
			return nil
		}
		values, err := s.getMany(ctx, keys)
		if err != nil {
			return s.deleteInstead(ctx, keys, err)
		}
		swaps := agedValues(keys, values)
		if len(swaps) == 0 {
			return nil
		}
		if !s.swaps() {
			return s.overwrite(ctx, swaps)
		}
		swapped, err := s.swapMany(ctx, swaps)
		if err != nil {
			return s.deleteInstead(ctx, keys, err)
		}
		keys = nil
		for i, w := range swaps {
			if !swapped[i] {
				keys = append(keys, w.Key)
			}
		}
	}
	return s.deleteMany(ctx, keys)
}

// deleteInstead deletes keys that cannot be aged, because of err: they can only go. That
// the tier refuses what was to be written is no failure then.
func (s *Store) deleteInstead(ctx context.Context, keys []string, err error) error {
	errDelete := s.deleteMany(ctx, keys)
	if errors.Is(err, drivers.ErrRefused) {
		s.warn("shared tier: refused", err)
		return errDelete
	}
	return errors.Join(err, errDelete)
}

// agedValues returns what values of keys are to be replaced with.
func agedValues(keys []string, values [][]byte) (swaps []drivers.Swap) {
	t := now()
	for i, data := range values {
		if data == nil {
			continue
		}
		swap := drivers.Swap{Key: keys[i], Old: data}
		if h, value, err := entry.Parse(data); err == nil && h.Age(t) {
			swap.New, swap.TTL = entry.Append(nil, &h, value), lifetime(h.StaleUntil)
		}
		swaps = append(swaps, swap)
	}
	return swaps
}

// overwrite carries out swaps without comparing.
func (s *Store) overwrite(ctx context.Context, swaps []drivers.Swap) error {
	var remove, keys []string
	var rewrite []drivers.Item
	for _, w := range swaps {
		if w.New == nil {
			remove = append(remove, w.Key)
		} else {
			keys = append(keys, w.Key)
			rewrite = append(rewrite, drivers.Item{Key: w.Key, Value: w.New, TTL: w.TTL})
		}
	}
	var errs [2]error
	if len(rewrite) > 0 {
		if err := s.setMany(ctx, rewrite); err != nil {
			errs[0] = s.deleteInstead(ctx, keys, err)
		}
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
	if ttl <= 0 || c.function.off.Load() {
		return s.remove(ctx, []string{key}, set.skipBus) // nothing to keep, and what was there is superseded
	}
	if c.resultTags != nil && is == present {
		tags = append(tags[:len(tags):len(tags)], c.resultTags(value)...)
	}
	cells := c.cells(tags)
	errStamps := func() error {
		if !s.gate.enter() {
			return nil // carryOut says so
		}
		defer s.gate.leave()
		_, err := s.fetch(context.WithoutCancel(ctx), s.l2Timeout, nil, cells)
		return err
	}()
	it := c.newItem(key, value, is, set, now(), current(cells))
	err := s.carryOut(ctx, &change{
		op: "set", kind: busmsg.Drop, keys: []string{key}, silent: set.skipBus,
		shared: func(ctx context.Context) (bool, error) { return c.setShared(ctx, it, set, errStamps) },
		memory: func(_ int, hash uint64, sure bool) {
			// With two writers of one key, who was last in the shared tier is not known
			// here: both leave memory to the next reader.
			if sure {
				s.l1.Set(hash, it, it.size)
			} else {
				s.l1.Delete(hash)
			}
		},
	})
	if err == nil {
		emit(s, s.hooks.Load().Written, event.Write{Store: s.name, Cache: c.name, Key: key})
	}
	return err
}

// setShared stores an item in the shared tier. If that cannot take it, what it is to
// replace goes all the same.
func (c *core) setShared(ctx context.Context, it *item, set settings, errStamps error) (open bool, err error) {
	s := c.store
	keys := []string{it.key}
	// What could be overwritten there by an earlier write would have to go again: memory
	// alone keeps it, and a pull may take it from there.
	if set.skipL2Write || s.l1 != nil && s.late.of(it.key) > 0 {
		it.private = true
		return whole(s.deleteMany(ctx, keys))
	}
	written, err := c.pack(it)
	if err != nil {
		errDelete := s.deleteMany(ctx, keys)
		return errDelete != nil, errors.Join(err, errDelete)
	}
	err = s.setMany(ctx, []drivers.Item{written})
	if errors.Is(err, drivers.ErrRefused) {
		s.warn("shared tier: refused", err, "cache", c.name)
		errDelete := s.deleteMany(ctx, keys)
		if s.l1 != nil { // memory keeps it
			err, it.private = nil, true
		}
		return errDelete != nil, errors.Join(err, errDelete)
	}
	return err != nil, errors.Join(errStamps, err)
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
	of := func(name string) recovery.Target { return stampTarget(name, expire) }
	err := s.restampShared(ctx, names, expire)
	if err != nil { // before anyone may read the old ones and trust them
		s.enqueue(targets(names, of), recovery.Item{Shared: true, Tell: s.peers != nil}, err)
	} else {
		s.pending.Overtaken(targets(names, of)...)
	}
	for _, name := range names {
		s.stamps.Change(name, expire, s.l2 != nil)
	}
	kind := busmsg.DeleteStamp
	if expire {
		kind = busmsg.ExpireStamp
	}
	told := s.tell(ctx, busmsg.Message{Kind: kind, Names: names})
	if told != nil {
		s.enqueue(targets(names, of), recovery.Item{Tell: true}, told)
	}
	return s.failed(op, names, err, told)
}

func (s *Store) restampShared(ctx context.Context, names []string, expire bool) error {
	if s.l2 == nil {
		return nil
	}
	items := make([]drivers.Item, 0, len(names))
	if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, tagStamp) }) {
		// By itself, and first: who sees a stamp of these sees it too. Within a batch a
		// driver keeps no order.
		if err := s.setMany(ctx, []drivers.Item{{Key: s.anyTagKey(), Value: stamp.Bytes(stamp.Half())}}); err != nil {
			return err
		}
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
