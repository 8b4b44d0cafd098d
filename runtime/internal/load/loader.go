// Package load runs loads: it reads the shared tier, calls the loader for what is not
// there, and stores the result in the shared tier and in memory, unless the key has been
// invalidated meanwhile.
//
// Where the shared tier gives leases, a load takes those of its keys before it calls the loader,
// and stores under them: so one process at a time loads a key, and what was loaded before a change
// in any process is not stored. A key that another process loads is waited for, by one load for
// all who want it in this process, and only after what this process has leases for has been
// loaded and stored. A load that waits for another while it holds a lease, because a loader asks
// for another key, does so for a short time: so no circle of processes waits for ever.
//
// A [Load] is begun by package lookup for flights that it leads, one for each key; all who
// wait for a flight share its result and its error. What the package promises: nothing is
// kept that was invalidated after its load began; a load is cancelled at its hard timeout, at
// the MaxLoadTime, or when nobody waits any more; and a loader's panic ends nobody else's
// goroutine. A loader that does not react to its cancellation keeps its key until it returns, or
// until the MaxLoadTime.
//
// A load belongs to the goroutine that runs it. What others see of it is in its flights,
// which have their own locks, and in its [Handle], which has a mutex. The order against
// invalidations is the fence's and the flights' (see packages fence and flight). No lock
// is held while a loader or a driver runs. The package invalidates nothing, and waits for
// no other load of its own process.
package load

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fill"
	"github.com/cachegen/cachegen/runtime/internal/lag"
	"github.com/cachegen/cachegen/runtime/internal/lease"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/tagwatch"
)

// A Loader runs the loads of one store.
type Loader struct {
	Memory *memory.Memory
	Remote *remote.Tier
	Outbox *outbox.Outbox
	Fill   *fill.Filler
	Stamps *stamp.Table
	Tags   *tagwatch.Tags
	Leases *lease.Leases
	Lag    *lag.Marks // nil if loaders read what was written last
	Held   lag.Tier
	Work   *background.Work
	Emit   *emit.Emitter
	// MaxLoadTime is how long a load may hold its key.
	MaxLoadTime time.Duration
	// Panicked makes the error of a panic that callers get.
	Panicked func(value any, stack []byte) error
}

// A Func loads the values of keys, and says of each what it has found. An error is the
// failure of those keys of which it has said nothing.
type Func func(ctx context.Context, keys []*Key) error

// A Request is what a call says besides its keys.
type Request struct {
	Kind       *entry.Kind
	Policy     policy.Policy
	ForceFresh bool
	Many       bool // the caller does without the keys that a loader does not return
	Load       Func
	// Refuse reports whether a read that does not load must not return an item. Nil: it may
	// return all.
	Refuse func(*entry.Item) bool
}

// A Query is one key that a call asks for.
type Query struct {
	Key   string // full key
	Hash  uint64
	Tags  []string // known before the load
	Index int      // the key's place in the call
}

// A Fallback is an item that can be served in place of what a load returns.
type Fallback struct {
	Item *entry.Item
	// OnlyOnFailure says that it is served when the load has failed, and not when the
	// load is slow.
	OnlyOnFailure bool
	// Unconfirmed says that it may have been invalidated.
	Unconfirmed bool
}

// IfSlow reports whether there is a fallback for a load that is slow.
func (f Fallback) IfSlow() bool { return f.Item != nil && !f.OnlyOnFailure }

// Usable reports whether a fallback can be served now.
func (l *Loader) Usable(ctx context.Context, f Fallback) bool {
	return f.Item != nil && l.Memory.Check(ctx, f.Item) >= memory.Unconfirmed
}

// A Result is what became of a query. It has an item, an error, or, if a loader has just
// said that there is no value, both.
type Result struct {
	Item *entry.Item
	Err  error
}
