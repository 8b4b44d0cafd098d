// Package memory is the memory tier of a store: a map with a bound, inside the process.
//
//	stores, err := runtime.OpenStore("main", runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})))
//
// When the budget is full, the tier evicts items that are read rarely or were not read lately
// (the policy is W-TinyLFU, the implementation github.com/maypok86/otter). A read takes no
// lock and allocates nothing.
//
// A program of one process can start with a warm cache. For this its store also has an [L2], a
// second tier in memory, of which the program saves a snapshot when it ends:
//
//	shared := memory.NewL2(memory.L2Options{MaxSize: "100mb"})
//	n, err := shared.Restore(file) // then remove the file
//	stores, err := runtime.OpenStore("main", runtime.L1(memory.New(memory.Options{})), runtime.L2(shared))
//	…
//	err = stores.Close(ctx)
//	err = shared.Snapshot(file)
//
// # Concurrency
//
// [Driver] and [L2] may be used by many goroutines at once. A Driver has no lock of its own.
// One mutex guards an L2. It is held while a batch of keys is read or changed, and not while a
// snapshot is written or a function of the caller runs.
//
// # Limits
//
// The budget of a Driver counts the sizes that the runtime estimates for its entries. The heap
// of the program grows by about that, not by exactly that. Items are evicted just after a
// write, so that the tier has more than its budget for a moment.
//
// An L2 belongs to one process, which alone can read it. A process that is killed leaves no
// snapshot. Package file is for those who need more.
package memory

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"github.com/cachegen/cachegen/drivers"
)

// DefaultMaxSize is the budget of a tier whose options have neither MaxSize nor MaxItems.
const DefaultMaxSize = "100mb"

// Options are the options of [New]. The zero value is a budget of [DefaultMaxSize].
type Options struct {
	// MaxSize is the budget in bytes: an integer followed by b, kb, mb, gb or tb, in lower or
	// upper case, such as "100mb". A number without a unit is bytes. A kb is 1024 bytes, and
	// so on; kib, mib, gib and tib mean the same.
	//
	// If MaxSize is empty, the budget is [DefaultMaxSize]; but if MaxItems is set, there is no
	// budget in bytes.
	MaxSize string
	// MaxItems is how many items there may be. Zero is no such bound.
	//
	// If both MaxSize and MaxItems are set, both hold. For this each item counts as
	// MaxSize/MaxItems bytes at least. So a mix of small and large items has fewer than
	// MaxItems, and takes less than MaxSize.
	MaxItems int
	// MaxEntrySize is how many bytes one item may take; it is written as MaxSize is. A larger
	// item is not stored, and the item that it was to replace is removed. If MaxEntrySize is
	// empty, an item may take the whole budget.
	MaxEntrySize string
}

// A Driver is a memory tier: a [drivers.L1] that is also a [drivers.Ranger] and a
// [drivers.Checker]. It has no goroutine that runs all the time. Eviction starts one, which
// ends when the work is done.
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

// New returns an empty tier. If an option is wrong, the tier keeps nothing: [Driver.Err]
// returns the reason, and runtime.OpenStore and runtime.NewStore return it as their error.
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
func (d *Driver) Err() error {
	if d.err == nil && d.items == nil {
		return errors.New("memory: zero Driver: make it with memory.New")
	}
	return d.err
}

// Get returns the item that is stored under hash, or nil. See [drivers.L1].
func (d *Driver) Get(hash uint64) any {
	it, _ := d.items.GetIfPresent(hash)
	return it.value
}

// Set stores value under hash, in place of an item that is there already. size is about how
// many bytes value takes. If size is more than MaxEntrySize or the whole budget, Set stores
// nothing, removes the item that is there, and returns an error that wraps
// [drivers.ErrRefused]. See [drivers.L1].
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

// Delete removes the item of hash, if there is one. See [drivers.L1].
func (d *Driver) Delete(hash uint64) { d.items.Invalidate(hash) }

// Clear removes every item. It takes the longer the more items there are. See [drivers.L1].
func (d *Driver) Clear() { d.items.InvalidateAll() }

// Len returns about how many items there are. Just after a write it may count items that are
// about to be evicted. See [drivers.L1].
func (d *Driver) Len() int { return d.items.EstimatedSize() }

// Range calls f with each item, until f returns false. The items that would be evicted last
// come first. While Range collects the items nothing is evicted; f runs after that. See
// [drivers.Ranger].
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

// Close removes every item. A later Set stores nothing and returns an error that wraps
// [drivers.ErrClosed]. See [drivers.L1].
func (d *Driver) Close() error {
	d.closed.Store(true)
	d.items.InvalidateAll()
	return nil
}
