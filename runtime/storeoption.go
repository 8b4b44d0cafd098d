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
			return fmt.Errorf("%s is an option of one store: give it to NewStore", o.name)
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

// Prefix begins every key of the store in its shared tier, followed by a colon. Stores that share
// their entries have the same prefix; stores of different programs on one server have different
// ones. A prefix must not contain "!" or "@", nor end with a colon. The default is none.
func Prefix(prefix string) StoreOption {
	return storeOption{name: "Prefix", apply: func(c *storeConfig) { c.Prefix = prefix }}
}

// WithCodec replaces [MsgPack] as the codec of the values in the shared tier, those of generated
// code included. [NewStore] and [Stores.SetDefaults] refuse nil.
func WithCodec(codec Codec) StoreOption {
	return storeOption{name: "WithCodec", shared: true, apply: func(c *storeConfig) {
		c.codec = codec
		c.Refuse(codec == nil, "WithCodec")
	}}
}

// Logger is where a store reports what its callers do not see: loads that fail while a stale value
// is served, tiers that do not answer. Each kind of report is logged at most once a second or so.
// The default, and nil, is slog.Default().
func Logger(logger *slog.Logger) StoreOption {
	return storeOption{name: "Logger", shared: true, apply: func(c *storeConfig) { c.Logger = logger }}
}

// MaxLoadTime is how long a load may hold its key. When a load takes longer, its callers get
// [ErrTimeout], the next caller begins another load, and the value of the slow one is not kept. It
// is the limit for loaders that hang; [HardTimeout] is the one that a function chooses. The default
// is 5 minutes. [NewStore] refuses zero and less.
func MaxLoadTime(d time.Duration) StoreOption {
	return storeOption{name: "MaxLoadTime", apply: func(c *storeConfig) { c.MaxLoadTime = d }}
}

// MaxBackground is how many loads may run at a time that no caller waits for: refreshes, and loads
// whose callers have been served a stale value. One function takes at most half of them. Where
// there is no place, a stale value is not loaded anew yet; see event.Skip. So it is for a function
// of which half as many loads hang as there are places. The default is 256. With zero no
// load runs in the background: where there is no [Timeout] to wait for, a stale value is served
// until its grace is over. [NewStore] refuses less than zero.
func MaxBackground(n int) StoreOption {
	return storeOption{name: "MaxBackground", apply: func(c *storeConfig) { c.Background = n }}
}

// L2Timeout is the longest time for one operation on the shared tier, and for one message to the
// bus. A write has it once for all that it does: the wait for earlier writes of its keys, its
// operations, and its messages, for which a quarter is kept. Only a write of more keys than fit
// into one operation has it anew whenever the tier has answered. The default is 1 s. [NewStore]
// refuses zero and less.
func L2Timeout(d time.Duration) StoreOption {
	return storeOption{name: "L2Timeout", apply: func(c *storeConfig) { c.L2Timeout = d }}
}

// L2SoftTimeout is the longest time for a read of the shared tier if there is a stale value to serve
// instead. After it, the read goes on as if the tier did not have the key. Zero, the default, is
// [L2Timeout].
func L2SoftTimeout(d time.Duration) StoreOption {
	return storeOption{name: "L2SoftTimeout", apply: func(c *storeConfig) { c.L2SoftTimeout = d }}
}

// L2CircuitBreakerDuration is how long the circuit breaker of the shared tier stays open. It opens
// when 3 operations in a row have failed or have taken longer than [L2Timeout]. While it is open,
// reads go on without the shared tier. After d, one operation is tried: if it succeeds, the breaker
// closes. An invalidation may be tried before that; one that does not reach the tier is queued, see
// [InvalidationError]. If the server answers and refuses, because it is full for example, only
// operations of that kind are held back: reads or writes. The default is 5 s. Zero never opens the
// breaker. Less than zero is refused.
func L2CircuitBreakerDuration(d time.Duration) StoreOption {
	return storeOption{name: "L2CircuitBreakerDuration", shared: true, apply: func(c *storeConfig) { c.BreakFor, c.breakForSet = d, true }}
}

// Hooks lets a program see what a store does; package event has the events. Of several Hooks all
// are called, in their order.
func Hooks(h event.Hooks) StoreOption {
	return storeOption{name: "Hooks", shared: true, apply: func(c *storeConfig) { c.Hooks = event.Join(c.Hooks, h) }}
}

// StampTrust is how long this process believes what it knows of invalidations by tag, by namespace
// and by clear, without asking the shared tier again. While it asks, it goes on for at most as long
// again. So without a bus it serves an entry for up to twice StampTrust after another process has
// invalidated the entry's tag. The bus makes that faster, but messages can be lost: therefore a
// process that has not heard the bus for StampTrust asks the shared tier about each entry in memory
// before it serves it. A shorter time costs more reads of the shared tier, which are shared by all
// entries of a tag. The default is 3 s; less than 300 ms counts as 300 ms where there is a bus.
// [NewStore] refuses zero and less.
func StampTrust(d time.Duration) StoreOption {
	return storeOption{name: "StampTrust", apply: func(c *storeConfig) { c.StampTrust = d }}
}
