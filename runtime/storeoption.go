package runtime

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
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
	refused     []string // options that were given nil
}

// replace keeps what a second option of its kind replaces: it is an error, and is closed.
func (c *storeConfig) replace(before io.Closer, option string) {
	if before != nil {
		c.Twice, c.Replaced = append(c.Twice, option), append(c.Replaced, before)
	}
}

func (c *storeConfig) refuse(isNil bool, option string) {
	if isNil {
		c.refused = append(c.refused, option)
	}
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
		if c.refuse(o == nil, "one of its options"); o != nil {
			o.applyToStore(c)
		}
	}
	switch {
	case len(c.refused) > 0:
		return fmt.Errorf("%s: given nil", strings.Join(c.refused, ", "))
	case c.BreakFor < 0:
		return fmt.Errorf("L2CircuitBreakerDuration %v is negative", c.BreakFor)
	}
	return policy.CheckOptions(c.options)
}

// L1 gives the store a memory tier. A tier serves one store. [NewStore] refuses nil, and two.
func L1(tier drivers.L1) StoreOption {
	return storeOption{name: "L1", apply: func(c *storeConfig) {
		c.replace(c.L1, "L1")
		c.L1 = tier
		c.refuse(tier == nil, "L1")
	}}
}

// L2 gives the store a tier that it shares with other processes. [NewStore] refuses nil, and two.
func L2(tier drivers.L2) StoreOption {
	return storeOption{name: "L2", apply: func(c *storeConfig) {
		c.replace(c.L2, "L2")
		c.L2 = tier
		c.refuse(tier == nil, "L2")
	}}
}

// Bus lets several processes tell each other which entries have changed, so that
// their memory tiers drop them. [NewStore] refuses nil, and two.
func Bus(bus drivers.Bus) StoreOption {
	return storeOption{name: "Bus", apply: func(c *storeConfig) {
		c.replace(c.Bus, "Bus")
		c.Bus = bus
		c.refuse(bus == nil, "Bus")
	}}
}

// Prefix begins every key of the store in its shared tier. Stores of different
// programs on one server need different prefixes; stores that share data need the
// same. It must not contain "!" or "@", nor end with a colon.
func Prefix(prefix string) StoreOption {
	return storeOption{name: "Prefix", apply: func(c *storeConfig) { c.Prefix = prefix }}
}

// WithCodec replaces the codec, which is [MsgPack]. [NewStore] and [Stores.SetDefaults] refuse nil.
func WithCodec(codec Codec) StoreOption {
	return storeOption{name: "WithCodec", shared: true, apply: func(c *storeConfig) {
		c.codec = codec
		c.refuse(codec == nil, "WithCodec")
	}}
}

// Logger says where a store reports what callers do not see: loads that fail while a grace value
// is served, tiers that do not answer. The default, and nil, is slog.Default().
func Logger(logger *slog.Logger) StoreOption {
	return storeOption{name: "Logger", shared: true, apply: func(c *storeConfig) { c.Logger = logger }}
}

// MaxLoadTime is how long a load may hold its key. When a load takes longer, its waiters
// get [ErrTimeout], the next caller starts another load, and the result of the slow one
// is not stored. The default is 5 minutes; [NewStore] refuses zero or less.
func MaxLoadTime(d time.Duration) StoreOption {
	return storeOption{name: "MaxLoadTime", apply: func(c *storeConfig) { c.MaxLoadTime = d }}
}

// MaxBackground is how many loads may run at a time for which no caller waits; a function takes
// at most as many as it leaves free. Beyond that, or while half as many loads of a function have
// been given up and not returned, its stale values are not refreshed. The default is 256.
func MaxBackground(n int) StoreOption {
	return storeOption{name: "MaxBackground", apply: func(c *storeConfig) { c.Background = n }}
}

// L2Timeout bounds each operation on the shared tier and each message to the bus.
// The default is 1 s; [NewStore] refuses zero or less.
func L2Timeout(d time.Duration) StoreOption {
	return storeOption{name: "L2Timeout", apply: func(c *storeConfig) { c.L2Timeout = d }}
}

// L2SoftTimeout bounds a read of the shared tier where there is a grace value to fall back to. After
// it the read goes on as if the tier did not have the key. Zero, the default, is [L2Timeout].
func L2SoftTimeout(d time.Duration) StoreOption {
	return storeOption{name: "L2SoftTimeout", apply: func(c *storeConfig) { c.L2SoftTimeout = d }}
}

// L2CircuitBreakerDuration is how long the circuit breaker of the shared tier stays open.
// It opens when 3 operations in a row have failed or exceeded [L2Timeout]. While it is
// open, reads go on without the tier. Then one operation tries whether the tier answers
// again. An invalidation tries earlier, unless the last one has waited long in vain; what
// does not reach the tier is queued, see [InvalidationError]. What the server refuses,
// because it is full, for example, opens the breaker for operations of that kind alone:
// for reads or for writes. The default is 5 s; zero never opens the breaker.
func L2CircuitBreakerDuration(d time.Duration) StoreOption {
	return storeOption{name: "L2CircuitBreakerDuration", shared: true, apply: func(c *storeConfig) { c.BreakFor, c.breakForSet = d, true }}
}

// Hooks lets a program see what a store does. Of several Hooks all are called.
func Hooks(h event.Hooks) StoreOption {
	return storeOption{name: "Hooks", shared: true, apply: func(c *storeConfig) { c.Hooks = event.Join(c.Hooks, h) }}
}

// StampTrust bounds how long this process believes the stamps of tags, namespaces and clears
// that it knows before it reads them from the shared tier again (until that is done, at most
// as long again), and how long memory serves entries without asking when the bus is not heard.
// Less than 300 ms counts as that for a bus. The default is 3 s; [NewStore] refuses zero or less.
func StampTrust(d time.Duration) StoreOption {
	return storeOption{name: "StampTrust", apply: func(c *storeConfig) { c.StampTrust = d }}
}
