package runtime

import (
	"bytes"
	"context"
	"slices"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// anyTag is what [Store.anyTagKey] held before a load, if it was read.
type anyTag struct {
	value []byte
	read  bool
}

// beginAnyTag makes the number of [Store.anyTagKey] where there is none: were it
// missing before a load and after it, it might have been there in between, and have
// been evicted.
func (s *Store) beginAnyTag(ctx context.Context) anyTag {
	data, err := s.addMany(ctx, []drivers.Item{{Key: s.anyTagKey(), Value: stamp.Bytes(stamp.Half())}})
	if err != nil {
		s.warn("shared tier: write stamps", err)
		return anyTag{}
	}
	return anyTag{data[0], true}
}

// tagResults adds the stamps of the tags that only the values tell. They are read
// after the load, so a value may be older than they are, and then it is not kept:
// if one of them has changed since the flight began, or, of one that was not known
// here at known, if another process may have changed it since anyTag was read. It
// returns false if the shared tier did not tell the stamps.
func (c *core) tagResults(ctx context.Context, parts []*part, known uint64, any anyTag) (read bool) {
	s := c.store
	tagged := make([][]*stamp.Cell, len(parts))
	var all []*stamp.Cell
	for i, p := range parts {
		if p.it != nil {
			tagged[i] = c.onlyTold(p)
			all = append(all, tagged[i]...)
		}
	}
	if len(all) == 0 {
		return true
	}
	_, err := s.fetch(ctx, s.l2Timeout, nil, distinct(all))
	refs := make([][]stampRef, len(parts)) // before anyTag is read once more
	for i := range parts {
		refs[i] = current(tagged[i])
	}
	// Nobody else's change is in a stamp that only this process has.
	doubtful := func(ref stampRef) bool { return !ref.cell.KnownSince(known) && !ref.cell.Provided(ref.Value) }
	doubt := slices.ContainsFunc(slices.Concat(refs...), doubtful)
	if doubt && err == nil && any.read {
		var data [][]byte
		if data, err = s.getMany(ctx, []string{s.anyTagKey()}); err == nil { // after the stamps: see restampShared
			doubt = !bytes.Equal(data[0], any.value)
		}
	}
	if err != nil {
		s.warn("shared tier: read stamps", err)
	}
	for i, p := range parts {
		if len(refs[i]) == 0 {
			continue
		}
		kept := p.keep
		p.it.stamps = append(p.it.stamps, refs[i]...)
		if doubt && slices.ContainsFunc(refs[i], doubtful) {
			p.keep = false
		}
		for _, cell := range tagged[i] { // after reading them: see ChangedSince
			if s.stamps.ChangedSince(cell.Name, p.flight.Epoch) {
				p.keep = false
			}
		}
		// Who asked for a load although there was a value does not want that back.
		p.drop = p.drop || p.flight.Forced && kept && !p.keep
	}
	return err == nil
}

// onlyTold returns the cells of the tags that only the value of p tells.
func (c *core) onlyTold(p *part) []*stamp.Cell {
	tags := p.entry.given.tags
	if c.resultTags != nil && p.it.presence == present && p.entry.notModified == nil { // which has its own
		tags = append(tags[:len(tags):len(tags)], c.resultTags(p.it.value)...)
	}
	return c.untold(p.it.stamps, tags)
}

// untold returns the cells of tags that are not among stamps.
func (c *core) untold(stamps []stampRef, tags []Tag) (cells []*stamp.Cell) {
	for _, tag := range tags {
		if cell := c.store.stamps.Cell(tagName(tag)); !carries(stamps, cell) && !slices.Contains(cells, cell) {
			cells = append(cells, cell)
		}
	}
	return cells
}
