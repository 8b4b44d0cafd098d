package runtime

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// tagStampTTL is how long the stamp of a tag is kept in the shared tier. Entries
// that are older than it miss once.
const tagStampTTL = 30 * 24 * time.Hour

// Reserved keys of the two halves of a stamp. Keys of entries cannot begin with
// an exclamation mark: see AppendEscaped.
func (s *Store) deleteKey(name string) string { return s.prefix + "!d:" + name }
func (s *Store) expireKey(name string) string { return s.prefix + "!x:" + name }

func stampTTL(name string) time.Duration {
	if len(name) > len(tagStamp) && name[:len(tagStamp)] == tagStamp {
		return tagStampTTL
	}
	return 0
}

// fetch reads the bytes of key (none if key is empty, nil if it is absent)
// together with those stamps of cells that are not trusted, in one round trip.
// Stamps that the shared tier does not have are made. When it returns an error,
// cells without a stamp have got one that only this process knows: whatever is
// stored under it will be judged anew once the shared tier answers.
func (s *Store) fetch(ctx context.Context, key string, cells []*stamp.Cell) (data []byte, err error) {
	t := now()
	if s.l2 == nil {
		s.provide(cells, math.MaxInt64)
		return nil, nil
	}
	for attempt := 0; ; attempt++ {
		epoch := s.stamps.Epoch() // before the read
		var keys []string
		if key != "" {
			keys = append(keys, key)
		}
		var wanted []*stamp.Cell
		for _, c := range cells {
			if _, trustUntil, ok := c.Current(); !ok || t >= trustUntil {
				wanted = append(wanted, c)
				keys = append(keys, s.deleteKey(c.Name), s.expireKey(c.Name))
			}
		}
		if len(keys) == 0 {
			return data, nil
		}
		values, err := s.getMany(ctx, keys)
		if err != nil {
			s.provide(cells, t)
			return nil, err
		}
		if key != "" {
			data, values = values[0], values[1:]
		}
		halves, err := s.complete(ctx, wanted, values)
		if err != nil {
			s.provide(cells, t)
			return nil, err
		}
		settled := true
		for i, c := range wanted {
			settled = s.stamps.Learn(c, halves[i], deadline(now(), int64(s.stampTrust)), epoch) && settled
		}
		if settled {
			return data, nil
		}
		// Someone changed a stamp meanwhile: ask again for those that are still open.
		if key = ""; attempt == 3 {
			s.provide(cells, t)
			return data, nil
		}
	}
}

// complete turns what was read for cells into stamps, making those that are absent.
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
		for j, i := range at {
			half, ok := stamp.Parse(stored[j])
			if !ok {
				return nil, fmt.Errorf("reserved key %q holds foreign data", add[j].Key)
			}
			halves[i] = half
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

// prolong believes the stamps of cells for another while.
func (s *Store) prolong(cells []*stamp.Cell, t int64) {
	for _, c := range cells {
		s.stamps.Prolong(c, deadline(t, int64(s.stampTrust)))
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
	if !s.gate.enter() {
		c.Refreshing.Store(false)
		return true
	}
	go func() {
		defer s.gate.leave()
		defer c.Refreshing.Store(false)
		if _, err := s.fetch(s.base, "", []*stamp.Cell{c}); err != nil {
			s.warn("shared tier: read stamps", err)
		}
	}()
	return true
}

// The operations on the shared tier, each with its time limit.

func (s *Store) getMany(ctx context.Context, keys []string) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.l2Timeout)
	defer cancel()
	values, err := s.l2.GetMany(ctx, keys)
	if err == nil && len(values) != len(keys) {
		err = fmt.Errorf("driver returned %d values for %d keys", len(values), len(keys))
	}
	return values, err
}

func (s *Store) setMany(ctx context.Context, items []drivers.Item) error {
	ctx, cancel := context.WithTimeout(ctx, s.l2Timeout)
	defer cancel()
	return s.l2.SetMany(ctx, items)
}

func (s *Store) deleteMany(ctx context.Context, keys []string) error {
	ctx, cancel := context.WithTimeout(ctx, s.l2Timeout)
	defer cancel()
	return s.l2.DeleteMany(ctx, keys)
}

// addMany stores what is absent and returns what is stored then. On a tier that
// cannot do both at once, the last of several processes wins, and what the others
// stored meanwhile is loaded again.
func (s *Store) addMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.l2Timeout)
	defer cancel()
	if a, ok := s.l2.(drivers.Adder); ok {
		stored, err := a.AddMany(ctx, items)
		if err == nil && len(stored) != len(items) {
			err = fmt.Errorf("driver returned %d values for %d items", len(stored), len(items))
		}
		return stored, err
	}
	stored := make([][]byte, len(items))
	for i := range items {
		stored[i] = items[i].Value
	}
	return stored, s.l2.SetMany(ctx, items)
}

var errForeign = errors.New("written for another shape of the value's type")

// unpack makes an item of what the shared tier holds for key. Anything unreadable
// is an error, which the caller treats as a miss. The stamps that the entry
// carries are read if they are not known.
func (c *core) unpack(ctx context.Context, key string, data []byte) (*item, error) {
	h, value, err := entry.Parse(data)
	if err != nil {
		return nil, err
	}
	if h.Fingerprint != c.fingerprint {
		return nil, errForeign
	}
	it := &item{
		key: key, freshUntil: h.FreshUntil, staleUntil: max(h.StaleUntil, h.FreshUntil), loadStarted: h.LoadStarted,
		kept: now(), expired: h.Flags&entry.Expired != 0,
	}
	it.numbered()
	cells := make([]*stamp.Cell, len(h.Stamps))
	it.stamps = make([]stampRef, len(h.Stamps))
	for i, n := range h.Stamps {
		cells[i] = c.store.stamps.Cell(n.Name)
		it.stamps[i] = stampRef{cells[i], n.Value}
	}
	if !c.covers(it) {
		return nil, errForeign
	}
	if err := c.confirm(ctx, it, cells); err != nil {
		return nil, err
	}
	if it.value, err = c.decode(value); err != nil {
		return nil, err
	}
	it.size = c.size(it.value) + itemOverhead + len(key)
	return it, nil
}

// confirm reads the stamps that an item from the shared tier is to be compared
// with. An entry with another stamp than the one remembered here may be younger
// than that memory, so the stamp is then read although it is still trusted.
func (c *core) confirm(ctx context.Context, it *item, cells []*stamp.Cell) error {
	s := c.store
	recent := s.trust() // of what is learnt from now on
	if _, err := s.fetch(ctx, "", cells); err != nil {
		return err
	}
	doubt := false
	for _, ref := range it.stamps {
		if v, trustUntil, _ := ref.cell.Current(); v != ref.Value && trustUntil < recent {
			s.stamps.Doubt(ref.cell)
			doubt = true
		}
	}
	if !doubt {
		return nil
	}
	_, err := s.fetch(ctx, "", cells)
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
