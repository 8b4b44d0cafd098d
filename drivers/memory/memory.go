// Package memory is the memory tier: a bounded map inside the process.
//
//	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})))
//
// It keeps what is read often and recently (the W-TinyLFU policy of
// github.com/maypok86/otter) and drops the rest when its budget is full. A read
// takes no lock and allocates nothing.
//
// A program of one process that is to start with what it had gives its store an [L2]
// besides, and keeps its snapshot:
//
//	shared := memory.NewL2(memory.L2Options{MaxSize: "100mb"})
//	n, err := shared.Restore(file) // then remove the file
//	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})), runtime.L2(shared))
//	…
//	err = store.Close(ctx)
//	err = shared.Snapshot(file)
//
// # Limits
//
// The budget counts the sizes that the runtime passes for its entries, which are
// estimates of their footprint, not what the Go heap measures. Eviction runs just
// after a write, so the budget can be exceeded for a moment.
//
// An [L2] holds encoded copies and is one process's own: other processes do not see it,
// and a process that is killed leaves no snapshot. Package file keeps both promises.
package memory

import (
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"github.com/cachegen/cachegen/drivers"
)

// DefaultMaxSize is the byte budget when neither MaxSize nor MaxItems is set.
const DefaultMaxSize = "100mb"

// Options bound a [Driver]. The zero value is a budget of [DefaultMaxSize].
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
	// MaxEntrySize, written like MaxSize, bounds one item: a larger one is not
	// kept, and neither is the one that it replaces. Empty allows any item that
	// fits the budget.
	MaxEntrySize string
}

// Driver implements [drivers.L1]. It runs no goroutine of its own; eviction uses
// one that ends when its work is done.
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

// An item is kept inside its map node, so a read follows one pointer less than
// it would with a pointer to it.
type item struct {
	value  any
	weight uint32
}

// New returns an empty tier. If options are unusable it still returns a driver,
// one that keeps nothing: Err tells, and runtime.NewStore refuses it.
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

// Err returns what was wrong with the options, or nil.
func (d *Driver) Err() error { return d.err }

// Get returns the item of hash, or nil.
func (d *Driver) Get(hash uint64) any {
	it, _ := d.items.GetIfPresent(hash)
	return it.value
}

// Set keeps value, unless size is above MaxEntrySize or the whole budget: then it
// removes what hash had.
func (d *Driver) Set(hash uint64, value any, size int) {
	weight, ok := d.budget.weigh(size)
	if !ok {
		d.items.Invalidate(hash)
		return
	}
	d.items.Set(hash, item{value: value, weight: weight})
	// Close marks first and clears second, so a Set that it did not clear sees the
	// mark here.
	if d.closed.Load() {
		d.items.Invalidate(hash)
	}
}

// Delete removes the item of hash.
func (d *Driver) Delete(hash uint64) { d.items.Invalidate(hash) }

// Clear removes every item. It takes time in proportion to their number.
func (d *Driver) Clear() { d.items.InvalidateAll() }

// Len returns the approximate number of items. Right after a write it can count
// items that are about to be evicted.
func (d *Driver) Len() int { return d.items.EstimatedSize() }

// Range implements [drivers.Ranger]. It keeps eviction waiting while it puts the items
// in their order, not while it calls f.
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

// Close removes every item and keeps none from now on.
func (d *Driver) Close() error {
	d.closed.Store(true)
	d.items.InvalidateAll()
	return nil
}
