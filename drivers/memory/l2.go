package memory

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// L2Options are the options of [NewL2]. The zero value is a budget of [DefaultMaxSize].
type L2Options struct {
	// MaxSize is the budget in bytes for keys, values, and what the tier needs to keep them.
	// It is written as in [Options]; [DefaultMaxSize] if empty. An item that is larger than
	// the budget is refused ([drivers.ErrRefused]).
	//
	// When the budget is full, the items that were not used for longest are evicted. A record
	// by which the store invalidates tags may be one of them; the entries with that tag are
	// then loaded again.
	MaxSize string
}

// An L2 is a shared tier in the memory of one process. It has the capabilities
// [drivers.Adder], [drivers.Swapper], [drivers.Leaser], [drivers.Scanner],
// [drivers.PrefixDeleter], [drivers.Pruner], [drivers.Historian] and [drivers.Checker]. It is for tests, and for
// programs of one process that start with a warm cache: see [L2.Snapshot].
//
// An L2 keeps copies of the values, encoded, which take memory beside the memory tier. One
// mutex guards the L2. [L2.Scan], [L2.DeletePrefix] and [L2.Prune] hold it while they visit
// all keys. An expired item is absent at once, but takes space until it is pruned or evicted,
// or its key is written.
type L2 struct {
	budget int64
	err    error

	mu     sync.Mutex // guards all below; values in items do not change
	closed bool
	used   bool // there was a write or a delete
	items  map[string]*list.Element
	recent list.List // of *stored, the least recently used last
	size   int64
	leases map[string]lease
	sweep  int // number of leases at which the ended ones are removed
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
	token   string
	ends    time.Time
	awaited bool // somebody waits for its end
}

// itemOverhead is about how many bytes an item takes in addition to its key and value.
const itemOverhead = 192

func (it *stored) live(now time.Time) bool { return it.ends.IsZero() || now.Before(it.ends) }
func (it *stored) size() int64             { return int64(len(it.key)) + int64(len(it.value)) + itemOverhead }

// latest is the last time that a snapshot can hold.
var latest = time.Unix(0, math.MaxInt64)

func end(now time.Time, ttl time.Duration) time.Time {
	ends := now.Add(ttl)
	if ttl == 0 || ends.After(latest) {
		return time.Time{}
	}
	return ends
}

// NewL2 returns an empty tier. If an option is wrong, the tier cannot be used: every operation
// fails, [L2.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it as
// their error.
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

// Err returns why the tier cannot be used, or nil. See [drivers.Checker].
func (d *L2) Err() error {
	if d.err == nil && d.items == nil {
		return errors.New("memory: zero L2: make it with memory.NewL2")
	}
	return d.err
}

// Close makes later operations fail with [drivers.ErrClosed]. [L2.Snapshot] still has the
// items then. See [drivers.L2].
func (d *L2) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}

// Len returns how many items there are, expired ones included.
func (d *L2) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.items)
}

// do runs f while it holds the lock.
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

func (d *L2) check(key string, value []byte, ttl time.Duration) error {
	it := stored{key: key, value: value}
	switch {
	case ttl < 0:
		return fmt.Errorf("%w: the ttl is %s, must not be negative", drivers.ErrRefused, ttl)
	case it.size() > d.budget && d.err == nil:
		return fmt.Errorf("%w: an item takes %d bytes, and MaxSize is %d", drivers.ErrRefused, it.size(), d.budget)
	}
	return nil
}

// own returns copies of items that the tier can keep.
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

// find returns the item of key, nil if it is absent or expired, and marks it as used.
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

// put stores it, ends the key's lease, and evicts items while the budget is exceeded.
func (d *L2) put(it *stored, ends time.Time) {
	d.remove(it.key)
	it.ends = ends
	d.items[it.key] = d.recent.PushFront(it)
	d.size += it.size()
	for d.size > d.budget {
		d.unlink(d.recent.Back())
	}
}

// remove removes an item and the lease of its key.
func (d *L2) remove(key string) {
	d.used = true
	delete(d.leases, key)
	if element := d.items[key]; element != nil {
		d.unlink(element)
	}
}

func (d *L2) unlink(element *list.Element) {
	it := d.recent.Remove(element).(*stored)
	delete(d.items, it.key)
	d.size -= it.size()
}
