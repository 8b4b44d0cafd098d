package memory

import (
	"container/list"
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// L2Options bound an [L2]. The zero value is a budget of [DefaultMaxSize].
type L2Options struct {
	// MaxSize is the budget in bytes for keys, values and what it takes to keep them,
	// written as in [Options]; [DefaultMaxSize] if empty. What has not been read or
	// written for longest is dropped when it is full, stamps of the store included,
	// which makes what depends on them load again. An item above it is refused.
	MaxSize string
}

// L2 is a shared tier in the memory of one process, with all that a shared tier may
// have besides [drivers.L2]. It is for tests, and for programs of one process that
// start warm: see [L2.Snapshot].
//
// It keeps copies of values, so it costs what it holds beside the memory tier. One lock
// guards it, for as long as it takes to look up and link a batch of keys;
// [L2.Scan], [L2.DeletePrefix] and [L2.Prune] look at every key with it. Items past
// their TTL are absent at once but take space until Prune, a new value or the budget.
type L2 struct {
	budget int64
	err    error

	mu     sync.Mutex // guards all below; values in items do not change
	closed bool
	used   bool // somebody has written or deleted
	items  map[string]*list.Element
	recent list.List // of *stored, the least recently used last
	size   int64
	leases map[string]lease
	sweep  int // number of leases at which those that have ended are removed
}

var (
	_ drivers.L2            = (*L2)(nil)
	_ drivers.Adder         = (*L2)(nil)
	_ drivers.Swapper       = (*L2)(nil)
	_ drivers.Leaser        = (*L2)(nil)
	_ drivers.Scanner       = (*L2)(nil)
	_ drivers.PrefixDeleter = (*L2)(nil)
	_ drivers.Pruner        = (*L2)(nil)
	_ drivers.Checker       = (*L2)(nil)
)

type stored struct {
	key   string
	value []byte
	ends  time.Time // zero: never
}

type lease struct {
	token string
	ends  time.Time
}

// itemOverhead is about what an item takes besides key and value.
const itemOverhead = 192

func (it *stored) live(now time.Time) bool { return it.ends.IsZero() || now.Before(it.ends) }
func (it *stored) size() int64             { return int64(len(it.key)) + int64(len(it.value)) + itemOverhead }

// latest is the last time that a snapshot can count.
var latest = time.Unix(0, math.MaxInt64)

func end(now time.Time, ttl time.Duration) time.Time {
	ends := now.Add(ttl)
	if ttl == 0 || ends.After(latest) {
		return time.Time{}
	}
	return ends
}

// NewL2 returns an empty tier. If options are unusable it still returns one, of which
// every use fails: Err tells, and runtime.NewStore refuses it.
func NewL2(options L2Options) *L2 {
	if options.MaxSize == "" {
		options.MaxSize = DefaultMaxSize
	}
	size, err := parseSize("MaxSize", options.MaxSize)
	return &L2{
		budget: int64(size), err: err, closed: err != nil,
		items: make(map[string]*list.Element), leases: make(map[string]lease),
	}
}

// Err returns what was wrong with the options, or nil.
func (d *L2) Err() error { return d.err }

// Close ends the tier's use: operations fail with [drivers.ErrClosed] from now on. What
// it holds is there for [L2.Snapshot] as long as the tier is.
func (d *L2) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}

// Len returns the number of items, those past their TTL included.
func (d *L2) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.items)
}

// do runs f with the lock.
func (d *L2) do(ctx context.Context, operation string, keys int, f func(now time.Time) error) error {
	err := ctx.Err()
	if err == nil {
		d.mu.Lock()
		if d.closed {
			err = drivers.ErrClosed
		} else {
			err = f(time.Now())
		}
		d.mu.Unlock()
	}
	return failed(operation, keys, err)
}

func failed(operation string, keys int, err error) error {
	switch {
	case err == nil:
		return nil
	case keys == 1:
		operation += " 1 key"
	case keys > 1:
		operation = fmt.Sprintf("%s %d keys", operation, keys)
	}
	return fmt.Errorf("memory: %s: %w", operation, err)
}

var errToken = fmt.Errorf("an empty token: %w", drivers.ErrRefused)

func (d *L2) check(key string, value []byte, ttl time.Duration) error {
	it := stored{key: key, value: value}
	switch {
	case ttl < 0:
		return fmt.Errorf("negative ttl %s: %w", ttl, drivers.ErrRefused)
	case it.size() > d.budget && d.err == nil:
		return fmt.Errorf("an item of %d bytes, and MaxSize is %d: %w", it.size(), d.budget, drivers.ErrRefused)
	}
	return nil
}

// own returns copies of items for the tier to keep.
func (d *L2) own(items []drivers.Item) ([]*stored, error) {
	all := make([]*stored, len(items))
	for i, it := range items {
		if err := d.check(it.Key, it.Value, it.TTL); err != nil {
			return nil, err
		}
		all[i] = &stored{key: it.Key, value: append([]byte{}, it.Value...)}
	}
	return all, nil
}

// find returns what is present under key, and marks it as used.
func (d *L2) find(key string, now time.Time) *stored {
	element := d.items[key]
	if element == nil {
		return nil
	}
	it := element.Value.(*stored)
	if !it.live(now) {
		return nil
	}
	d.recent.MoveToFront(element)
	return it
}

// put keeps it, ends the key's lease and drops what there is no room for.
func (d *L2) put(it *stored, ends time.Time) {
	d.remove(it.key)
	it.ends = ends
	d.items[it.key] = d.recent.PushFront(it)
	d.size += it.size()
	for d.size > d.budget {
		d.drop(d.recent.Back())
	}
}

// remove removes a key and its lease.
func (d *L2) remove(key string) {
	d.used = true
	delete(d.leases, key)
	if element := d.items[key]; element != nil {
		d.drop(element)
	}
}

func (d *L2) drop(element *list.Element) {
	it := d.recent.Remove(element).(*stored)
	delete(d.items, it.key)
	d.size -= it.size()
}
