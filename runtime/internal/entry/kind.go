package entry

import (
	"errors"
	"sync/atomic"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/random"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

var (
	// ErrSchema says that an entry was written by another codec, for another shape of the type,
	// or by a function that had another key pattern or other tags.
	ErrSchema = errors.New("it was written for another shape of the value's type, under another key pattern or other tags, or by another codec")
	// ErrMissingStamp says that an entry could not be cleared with its cache.
	ErrMissingStamp = errors.New("it does not carry the stamps of its store, namespace and cache")
)

// A Kind is what is known of all entries of one cache. Its functions may be called by
// many goroutines at once.
type Kind struct {
	Cache       string // its name; empty for an ad-hoc cache
	Prefix      string // what every full key begins with: the store's prefix and the namespace
	Fingerprint uint64
	Encode      func(any) ([]byte, error)
	Decode      func([]byte) (any, error)
	Size        func(any) int // of a value, in bytes
	// Copy returns a copy that shares no memory with a value. Nil: a value can be handed
	// out as it is.
	Copy func(any) any
	// ResultTags returns the tags that a value tells. Nil: it tells none.
	ResultTags func(any) []string
	// NotFound is the error by which a loader says that there is no value; nil if none is.
	NotFound error
	// Absent reports whether a value means that there is none. Nil: no value does.
	Absent func(any) bool
	// Required are the cells of the stamps that every entry carries first: those of the
	// store, of the namespaces and of the cache.
	Required []*stamp.Cell
	Stamps   *stamp.Table
	Random   random.Source
	// Remote says that the store has a shared tier.
	Remote bool

	// SetsTags says that a loader has set tags of its own before.
	SetsTags atomic.Bool
}

// Cells returns the cells of an entry's stamps: the required ones and those of tags.
func (k *Kind) Cells(tags []string) []*stamp.Cell {
	cells := make([]*stamp.Cell, len(k.Required), len(k.Required)+len(tags))
	copy(cells, k.Required)
	for _, t := range tags {
		cells = append(cells, k.Stamps.Cell(TagStamp(t)))
	}
	if len(tags) > 1 {
		return Distinct(cells)
	}
	return cells
}

// TagCells returns the cells of those tags that are not among stamps.
func (k *Kind) TagCells(stamps []StampRef, tags []string) (cells []*stamp.Cell) {
	for _, tag := range tags {
		if cell := k.Stamps.Cell(TagStamp(tag)); !Carries(stamps, cell) {
			cells = append(cells, cell)
		}
	}
	return Distinct(cells)
}

// New returns an item for a value, or, by its presence, for there being none, whose load
// began at started under stamps.
func (k *Kind) New(key string, value any, presence Presence, p *policy.Policy, started int64, stamps []StampRef) *Item {
	t := clock.Now()
	ttl, grace := p.TTL, max(p.Grace, 0)
	if presence != Present {
		value, ttl, grace = nil, p.NotFoundTTL(), 0
	}
	recheckAt := p.RecheckAt(t)
	if !k.Remote { // L1TTL bounds the TTL, because there is nothing to check again
		recheckAt = clock.Never
		if p.L1TTL > 0 {
			ttl = min(ttl, p.L1TTL)
		}
	}
	fresh := clock.Add(t, p.Fresh(ttl, k.Random))
	it := &Item{
		Key: key, Value: value, Presence: presence, Stamps: stamps,
		FreshUntil: fresh, StaleUntil: clock.Add(fresh, grace), Grace: int64(grace),
		LoadStarted: started, ObtainedAt: t, RecheckAt: recheckAt, RefreshAt: clock.Never,
		Size: k.Size(value) + Overhead + len(key),
	}
	if presence == Present {
		it.RefreshAt = p.RefreshAt(t, fresh)
	}
	it.splitKey()
	return it
}

// Renew returns an item with the value of old, which still holds, for another TTL. It
// carries at least old's stamps: what has invalidated old since then has invalidated
// the new item.
func (k *Kind) Renew(old *Item, p *policy.Policy, started int64, stamps []StampRef) *Item {
	all := append([]StampRef{}, old.Stamps...)
	for _, ref := range stamps {
		if IsTagStamp(ref.Cell.Name) && !Carries(old.Stamps, ref.Cell) {
			all = append(all, ref)
		}
	}
	return k.New(old.Key, old.Value, old.Presence, p, started, all)
}

// Pack returns what the shared tier keeps of an item.
func (k *Kind) Pack(it *Item) (drivers.Item, error) {
	var value []byte
	if it.Presence == Present {
		var err error
		if value, err = k.Encode(it.Value); err != nil {
			return drivers.Item{}, err
		}
	}
	h := it.header(k.Fingerprint)
	return drivers.Item{Key: it.Key, Value: Append(nil, &h, value), TTL: Lifetime(it.StaleUntil)}, nil
}

// Unpack makes an item of what the shared tier holds for key, and returns the bytes of
// its value, which [Kind.Fill] decodes.
func (k *Kind) Unpack(p *policy.Policy, key string, data []byte) (*Item, []byte, error) {
	h, value, err := Parse(data)
	if err != nil {
		return nil, nil, err
	}
	it := &Item{
		Key: key, FreshUntil: h.FreshUntil, StaleUntil: max(h.StaleUntil, h.FreshUntil), Grace: max(h.Grace, 0), LoadStarted: h.LoadStarted,
		ObtainedAt: clock.Now(), RefreshAt: clock.Never, Expired: h.Flags&FlagExpired != 0, FromRemote: true, Presence: h.Presence(),
	}
	understood := true
	switch it.Presence {
	case NotFound:
		understood = k.NotFound != nil
	case Absent:
		understood = k.Absent != nil
	default: // the entry does not say when its load ended
		it.RefreshAt = p.RefreshAt(max(h.LoadStarted, h.FreshUntil-int64(p.TTL)), h.FreshUntil)
	}
	if h.Fingerprint != k.Fingerprint || !understood {
		return nil, nil, ErrSchema
	}
	it.RecheckAt = p.RecheckAt(it.ObtainedAt)
	it.splitKey()
	it.Stamps = make([]StampRef, len(h.Stamps))
	for i, n := range h.Stamps {
		it.Stamps[i] = StampRef{k.Stamps.Cell(n.Name), n.Value}
	}
	if !k.hasRequiredStamps(it) {
		return nil, nil, ErrMissingStamp
	}
	return it, value, nil
}

// Fill decodes the value of an item that Unpack returned.
func (k *Kind) Fill(it *Item, value []byte) error {
	if it.Presence == Present {
		v, err := k.Decode(value)
		if err != nil {
			return err
		}
		it.Value = v
	}
	it.Size = k.Size(it.Value) + Overhead + len(it.Key)
	return nil
}

// hasRequiredStamps reports whether an item carries the stamps without which a clear
// would not reach it.
func (k *Kind) hasRequiredStamps(it *Item) bool {
	for i, cell := range k.Required {
		if i >= len(it.Stamps) || it.Stamps[i].Cell != cell {
			return false
		}
	}
	return true
}

// Own returns a value as a caller gets it: a copy, where callers could change each
// other's values.
func (k *Kind) Own(value any) any {
	if k.Copy == nil || value == nil {
		return value
	}
	return k.Copy(value)
}
