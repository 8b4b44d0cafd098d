// Package memory is the memory tier: a bounded map inside the process.
//
//	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})))
//
// When its budget is full, the tier evicts the items that are read rarely or were not
// read recently (the W-TinyLFU policy of github.com/maypok86/otter). A read takes no lock
// and allocates nothing.
//
// A program of one process that should start with a warm cache adds an [L2] to its store,
// and saves a snapshot of it:
//
//	shared := memory.NewL2(memory.L2Options{MaxSize: "100mb"})
//	n, err := shared.Restore(file) // then remove the file
//	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})), runtime.L2(shared))
//	…
//	err = store.Close(ctx)
//	err = shared.Snapshot(file)
//
// # Concurrency
//
// [Driver] and [L2] may be used by many goroutines at once. A Driver has no lock of its
// own. One mutex guards all of an L2; it is held for the work on one batch of keys, and
// never while a caller's function runs or a snapshot is written.
//
// # Limits
//
// The budget of a Driver counts the sizes that the runtime estimates for its entries, not
// the memory that the Go heap measures. Eviction runs just after a write, so the budget
// can be exceeded for a moment.
//
// An L2 holds encoded copies and belongs to one process: other processes do not see it,
// and a process that is killed leaves no snapshot. Package file has neither limit.
package memory

import (
	"fmt"
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"github.com/cachegen/cachegen/drivers"
)

// DefaultMaxSize is the byte budget when neither MaxSize nor MaxItems is set.
const DefaultMaxSize = "100mb"

// Options of a [Driver]. The zero value is a budget of [DefaultMaxSize].
type Options struct {
	// MaxSize is the budget in bytes: an integer followed by b, kb, mb, gb or tb
	// in either case, such as "100mb"; without a unit, bytes. A kb is 1024 bytes,
	// and so on; kib, mib, gib and tib are the same. Empty sets no byte budget if
	// MaxItems is set, and [DefaultMaxSize] if it is not.
	MaxSize string
	// MaxItems bounds the number of items; zero sets no such bound. Together with
	// MaxSize both hold: each item then counts for at least MaxSize/MaxItems bytes
	// of the budget, so a mix of large and small items reaches neither bound fully.
	MaxItems int
	// MaxEntrySize, written like MaxSize, bounds one item: a larger item is not
	// kept, and neither is the item that it replaces. Empty allows any item that
	// fits the budget.
	MaxEntrySize string
}

// A Driver is a bounded memory tier: a [drivers.L1] that is also a [drivers.Ranger] and a
// [drivers.Checker]. It runs no permanent goroutine; eviction uses one that ends when its
// work is done.
type Driver struct {
	items  *otter.Cache[uint64, item]
	budget budget
	closed atomic.Bool
	err    error
}

var (
	_ drivers.L1      = (*Driver)(nil)
	_ drivers.Ranger  = (*Driver)(nil)
	_ drivers.Checker = (*Driver)(nil)
)

// An item is stored by value in the node of the map, so a read follows one pointer less.
type item struct {
	value  any
	weight uint32
}

// New returns an empty tier. If options are unusable New returns a tier that keeps
// nothing: Err returns the reason, and runtime.NewStore refuses the tier.
func New(options Options) *Driver {
	b, err := options.budget()
	d := &Driver{budget: b, err: err}
	o := &otter.Options[uint64, item]{MaximumSize: b.items}
	if b.weight > 0 {
		o.MaximumSize = 0
		o.MaximumWeight = b.weight
		o.Weigher = func(_ uint64, it item) uint32 { return it.weight }
	}
	d.items = otter.Must(o)
	d.closed.Store(err != nil)
	return d
}

// Err returns why the driver cannot be used, or nil. See [drivers.Checker].
func (d *Driver) Err() error { return d.err }

// Get implements [drivers.L1]: it returns the item of hash, or nil.
func (d *Driver) Get(hash uint64) any {
	it, _ := d.items.GetIfPresent(hash)
	return it.value
}

// Set implements [drivers.L1]: it stores value under hash. If size is above MaxEntrySize
// or the whole budget, Set stores nothing, removes the item of hash and fails.
func (d *Driver) Set(hash uint64, value any, size int) error {
	weight, ok := d.budget.weigh(size)
	if !ok {
		d.items.Invalidate(hash)
		return fmt.Errorf("memory: %w: an entry takes %d bytes, and the tier keeps none of more than %d", drivers.ErrRefused, size, d.budget.maxSize)
	}
	d.items.Set(hash, item{value: value, weight: weight})
	// Close sets closed before it removes the items, so a Set whose item Close did not
	// remove sees closed here.
	if d.closed.Load() {
		d.items.Invalidate(hash)
		return fmt.Errorf("memory: %w", drivers.ErrClosed)
	}
	return nil
}

// Delete implements [drivers.L1]: it removes the item of hash.
func (d *Driver) Delete(hash uint64) { d.items.Invalidate(hash) }

// Clear implements [drivers.L1]: it removes every item. Its time is proportional to their
// number.
func (d *Driver) Clear() { d.items.InvalidateAll() }

// Len implements [drivers.L1]: it returns the approximate number of items. Right after a
// write it can count items that are about to be evicted.
func (d *Driver) Len() int { return d.items.EstimatedSize() }

// Range implements [drivers.Ranger]. Eviction waits while Range collects the items, and
// not while f runs.
func (d *Driver) Range(f func(item any) bool) {
	var values []any
	for entry := range d.items.Hottest() {
		values = append(values, entry.Value.value)
	}
	for _, value := range values {
		if !f(value) {
			return
		}
	}
}

// Close implements [drivers.L1]: it removes every item, and later calls of Set store
// nothing.
func (d *Driver) Close() error {
	d.closed.Store(true)
	d.items.InvalidateAll()
	return nil
}
