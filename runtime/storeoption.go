package runtime

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/store"
)

// storeConfig is what NewStore's options add up to.
type storeConfig struct {
	store.Config
	options     policy.Options
	codec       Codec
	breakForSet bool
}

// A storeOption is for a store, and if it is shared, for [Stores.SetDefaults].
type storeOption struct {
	name   string
	shared bool
	apply  func(*storeConfig)
}

func (o storeOption) applyToStore(c *storeConfig) { o.apply(c) }

// takeDefaults applies options that all stores of a Stores may have.
func (c *storeConfig) takeDefaults(options []StoreOption) error {
	for _, o := range options {
		if o, ok := o.(storeOption); ok && !o.shared {
			return fmt.Errorf("%s is an option of one store: give it to NewStore or OpenStore", o.name)
		}
		if c.Refuse(o == nil, "one of its options"); o != nil {
			o.applyToStore(c)
		}
	}
	if err := c.CheckDefaults(); err != nil {
		return err
	}
	return policy.CheckOptions(c.options)
}

// L1 gives the store a memory tier: values as Go has them, in this process. A memory tier serves
// one store. [NewStore] refuses nil, and a second L1.
func L1(tier drivers.L1) StoreOption {
	return storeOption{name: "L1", apply: func(c *storeConfig) {
		c.Replace(c.L1, "L1")
		c.L1 = tier
		c.Refuse(tier == nil, "L1")
	}}
}

// L2 gives the store a tier that it shares with other processes: a server, a database, a
// directory. [NewStore] refuses nil, and a second L2.
func L2(tier drivers.L2) StoreOption {
	return storeOption{name: "L2", apply: func(c *storeConfig) {
		c.Replace(c.L2, "L2")
		c.L2 = tier
		c.Refuse(tier == nil, "L2")
	}}
}

// Bus connects the store with the stores of the same [Prefix] in other processes. They tell each
// other which entries have changed, so that the memory of each drops them. Without a bus, the
// memory of a process serves an entry that another process has changed until its TTL or [L1TTL].
// [NewStore] refuses nil, and a second Bus.
func Bus(bus drivers.Bus) StoreOption {
	return storeOption{name: "Bus", apply: func(c *storeConfig) {
		c.Replace(c.Bus, "Bus")
		c.Bus = bus
		c.Refuse(bus == nil, "Bus")
	}}
}

// Outbox gives the store an outbox: a table in the database of the program. What a transaction
// changes in the store ([Collect]) is written into the table in that transaction, so that it is
// carried out if the transaction was committed, also if the process dies at that moment: any process
// that has a store of the same name and [Prefix], with this outbox, does it. The process that has
// committed carries it out at once, as without an outbox, and does not wait for the table. All
// stores whose data are in one database have one outbox: give it to each of them.
//
// The functions of package transaction write into the outbox before they commit. A program that
// commits by itself does it with [Collected.WriteOutbox]. What is changed outside of a transaction is
// not in the outbox.
//
// Something may be carried out twice, which costs a load. An entry of the table that cannot be
// carried out is kept, tried again, and logged; hooks are told of it. [NewStore] refuses nil, and a
// second Outbox. The outbox belongs to the store, as its tiers do; close its database after the
// store.
func Outbox(outbox drivers.Outbox) StoreOption {
	return storeOption{name: "Outbox", apply: func(c *storeConfig) {
		c.Replace(c.Outbox, "Outbox")
		c.Outbox = outbox
		c.Refuse(outbox == nil, "Outbox")
	}}
}

// OutboxPoll is about how often a process looks into its [Outbox] for what others have left, and
// how long what a process has committed is left to that process. So if a process dies, what it has
// not carried out is carried out by others within two to three times d. If the driver tells of
// commits, as that of package pgxbus does, a process looks when it is told, and otherwise a tenth as
// often. While the database is away, it looks less and less often, down to once in 30 s. The default
// is 2 s. [NewStore] refuses zero and less.
func OutboxPoll(d time.Duration) StoreOption {
	return storeOption{name: "OutboxPoll", apply: func(c *storeConfig) { c.OutboxPoll = d }}
}

// Prefix is what every key of the store begins with in its shared tier; a colon follows the
// prefix. Stores that share their entries, such as those of several processes of one program,
// have the same prefix; stores of different programs on one server have different ones. A prefix
// must not contain "!" or "@", nor end with a colon. The default is no prefix.
func Prefix(prefix string) StoreOption {
	return storeOption{name: "Prefix", apply: func(c *storeConfig) { c.Prefix = prefix }}
}

// WithCodec stores all values in the shared tier with codec: also those of generated code, which
// otherwise has a codec for each type, and those for which [MsgPack] is the default. [NewStore]
// and [Stores.SetDefaults] refuse nil.
func WithCodec(codec Codec) StoreOption {
	return storeOption{name: "WithCodec", shared: true, apply: func(c *storeConfig) {
		c.codec = codec
		c.Refuse(codec == nil, "WithCodec")
	}}
}

// Logger is where a store logs what its callers do not see: loads that fail while a stale value
// is served, and tiers that do not answer. Each kind of message is logged at most about once a
// second. The default, and nil, is slog.Default().
func Logger(logger *slog.Logger) StoreOption {
	return storeOption{name: "Logger", shared: true, apply: func(c *storeConfig) { c.Logger = logger }}
}

// MaxLoadTime is how long a load may run before the store gives it up: callers get [ErrTimeout],
// the next caller begins another load, and a value that the first loader still returns is not
// kept. MaxLoadTime is one limit for all loaders, for those that hang; [HardTimeout] is a limit
// for one function. The default is 5 minutes. [NewStore] refuses zero and less.
func MaxLoadTime(d time.Duration) StoreOption {
	return storeOption{name: "MaxLoadTime", apply: func(c *storeConfig) { c.MaxLoadTime = d }}
}

// MaxBackground is how many loads may run at a time for which no caller waits: refreshes, and
// loads whose callers have been served a stale value. One function may have half of them. If
// there is no place, a stale value is served and not loaded anew yet; see event.Skip. Loads that
// hang count for their function: when they are as many as half of MaxBackground, the function
// has no place any more. The default is 256. With zero no load runs in the background: a
// function without a [Timeout] serves a stale value until its grace is over. [NewStore] refuses
// less than zero.
func MaxBackground(n int) StoreOption {
	return storeOption{name: "MaxBackground", apply: func(c *storeConfig) { c.Background = n }}
}

// L2Timeout is the longest time for one operation on the shared tier, and for one message to the
// bus. A read has one L2Timeout for all that it does in the tier before its loader, and another for
// all that it does after it. A write or an invalidation has one L2Timeout for all that it does: the wait for earlier
// writes of its keys, its operations, and its messages, for which a quarter of the time is kept.
// If a write has more keys than fit into one operation, the time begins again whenever the tier
// has answered. The default is 1 s. [NewStore] refuses zero and less.
func L2Timeout(d time.Duration) StoreOption {
	return storeOption{name: "L2Timeout", apply: func(c *storeConfig) { c.L2Timeout = d }}
}

// L2SoftTimeout is the longest time for a read of the shared tier if there is a stale value to
// serve. When the time is over, the read goes on as if the shared tier did not have the key.
// Zero, the default, is the [L2Timeout]. [NewStore] refuses an L2SoftTimeout above the
// L2Timeout, and less than zero.
func L2SoftTimeout(d time.Duration) StoreOption {
	return storeOption{name: "L2SoftTimeout", apply: func(c *storeConfig) { c.L2SoftTimeout = d }}
}

// L2CircuitBreakerDuration is how long the circuit breaker of the shared tier stays open. The
// breaker opens when 3 operations in a row have failed or have taken longer than the
// [L2Timeout]. While the breaker is open, reads go on without the shared tier. After d one
// operation is tried, and if it succeeds, the breaker closes. An invalidation may be tried
// earlier; an invalidation that does not reach the tier is queued, see [InvalidationError]. If
// the server answers and refuses, because it is full for example, only operations of the kind
// that it refuses are held back: reads or writes. The default is 5 s. With zero the breaker
// never opens. [NewStore] refuses less than zero.
func L2CircuitBreakerDuration(d time.Duration) StoreOption {
	return storeOption{name: "L2CircuitBreakerDuration", shared: true, apply: func(c *storeConfig) { c.BreakFor, c.breakForSet = d, true }}
}

// Hooks lets a program see what a store does; package event has the events. Of several Hooks all
// are called, in their order.
func Hooks(h event.Hooks) StoreOption {
	return storeOption{name: "Hooks", shared: true, apply: func(c *storeConfig) { c.Hooks = event.Join(c.Hooks, h) }}
}

// StampTrust is for how long a process relies on what it last read in the shared tier about
// invalidations by tag, by namespace and by clear. When the time is over, the process reads
// again, and relies on the old answer for at most another StampTrust meanwhile. So in a store
// without a bus, an entry whose tag another process has invalidated is served for up to twice
// StampTrust.
//
// With a bus, messages tell a process of invalidations at once. A message can be lost, and a
// process can be stopped, or hear nothing without knowing it. Therefore stores send heartbeats,
// about one an interval for all processes together, and a process that has heard nothing for
// StampTrust asks the shared tier, or without one the loader, about each entry in memory before
// it serves the entry. So whatever becomes of a message, a process serves an entry that another
// process has invalidated, by key or by tag, for at most StampTrust and two intervals after that
// call has returned nil: 5 s with the default. The interval is a third of StampTrust, and at most
// a second. What is not within that bound, such as a shared tier that does not answer, is listed
// in ARCHITECTURE.md, "What is promised".
//
// A shorter StampTrust costs more reads of the shared tier; one read is for all entries of a
// tag. The default is 3 s. With a bus, less than 300 ms counts as 300 ms. [NewStore] refuses
// zero and less.
func StampTrust(d time.Duration) StoreOption {
	return storeOption{name: "StampTrust", apply: func(c *storeConfig) { c.StampTrust = d }}
}

// ReplicaLag says that loaders of the store read from a replica of the database that may be up to d
// behind. So for d after a change, by [Cache.Delete], DeleteByTag, Clear, Set, Expire and the like,
// what is loaded for what was changed is given to those who have waited for it, and is not kept by
// any tier; nor are a failure and that there is no value. Each process goes on to load a key once at
// a time meanwhile. What [Cache.Set] has stored is kept: it is not from the replica. d should be
// more than the replica is ever behind.
//
// It holds in this process, and in others as soon as they have heard of the change. With a shared
// tier it holds in others at once, also if they hear nothing: what was changed is held back there.
// For keys that needs a tier that gives leases (drivers.Leaser), and a load that writes there: without
// leases, or with SkipL2Write, what a process loads before it has heard may be kept. After a gap
// in what it hears a process keeps nothing for d. All processes that share the tier should have the
// same ReplicaLag.
//
// With a shared tier each change takes a round trip more, and so may a load. [ForceFresh] does not take
// over what another process is loading.
//
// Zero, the default, says that loaders read what was written last. [NewStore] refuses less than
// zero.
func ReplicaLag(d time.Duration) StoreOption {
	return storeOption{name: "ReplicaLag", apply: func(c *storeConfig) { c.ReplicaLag = d }}
}
