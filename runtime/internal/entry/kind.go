package entry

import (
	"errors"
	"fmt"
	"slices"
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
	// ErrForeignStamp says that an entry carries what no entry of its cache has: a stamp that
	// is none, or one of something else than a tag beside those of its cache.
	ErrForeignStamp = errors.New("it carries a stamp that is not of its store, namespace, cache or a tag")
	// ErrTooManyStamps says that a value has more tags than an entry can have.
	ErrTooManyStamps = fmt.Errorf("it has more tags than an entry can have, with its store, namespaces and cache %d", MaxStamps)
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
	// Lossy returns what decoding gives of a value, which is less than was encoded. Nil:
	// nothing is lost.
	Lossy func(any) (any, error)
	// Keep returns a copy of a value that refers to no memory of the value's: what memory
	// keeps. It fails if there can be none. Nil: a value can be kept as it is.
	Keep func(any) (any, error)
	// ResultTags returns the tags that a value tells. Nil: it tells none.
	ResultTags func(any) []string
	// NotFound is the error by which a loader says that there is no value; nil if none is.
	NotFound error
	// Absent reports whether a value means that there is none. Nil: no value does.
	Absent func(any) bool
	// MissingIsAbsent says that a key which a loader of many keys does not return is like
	// one of which it returns such a value.
	MissingIsAbsent bool
	// MissingIsUnknown says that nothing is known of such a key, although there is NotFound: each
	// call has a loader of its own, and another one may have the key. Where it is remembered that
	// there is no value, it is NotFound all the same.
	MissingIsUnknown bool
	// Required are the cells of the stamps that every entry carries first: those of the
	// store, of the namespaces and of the cache.
	Required []*stamp.Cell
	Stamps   *stamp.Table
	Random   random.Source
	// Remote says that the store has a shared tier.
	Remote bool

	// SetsTags says that a loader has set tags of its own before.
	SetsTags atomic.Bool
	untagged atomic.Int32 // loads that have set none
	// ToldRefused says that it has been logged that memory does not keep a value of the cache.
	ToldRefused atomic.Bool
}

// enoughUntagged is after how many loads that have set no tags it is believed that none does.
const enoughUntagged = 100

// Learn says that a loader has set so many tags of its own.
func (k *Kind) Learn(tags int) {
	switch {
	case tags > 0:
		k.SetsTags.Store(true)
	case k.untagged.Load() < enoughUntagged:
		k.untagged.Add(1)
	}
}

// MayTellTags reports whether a load may tell tags that are not known before it. Of a function
// that is new to this process it is not known whether its loader does.
func (k *Kind) MayTellTags() bool {
	return k.ResultTags != nil || k.SetsTags.Load() || k.untagged.Load() < enoughUntagged
}

// Function names the function whose entries they are, for what functions share. Caches of one
// function in several namespaces are one; ad-hoc caches of one namespace are one, too.
func (k *Kind) Function() string {
	if k.Cache != "" {
		return k.Cache
	}
	return k.Prefix
}

// Hold returns a value as a tier may keep it.
func (k *Kind) Hold(value any) (any, error) {
	if k.Keep == nil || value == nil {
		return value, nil
	}
	return k.Keep(value)
}

// Uncopied returns an item for a value of which there is no copy. Its size is not known: it
// is not kept.
func (k *Kind) Uncopied(key string, value any, p *policy.Policy, started int64, stamps []StampRef) *Item {
	it := k.New(key, nil, Present, p, started, stamps)
	it.Value, it.Uncopied = value, true
	return it
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

// TooMany reports whether an entry that carries so many stamps, or those that all carry,
// cannot have tags as well.
func (k *Kind) TooMany(carried int, tags []string) bool {
	carried = max(carried, len(k.Required))
	return carried+len(tags) > MaxStamps && carried+len(Distinct(slices.Clone(tags))) > MaxStamps
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
// began under stamps, when the machine's clock showed started.
func (k *Kind) New(key string, value any, presence Presence, p *policy.Policy, started int64, stamps []StampRef) *Item {
	t := clock.Now()
	ttl, grace := p.TTL, max(p.Grace, 0)
	if presence != Present {
		value, ttl, grace = nil, p.NotFoundTTL, 0
	}
	recheckAt := p.RecheckAt(t)
	if !k.Remote { // L1TTL bounds the TTL, because there is nothing to check again
		recheckAt = clock.Never
		if p.L1TTL > 0 {
			ttl = min(ttl, p.L1TTL)
		}
	}
	fresh := clock.Add(t, p.Fresh(key, ttl, k.Random))
	it := &Item{
		Key: key, Value: value, Presence: presence, Stamps: stamps,
		FreshUntil: fresh, StaleUntil: clock.Add(fresh, grace), Grace: int64(grace),
		LoadStarted: started, ObtainedAt: t, RecheckAt: recheckAt, RefreshAt: clock.Never,
		Size: k.Size(value) + Overhead + len(key),
	}
	if presence == Present {
		it.RefreshAt = p.RefreshAt(t, fresh)
	}
	it.generation.Store(k.Stamps.Generation())
	it.FoundAt(min(t, clock.FromWall(started)))
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

// Pack returns what the shared tier keeps of an item, which no tier has yet.
func (k *Kind) Pack(it *Item) (drivers.Item, error) {
	var value []byte
	if it.Presence == Present {
		var err error
		if value, err = k.Encode(it.Value); err != nil {
			return drivers.Item{}, err
		}
	}
	h := it.header(k.Fingerprint)
	h.FreshUntil, h.StaleUntil = clock.ToWall(h.FreshUntil), clock.ToWall(h.StaleUntil)
	data := Append(nil, &h, value)
	it.packed = identify(data)
	return drivers.Item{Key: it.Key, Value: data, TTL: Lifetime(clock.Now(), it.StaleUntil)}, nil
}

// Unpack makes an item of what the shared tier holds for key, and returns the bytes of
// its value, which [Kind.Fill] decodes. Of several variants it reads the one of this cache.
func (k *Kind) Unpack(p *policy.Policy, key string, data []byte) (*Item, []byte, error) {
	data, err := variant(data, k.Fingerprint)
	if err != nil {
		return nil, nil, err
	}
	h, value, err := Parse(data)
	if err != nil {
		return nil, nil, err
	}
	t := clock.Now()
	fresh := h.until(h.FreshUntil, t)
	if h.Flags&FlagExpired != 0 { // whatever the clock of this machine says
		fresh = min(fresh, t)
	}
	it := &Item{
		Key: key, FreshUntil: fresh, StaleUntil: max(h.until(h.StaleUntil, t), fresh), Grace: max(h.Grace, 0), LoadStarted: h.LoadStarted,
		ObtainedAt: t, RefreshAt: clock.Never, Expired: h.Flags&FlagExpired != 0, FromRemote: true, Presence: h.Presence(),
	}
	it.packed = identify(data)
	it.generation.Store(k.Stamps.Generation())
	it.FoundAt(t)
	understood := true
	switch it.Presence {
	case NotFound:
		understood = k.NotFound != nil
	case Absent:
		understood = k.Absent != nil
	default: // the entry does not say when its load ended
		it.RefreshAt = h.until(p.RefreshAt(max(h.LoadStarted, h.FreshUntil-int64(p.TTL)), h.FreshUntil), t)
	}
	if h.Fingerprint != k.Fingerprint || !understood {
		return nil, nil, ErrSchema
	}
	it.RecheckAt = p.RecheckAt(it.ObtainedAt)
	it.splitKey()
	if err := k.checkStamps(h.Stamps); err != nil { // before anything is remembered of their names
		return nil, nil, err
	}
	it.Stamps = make([]StampRef, len(h.Stamps))
	for i, n := range h.Stamps {
		it.Stamps[i] = StampRef{k.Stamps.Cell(n.Name), n.Value}
	}
	return it, value, nil
}

// until returns when it is the time end of an entry, which is read at t, in this process.
// The clock of who wrote the entry may be another one: nothing lasts longer from now than it
// did for that machine from its load on.
func (h *Header) until(end, t int64) int64 {
	if end == clock.Never {
		return clock.Never
	}
	return min(clock.FromWall(end), clock.Add(t, clock.Span(h.LoadStarted, end)))
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

// checkStamps refuses the stamps of an entry without those that a clear needs to reach it,
// and others than those and tags.
func (k *Kind) checkStamps(stamps []stamp.Named) error {
	if len(stamps) < len(k.Required) {
		return ErrMissingStamp
	}
	for i, n := range stamps {
		switch {
		case n.Delete == 0 || n.Expire == 0:
			return ErrForeignStamp
		case i < len(k.Required):
			if n.Name != k.Required[i].Name {
				return ErrMissingStamp
			}
		case !IsTagStamp(n.Name):
			return ErrForeignStamp
		}
	}
	return nil
}

// Own returns a value as a caller gets it: a copy, where callers could change each
// other's values.
func (k *Kind) Own(value any) any {
	if k.Copy == nil || value == nil {
		return value
	}
	return k.Copy(value)
}
