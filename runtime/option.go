package runtime

import (
	"log/slog"
	"math"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
)

// Forever is a TTL that never ends.
const Forever time.Duration = math.MaxInt64

// What a store does when nobody says otherwise.
const (
	DefaultTTL          = 30 * time.Minute
	DefaultGraceBackoff = 10 * time.Second
	DefaultMaxLoadTime  = 5 * time.Minute
	DefaultL2Timeout    = time.Second
	DefaultStampTrust   = 3 * time.Second
	DefaultBackground   = 256
	DefaultL2Pause      = 5 * time.Second
)

// A StoreOption configures [NewStore].
type StoreOption interface{ applyToStore(*storeConfig) }

// A StoresOption is a part of [NewStores]: a *Store, or an [Option] for all of them.
type StoresOption interface{ applyToStores(*storesConfig) }

// A CallOption changes one call.
type CallOption interface{ applyToCall(*call) }

// An Option can be given at every level.
type Option interface {
	StoreOption
	StoresOption
	CallOption
}

// A SharedOption is for one store, or for all of [NewStores] that are silent.
type SharedOption interface {
	StoreOption
	StoresOption
}

type sharedOption struct {
	storeOption
	storesOption
}

type option func(*settings)

func (o option) applyToStore(c *storeConfig)   { o(&c.settings) }
func (o option) applyToStores(c *storesConfig) { o(&c.settings) }
func (o option) applyToCall(c *call)           { o(&c.settings) }

// TTL is how long a value is fresh; [Forever] never ends. Zero or less is refused
// where a store or a cache is made. At a call it means that nothing is stored:
// GetOrSet returns what it has loaded, Set removes what was there.
func TTL(d time.Duration) Option {
	return option(func(s *settings) { s.ttl = d; s.given |= givenTTL })
}

// Grace is how long after the end of its TTL a value may still be served stale.
// Bentocache and FusionCache count theirs from the write. Zero, the default, is
// no grace. It has to be given when the value is stored.
func Grace(d time.Duration) Option {
	return option(func(s *settings) { s.grace = d; s.given |= givenGrace })
}

// GraceBackoff is how long, after a loader has failed and a grace value has stood
// in, the grace value is served without trying the loader again. It counts from
// the failure and never prolongs the grace. The memory tier keeps it, so a store
// without one tries each time. The default is 10 s; zero tries each time.
func GraceBackoff(d time.Duration) Option {
	return option(func(s *settings) { s.graceBackoff = d; s.given |= givenBackoff })
}

// Timeout is the soft timeout: how long a caller waits for the loader when there
// is a grace value to fall back to. The load goes on behind. Zero, the default,
// serves the grace value at once.
func Timeout(d time.Duration) Option {
	return option(func(s *settings) { s.soft = d; s.given |= givenSoft })
}

// HardTimeout is how long a loader may run at all. Then its context is cancelled,
// and callers get the grace value or [ErrTimeout]. Zero, the default, is no limit.
func HardTimeout(d time.Duration) Option {
	return option(func(s *settings) { s.hard = d; s.given |= givenHard })
}

// RefreshAfter is how long after its load a value is loaded anew in the background
// when GetOrSet is asked for it; the fresh value is served meanwhile. A refresh
// that fails is tried again after [GraceBackoff], and the value stays until its
// TTL. What does not load, such as Get and Has, does not refresh either, and what
// is known not to be there is not refreshed. Zero, the default, switches it off. Of
// it and [RefreshAtPercent] the one given last holds. The option counts where the
// value is stored or comes from the shared tier into the memory of a process.
func RefreshAfter(d time.Duration) Option {
	return option(func(s *settings) { s.refresh = span{d: d}; s.given |= givenRefresh })
}

// RefreshAtPercent is [RefreshAfter] with a part of the TTL, from 1 to 99 percent.
// A value that is fresh for ever is not refreshed. Zero switches it off.
func RefreshAtPercent(p int) Option {
	return option(func(s *settings) { s.refresh = span{percent: p}; s.given |= givenRefresh })
}

// ErrorTTL is how long the failure of a loader is remembered when no grace value
// stood in for it: GetOrSet returns the error again without loading. This process
// remembers it, for the callers of one key; whatever invalidates or sets the key
// makes it forget. Panics, [ErrClosed] and loads that were cancelled because nobody
// waited any more are not remembered; [ErrTimeout] is. Zero, the default, remembers
// nothing.
func ErrorTTL(d time.Duration) Option {
	return option(func(s *settings) { s.errorTTL = d; s.given |= givenErrorTTL })
}

// LockTimeout is how long a caller waits for a load of its key that another caller
// began. Then it is served the grace value, if there is one, or else loads past the
// other: those who wait too long for one load share the next. Of loads that run
// beside each other the first to end is stored. Zero, the default, is no limit.
func LockTimeout(d time.Duration) Option {
	return option(func(s *settings) { s.lock = d; s.given |= givenLock })
}

// NotFoundTTL is how long it is remembered that there is no value under a key, where
// generated code knows what means that: a nil pointer, or the error that the directive
// names with notfound. The default is the TTL; zero remembers nothing.
func NotFoundTTL(d time.Duration) Option {
	return option(func(s *settings) { s.notFoundTTL = d; s.given |= givenNotFoundTTL })
}

// Jitter shortens the TTL of each entry by a random time of up to d, so that
// entries stored together do not end together and the TTL stays an upper bound.
// FusionCache adds its jitter. The grace keeps its length, and what is fresh for
// ever stays so. It must be below the TTL; a call that gives a TTL which is not
// above it gets up to half of that. Zero, the default, is none. Of it and
// [JitterPercent] the one given last holds.
func Jitter(d time.Duration) Option {
	return option(func(s *settings) { s.jitter = span{d: d}; s.given |= givenJitter })
}

// JitterPercent is [Jitter] with a part of the TTL, from 1 to 99 percent. Zero is none.
func JitterPercent(p int) Option {
	return option(func(s *settings) { s.jitter = span{percent: p}; s.given |= givenJitter })
}

// L1TTL is how long the memory tier serves a fresh value before it looks at the
// shared tier again. The value stands in if neither that nor the loader has one.
// Without a shared tier it bounds the TTL. Zero, the default, is no limit.
func L1TTL(d time.Duration) Option {
	return option(func(s *settings) { s.l1TTL = d; s.given |= givenL1TTL })
}

// SuppressL2Errors says what becomes of a read that the shared tier fails: with
// true, the default, it is a miss, which is logged; with false, the caller of
// GetOrSet, Get and the like gets an [L2Error], unless a grace value can stand in.
// Failures to store what has been loaded are logged either way, and those of
// invalidations are errors either way.
func SuppressL2Errors(suppress bool) Option {
	return option(func(s *settings) { s.suppressL2 = suppress; s.given |= givenSuppressL2 })
}

// SkipL2Write keeps values in the memory of this process. What Set replaces in the
// shared tier is removed there all the same. The default is false.
func SkipL2Write(skip bool) Option {
	return option(func(s *settings) { s.skipL2Write = skip; s.given |= givenSkipL2Write })
}

// SkipBusNotify keeps changes of entries from being told to other processes, which
// then serve what is in their memory until its TTL or [L1TTL]. What is invalidated
// by tag, namespace or clear is told all the same. The default is false.
func SkipBusNotify(skip bool) Option {
	return option(func(s *settings) { s.skipBus = skip; s.given |= givenSkipBus })
}

// OnLoadError is called when a loader has failed, also when a grace value stands in
// for it and in the background, and before anyone is told. It may be called by
// several goroutines at a time. It must not load the keys that it is told of, which
// would wait for it. Nil, the default, is none.
func OnLoadError(f func(*LoadError)) Option {
	return option(func(s *settings) { s.onLoadError = f; s.given |= givenOnLoadError })
}

// BatchMax is how many keys the loader of [Cache.GetOrSetMany] is asked for at most
// at a time. It is called several times, one after the other, for more of them; a
// call that fails is the failure of its own keys only. Zero, the default, is no limit.
func BatchMax(n int) Option {
	return option(func(s *settings) { s.batchMax = n; s.given |= givenBatchMax })
}

// call is everything that one call says.
type call struct {
	settings
	tags       []Tag
	forceFresh bool
	allowStale bool
}

type callOption func(*call)

func (o callOption) applyToCall(c *call) { o(c) }

// Tags adds tags to the entry that a call writes.
func Tags(tags ...Tag) CallOption {
	return callOption(func(c *call) { c.tags = append(c.tags[:len(c.tags):len(c.tags)], tags...) })
}

// ForceFresh loads although there is a value, and stores the result. If the load
// fails, a value with a grace period stands in.
func ForceFresh() CallOption {
	return callOption(func(c *call) { c.forceFresh = true })
}

// AllowStale lets Get and GetMany return a value in its grace period. It is for
// them only: GetOrSet serves such values by itself.
func AllowStale() CallOption {
	return callOption(func(c *call) { c.allowStale = true })
}

// storeConfig is what NewStore's options add up to.
type storeConfig struct {
	settings
	l1          drivers.L1
	l2          drivers.L2
	bus         drivers.Bus
	prefix      string
	codec       Codec
	logger      *slog.Logger
	maxLoadTime time.Duration
	l2Timeout   time.Duration
	l2Soft      time.Duration
	breakFor    pause
	stampTrust  time.Duration
	background  int
	hooks       []event.Hooks
	refused     []string // options that were given nil
}

func (c *storeConfig) refuse(isNil bool, option string) {
	if isNil {
		c.refused = append(c.refused, option)
	}
}

type storeOption func(*storeConfig)

func (o storeOption) applyToStore(c *storeConfig) { o(c) }

// L1 gives the store a memory tier. A tier serves one store. [NewStore] refuses nil.
func L1(tier drivers.L1) StoreOption {
	return storeOption(func(c *storeConfig) { c.l1 = tier; c.refuse(tier == nil, "L1") })
}

// L2 gives the store a tier that it shares with other processes. [NewStore] refuses nil.
func L2(tier drivers.L2) StoreOption {
	return storeOption(func(c *storeConfig) { c.l2 = tier; c.refuse(tier == nil, "L2") })
}

// WithBus lets the memory tiers of several processes hear of each other's changes.
// [NewStore] refuses nil.
func WithBus(bus drivers.Bus) StoreOption {
	return storeOption(func(c *storeConfig) { c.bus = bus; c.refuse(bus == nil, "WithBus") })
}

// Prefix begins every key of the store in its shared tier. Stores of different
// programs on one server need different prefixes; stores that share data, the
// same. It must not contain "!" or "@", nor end with a colon.
func Prefix(prefix string) StoreOption {
	return storeOption(func(c *storeConfig) { c.prefix = prefix })
}

// WithCodec replaces [MsgPack]. [NewStore] and [NewStores] refuse nil. Caches that
// were opened before NewStores keep what they have.
func WithCodec(codec Codec) SharedOption {
	return sharedOption{
		func(c *storeConfig) { c.codec = codec; c.refuse(codec == nil, "WithCodec") },
		func(c *storesConfig) {
			c.codec = codec
			if codec == nil {
				c.refused = append(c.refused, "WithCodec")
			}
		},
	}
}

// Logger says where a store reports what callers do not see: loads that fail
// behind a grace value, tiers that do not answer. The default, and nil, is
// slog.Default().
func Logger(logger *slog.Logger) SharedOption {
	return sharedOption{
		func(c *storeConfig) { c.logger = logger },
		func(c *storesConfig) { c.logger = logger },
	}
}

// MaxLoadTime is how long a load may hold its key. A load that takes longer is
// left alone: the next caller starts another, and its result is not stored. The
// default is 5 minutes; [NewStore] refuses zero or less.
func MaxLoadTime(d time.Duration) StoreOption {
	return storeOption(func(c *storeConfig) { c.maxLoadTime = d })
}

// MaxBackground is how many loads may run at a time for which no caller waits.
// Beyond it stale values are served without being refreshed; zero never
// refreshes behind. The default is 256.
func MaxBackground(n int) StoreOption {
	return storeOption(func(c *storeConfig) { c.background = n })
}

// L2Timeout bounds each operation on the shared tier and each message to the bus.
// The default is 1 s; [NewStore] refuses zero or less.
func L2Timeout(d time.Duration) StoreOption {
	return storeOption(func(c *storeConfig) { c.l2Timeout = d })
}

// L2SoftTimeout bounds a read of the shared tier where there is something to fall
// back to: a grace value. Then it goes on as if the tier did not have the key. Zero,
// the default, is no bound but [L2Timeout].
func L2SoftTimeout(d time.Duration) StoreOption {
	return storeOption(func(c *storeConfig) { c.l2Soft = d })
}

// L2CircuitBreakerDuration is how long the shared tier is left alone after 3
// operations on it in a row have failed or exceeded [L2Timeout]. Meanwhile reads go
// on without it and invalidations are kept for later; see [InvalidationError]. Then
// one operation tries whether it answers again. The default is 5 s; zero never
// leaves it alone.
func L2CircuitBreakerDuration(d time.Duration) SharedOption {
	return sharedOption{
		func(c *storeConfig) { c.breakFor = pause{d, true} },
		func(c *storesConfig) { c.breakFor = pause{d, true} },
	}
}

// A pause is how long the shared tier is left alone, if that has been said.
type pause struct {
	d     time.Duration
	given bool
}

func (p pause) or(d time.Duration) time.Duration {
	if p.given {
		return p.d
	}
	return d
}

// WithHooks lets a program see what a store does, or all stores of [NewStores].
// Given more than once, all are called.
func WithHooks(h event.Hooks) SharedOption {
	return sharedOption{
		func(c *storeConfig) { c.hooks = append(c.hooks, h) },
		func(c *storesConfig) { c.hooks = event.Join(c.hooks, h) },
	}
}

// StampTrust bounds how long this process believes what it knows of tags,
// namespaces and clears before it looks at the shared tier again, and how long a
// memory tier whose bus is down serves without doing so. At most twice as long
// passes while the look is under way. The default is 3 s; [NewStore] refuses zero
// or less.
func StampTrust(d time.Duration) StoreOption {
	return storeOption(func(c *storeConfig) { c.stampTrust = d })
}
