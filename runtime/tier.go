package runtime

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// tagStampTTL is how long the stamp of a tag is kept in the shared tier. Entries
// that are older than it miss once.
const tagStampTTL = 30 * 24 * time.Hour

// Reserved keys of the two halves of a stamp. No segment of an entry's key begins
// with an exclamation mark, and no prefix holds one: they cannot be the key of an
// entry, not even in a store whose prefix is the beginning of this one's.
func (s *Store) deleteKey(name string) string { return s.prefix + "!d:" + name }
func (s *Store) expireKey(name string) string { return s.prefix + "!x:" + name }

func stampTTL(name string) time.Duration {
	if len(name) > len(tagStamp) && name[:len(tagStamp)] == tagStamp {
		return tagStampTTL
	}
	return 0
}

// anyTagKey holds a number that changes with every tag of the store. A load that
// learns of a tag only by its result compares it: see tagResult.
func (s *Store) anyTagKey() string { return s.prefix + "!t" }

// fetch reads the bytes of keys (nil for those that are absent) together with
// those stamps of cells that are not trusted, in one round trip. Stamps that the
// shared tier does not have are made. When it returns an error, cells without a
// stamp have got one that only this process knows: whatever is stored under it
// will be judged anew once the shared tier answers. Keys with a pending invalidation
// are taken for absent, and a stamp with one is an error.
func (s *Store) fetch(ctx context.Context, limit time.Duration, keys []string, cells []*stamp.Cell) (data [][]byte, err error) {
	if s.l2 == nil {
		s.provide(cells, math.MaxInt64)
		return make([][]byte, len(keys)), nil
	}
	t := now()
	for attempt := 0; ; attempt++ {
		epoch := s.stamps.Epoch() // before the read
		wanted := untrusted(cells, t)
		if data != nil && len(wanted) == 0 || len(keys)+len(wanted) == 0 {
			return data, nil
		}
		var ask []string
		if data == nil {
			ask = append(ask, s.unblocked(keys)...)
		}
		n := len(ask)
		for _, c := range wanted {
			if s.blocked(c.Name) {
				s.provide(cells, t)
				return nil, &L2Error{s.name, "read", errPending}
			}
			ask = append(ask, s.deleteKey(c.Name), s.expireKey(c.Name))
		}
		var values [][]byte
		if len(ask) > 0 {
			values, err = s.getManyWithin(ctx, limit, ask)
		}
		var halves []stamp.Value
		if err == nil {
			halves, err = s.complete(ctx, wanted, values[n:])
		}
		if err != nil {
			s.provide(cells, t)
			return nil, err
		}
		if data == nil {
			data = placed(keys, ask[:n], values[:n:n])
		}
		settled := true
		for i, c := range wanted {
			settled = s.stamps.Learn(c, halves[i], s.trust(), epoch) && settled
		}
		if settled {
			return data, nil
		}
		// Someone changed a stamp meanwhile: ask again for those that are still open.
		if attempt == 3 {
			s.provide(cells, t)
			return data, nil
		}
	}
}

// unblocked returns keys without those that must not be read from the shared tier.
func (s *Store) unblocked(keys []string) []string {
	if s.pending.Len() == 0 {
		return keys
	}
	var out []string
	for _, key := range keys {
		if !s.pending.Blocks(keyTarget(key)) {
			out = append(out, key)
		}
	}
	return out
}

// placed returns the values of some of keys, in their order, in the places of keys.
func placed(keys, some []string, values [][]byte) [][]byte {
	if len(some) == len(keys) {
		return values
	}
	data := make([][]byte, len(keys))
	for i, key := range keys {
		if len(some) > 0 && key == some[0] {
			data[i] = values[0]
			some, values = some[1:], values[1:]
		}
	}
	return data
}

// untrusted returns those of cells whose stamps have to be read at t.
func untrusted(cells []*stamp.Cell, t int64) []*stamp.Cell {
	var out []*stamp.Cell
	for _, c := range cells {
		if _, trustUntil, ok := c.Current(); !ok || t >= trustUntil {
			out = append(out, c)
		}
	}
	return out
}

// complete turns what was read for cells into stamps, making those that are absent
// or unreadable.
func (s *Store) complete(ctx context.Context, cells []*stamp.Cell, values [][]byte) ([]stamp.Value, error) {
	halves := make([]uint64, len(values))
	var add []drivers.Item
	var at []int
	for i, b := range values {
		half, ok := stamp.Parse(b)
		if ok {
			halves[i] = half
			continue
		}
		c := cells[i/2]
		item := drivers.Item{Key: s.deleteKey(c.Name), Value: stamp.Bytes(stamp.Half()), TTL: stampTTL(c.Name)}
		if i%2 == 1 {
			item.Key = s.expireKey(c.Name)
		}
		add, at = append(add, item), append(at, i)
	}
	if len(add) > 0 {
		stored, err := s.addMany(ctx, add)
		if err != nil {
			return nil, err
		}
		var foreign []drivers.Item
		for j, i := range at {
			half, ok := stamp.Parse(stored[j])
			if !ok {
				foreign = append(foreign, add[j])
				half, _ = stamp.Parse(add[j].Value)
			}
			halves[i] = half
		}
		if len(foreign) > 0 { // as good as none; a change that comes between is one more that no entry has
			s.warn("shared tier: a stamp is unreadable", fmt.Errorf("reserved key %q holds foreign data", foreign[0].Key))
			if err := s.setMany(ctx, foreign); err != nil {
				return nil, err
			}
		}
	}
	out := make([]stamp.Value, len(cells))
	for i := range out {
		out[i] = stamp.Value{Delete: halves[2*i], Expire: halves[2*i+1]}
	}
	return out, nil
}

// provide gives cells without a stamp one of this process.
func (s *Store) provide(cells []*stamp.Cell, trustUntil int64) {
	for _, c := range cells {
		if _, _, ok := c.Current(); !ok {
			s.stamps.Provide(c, stamp.New(), trustUntil)
		}
	}
}

// refetch reads the stamps of cells. If the shared tier does not answer, what was
// known before stands for another while: the cache must not be the outage. So does a
// stamp that is pending, and does not keep the others from being read.
func (s *Store) refetch(ctx context.Context, limit time.Duration, cells []*stamp.Cell) {
	epoch := s.stamps.Epoch()
	read := cells
	if s.pending.Len() > 0 {
		read = slices.DeleteFunc(slices.Clone(cells), func(c *stamp.Cell) bool { return s.blocked(c.Name) })
	}
	_, err := s.fetch(ctx, limit, nil, read)
	if err == nil && len(read) < len(cells) {
		err = errPending
	}
	if err != nil && ctx.Err() == nil {
		s.warn("shared tier: read stamps", err)
		for _, c := range cells {
			s.stamps.Prolong(c, s.trust(), epoch)
		}
	}
}

// reread reports whether a stamp whose trust has ended may be used once more
// while it is read anew in the background. A stamp that nobody has asked about
// for longer may not.
func (s *Store) reread(c *stamp.Cell, trustUntil, t int64) bool {
	if t >= deadline(trustUntil, int64(s.stampTrust)) || trustUntil == math.MinInt64 {
		return false
	}
	if !c.Refreshing.CompareAndSwap(false, true) {
		return true
	}
	if !s.spare.TryAcquire(1) {
		c.Refreshing.Store(false)
		return true
	}
	if !s.gate.enter() {
		s.spare.Release(1)
		c.Refreshing.Store(false)
		return true
	}
	go func() {
		defer s.gate.leave()
		defer s.spare.Release(1)
		defer c.Refreshing.Store(false)
		defer func() {
			if p := recover(); p != nil {
				s.warn("shared tier: driver panicked", fmt.Errorf("%v", p))
			}
		}()
		s.refetch(s.base, s.l2Timeout, []*stamp.Cell{c})
	}()
	return true
}

var (
	errForeign   = errors.New("written for another shape of the value's type, or by another codec")
	errUncovered = errors.New("written without a stamp that the cache's entries carry")
)

// received makes items of what the shared tier had for keys. Where that was
// nothing, or nothing readable, it returns nil. The stamps that the entries carry
// are read if they are not known, all at once; it fails if they cannot be.
func (c *core) received(ctx context.Context, set settings, keys []string, data [][]byte) ([]*item, error) {
	s := c.store
	items := make([]*item, len(keys))
	values := make([][]byte, len(keys))
	unreadable := func(i int, err error) {
		items[i] = nil
		message, schema := "shared tier: entry is unreadable", errors.Is(err, errForeign)
		if schema { // during a rolling deploy there are many, and nothing is wrong
			message = "shared tier: entry has another shape"
		}
		s.warn(message, err, "cache", c.name)
		emit(s, s.hooks.Load().Unreadable, event.Unreadable{Store: s.name, Cache: c.name, Key: keys[i], Schema: schema, Err: err})
	}
	var err error
	for i, b := range data {
		if b == nil {
			continue
		}
		if items[i], values[i], err = c.unpack(set, keys[i], b); err != nil {
			unreadable(i, err)
		}
	}
	if err := c.confirm(ctx, items); err != nil {
		return nil, err
	}
	for i, it := range items {
		switch {
		case it == nil:
			continue
		case it.presence == present:
			v, err := c.decode(values[i])
			if err != nil {
				unreadable(i, err)
				continue
			}
			it.value = v
		}
		it.size = c.size(it.value) + itemOverhead + len(it.key)
	}
	return items, nil
}

// unpack makes an item of what the shared tier holds for key, and returns the bytes
// of its value.
func (c *core) unpack(set settings, key string, data []byte) (*item, []byte, error) {
	h, value, err := entry.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	it := &item{
		key: key, freshUntil: h.FreshUntil, staleUntil: max(h.StaleUntil, h.FreshUntil), grace: max(h.Grace, 0), loadStarted: h.LoadStarted,
		kept: now(), refreshAt: never, expired: h.Flags&entry.Expired != 0, fetched: true,
	}
	known := true
	switch {
	case h.Flags&entry.NotFound != 0:
		it.presence, known = notFound, c.notFound != nil
	case h.Flags&entry.Absent != 0:
		it.presence, known = absent, c.absent != nil
	default: // when its load ended is not written down
		it.refreshAt = set.refreshAt(max(h.LoadStarted, h.FreshUntil-int64(set.ttl)), h.FreshUntil)
	}
	if h.Fingerprint != c.fingerprint || !known {
		return nil, nil, errForeign
	}
	it.lookAgain = c.lookAgain(set, it.kept)
	it.numbered()
	it.stamps = make([]stampRef, len(h.Stamps))
	for i, n := range h.Stamps {
		it.stamps[i] = stampRef{c.store.stamps.Cell(n.Name), n.Value}
	}
	if !c.covers(it) {
		return nil, nil, errUncovered
	}
	return it, value, nil
}

// lookAgain returns until when memory serves what it got at t without asking the
// shared tier.
func (c *core) lookAgain(set settings, t int64) int64 {
	if c.store.l2 == nil || set.l1TTL <= 0 {
		return never
	}
	return deadline(t, int64(set.l1TTL))
}

func isL2Error(err error) bool {
	var e *L2Error
	return errors.As(err, &e)
}

// confirm reads the stamps that items from the shared tier are to be compared
// with. An entry with another stamp than the one remembered here, and loaded since
// that was learnt, may know better: the stamp is then read although it is trusted.
func (c *core) confirm(ctx context.Context, items []*item) error {
	s := c.store
	var cells []*stamp.Cell
	for _, it := range items {
		if it != nil {
			for _, ref := range it.stamps {
				cells = append(cells, ref.cell)
			}
		}
	}
	if len(cells) == 0 {
		return nil
	}
	cells = distinct(cells)
	if _, err := s.fetch(ctx, s.l2Timeout, nil, cells); err != nil {
		return err
	}
	var doubted []*stamp.Cell
	for _, it := range items {
		if it == nil {
			continue
		}
		for _, ref := range it.stamps {
			v, trustUntil, _ := ref.cell.Current()
			if learnt := trustUntil - int64(s.stampTrust); v != ref.Value && it.loadStarted > learnt {
				doubted = append(doubted, ref.cell)
			}
		}
	}
	if len(doubted) == 0 {
		return nil
	}
	for _, cell := range doubted {
		s.stamps.Doubt(cell)
	}
	_, err := s.fetch(ctx, s.l2Timeout, nil, distinct(doubted))
	return err
}

// covers reports whether it carries the stamps that every entry of the cache
// must: without them, a clear would not reach it.
func (c *core) covers(it *item) bool {
	for i, cell := range c.statics {
		if i >= len(it.stamps) || it.stamps[i].cell != cell {
			return false
		}
	}
	return true
}

// itemOverhead is about what an item costs besides its key and value.
const itemOverhead = 256
