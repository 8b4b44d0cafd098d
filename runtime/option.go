package runtime

import (
	"math"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// Forever is a TTL that never ends. The others are the defaults of options.
const (
	Forever time.Duration = math.MaxInt64

	DefaultTTL                      = 30 * time.Minute
	DefaultGraceBackoff             = 10 * time.Second
	DefaultMaxLoadTime              = 5 * time.Minute
	DefaultL2Timeout                = time.Second
	DefaultStampTrust               = 3 * time.Second
	DefaultMaxBackground            = 256
	DefaultL2CircuitBreakerDuration = 5 * time.Second
)

// A StoreOption configures a store: see [NewStore] and [OpenStore].
type StoreOption interface{ applyToStore(*storeConfig) }

// A CallOption changes one call of a method of [Cache], or of generated code.
type CallOption interface{ applyToCall(*policy.Call) }

// An Option can be given at every level: to a call, to a function ([Stores.SetOptions]), to an
// ad-hoc cache ([NewCache]), to a store, and to all stores ([Stores.SetDefaults]).
type Option interface {
	StoreOption
	CallOption
}

type option func(*policy.Options)

func (o option) applyToStore(c *storeConfig) { o(&c.options) }
func (o option) applyToCall(c *policy.Call)  { o(&c.Options) }

// TTL is how long a value is fresh; [Forever] never ends. Zero or less is refused
// where a store or a cache is made. At a call it means that nothing is stored:
// GetOrSet returns what it has loaded, Set removes what was there.
func TTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.TTL = policy.Some(d) })
}

// Grace is how long after the end of its TTL a value may still be served stale.
// Bentocache and FusionCache count theirs from the write. Zero, the default, is
// no grace. It has to be given when the value is stored.
func Grace(d time.Duration) Option {
	return option(func(o *policy.Options) { o.Grace = policy.Some(d) })
}

// GraceBackoff is how long, after a loader has failed and a grace value was served
// instead, the grace value is served without calling the loader again. It counts from
// the failure and never prolongs the grace. Each process has its own, also without a
// memory tier. A load that was cancelled because its callers have left has not failed. The
// default is 10 s; zero calls the loader each time.
func GraceBackoff(d time.Duration) Option {
	return option(func(o *policy.Options) { o.GraceBackoff = policy.Some(d) })
}

// Timeout is the soft timeout: how long a caller waits for the loader when there
// is a grace value to fall back to. The load goes on in the background. Zero, the
// default, serves the grace value at once.
func Timeout(d time.Duration) Option {
	return option(func(o *policy.Options) { o.SoftTimeout = policy.Some(d) })
}

// HardTimeout is how long a loader may run at all. Then its context is cancelled,
// and callers get the grace value or [ErrTimeout]. Zero, the default, is no limit.
func HardTimeout(d time.Duration) Option {
	return option(func(o *policy.Options) { o.HardTimeout = policy.Some(d) })
}

// RefreshAfter is how long after its load a value is loaded again in the background
// when GetOrSet is asked for it; the fresh value is served meanwhile. A refresh
// that fails is tried again after [GraceBackoff], and the value stays until its
// TTL. Get, Has and the like do not load and therefore do not refresh, and what
// is known to be absent is not refreshed. Zero, the default, switches it off. Of
// RefreshAfter and [RefreshPercent] the one given last holds. The option counts where
// the value is stored or comes from the shared tier into the memory of a process.
func RefreshAfter(d time.Duration) Option {
	return option(func(o *policy.Options) { o.Refresh = policy.Some(policy.Span{Time: d}) })
}

// RefreshPercent is [RefreshAfter] with a part of the TTL, from 1 to 99 percent.
// A value that is fresh for ever is not refreshed. Zero switches it off.
func RefreshPercent(p int) Option {
	return option(func(o *policy.Options) { o.Refresh = policy.Some(policy.Span{Percent: p}) })
}

// ErrorTTL is how long the failure of a loader is remembered when no grace value was served instead:
// GetOrSet returns the error again without loading. This process remembers it, for the callers of
// one key; whatever invalidates or sets the key makes it forget. Panics, [ErrClosed] and loads that
// were cancelled because nobody waited any more are not remembered; [ErrTimeout] is. Zero, the
// default, remembers nothing.
func ErrorTTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.ErrorTTL = policy.Some(d) })
}

// LockTimeout is how long a caller waits for a load of its key that another caller began. Then
// it is served the grace value, if there is one, or else begins a load beside the other: callers
// who wait too long for one load share the next. While 4 loads of a key run, it waits for one to
// end. Of loads beside each other the first to end is stored. Zero, the default, is no limit.
func LockTimeout(d time.Duration) Option {
	return option(func(o *policy.Options) { o.LockTimeout = policy.Some(d) })
}

// NotFoundTTL is how long it is remembered that there is no value under a key: a loader has
// returned a nil pointer or interface, false, or what the directive names with notfound.
// Zero, the default, remembers nothing.
func NotFoundTTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.NotFoundTTL = policy.Some(d) })
}

// Jitter shortens the TTL of each entry by a random time of up to d, so that
// entries stored together do not end together and the TTL stays an upper bound.
// FusionCache adds its jitter. The grace keeps its length, and what is fresh for
// ever stays so. Jitter must be below the TTL; a call that gives a TTL which is not
// above it gets up to half of that TTL. Zero, the default, is none. Of Jitter and
// [JitterPercent] the one given last holds.
func Jitter(d time.Duration) Option {
	return option(func(o *policy.Options) { o.Jitter = policy.Some(policy.Span{Time: d}) })
}

// JitterPercent is [Jitter] with a part of the TTL, from 1 to 99 percent. Zero is none.
func JitterPercent(p int) Option {
	return option(func(o *policy.Options) { o.Jitter = policy.Some(policy.Span{Percent: p}) })
}

// L1TTL is how long the memory tier serves a fresh value before it reads the shared
// tier again. If then neither the shared tier nor the loader has a value, the one in
// memory is served. In a store without a shared tier L1TTL bounds the TTL. Zero, the
// default, is no limit.
func L1TTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.L1TTL = policy.Some(d) })
}

// SuppressL2Errors says what a failed read of the shared tier means for a caller: with
// true, the default, it is a miss, which is logged; with false, the caller of
// GetOrSet, Get and the like gets an [L2Error], unless a grace value can be served.
// Failures to store what has been loaded are logged either way, and those of
// invalidations are errors either way.
func SuppressL2Errors(suppress bool) Option {
	return option(func(o *policy.Options) { o.SuppressL2Errors = policy.Some(suppress) })
}

// SkipL2Write keeps values in the memory of this process only. What Set replaces in the
// shared tier is removed there all the same. The default is false.
func SkipL2Write(skip bool) Option {
	return option(func(o *policy.Options) { o.SkipL2Write = policy.Some(skip) })
}

// SkipBusNotify does not tell other processes of changes of entries. They serve what is
// in their memory until its TTL or [L1TTL]. Invalidations by tag, by namespace and by
// clear are told all the same. The default is false.
func SkipBusNotify(skip bool) Option {
	return option(func(o *policy.Options) { o.SkipBusNotify = policy.Some(skip) })
}

// OnLoadError is called when a loader has failed, also when a grace value is served
// instead and in the background, before any caller has a result. It may be called by
// several goroutines at a time. It must not load the keys of the error: such a load
// would wait for the load that has just failed. Nil, the default, is none.
func OnLoadError(f func(*event.LoadError)) Option {
	return option(func(o *policy.Options) { o.OnLoadError = policy.Some(f) })
}

// BatchMax is how many keys the loader of [Cache.GetOrSetMany] is asked for at most
// at a time. It is called several times, one after the other, for more of them; a
// call that fails is the failure of its own keys only. The shared tier is not asked for more
// keys at a time either. Zero, the default, is no limit.
func BatchMax(n int) Option {
	return option(func(o *policy.Options) { o.BatchMax = policy.Some(n) })
}

type callOption func(*policy.Call)

func (o callOption) applyToCall(c *policy.Call) { o(c) }

// callOf returns what the options of one call say; nil if there are none.
func callOf(options []CallOption) *policy.Call {
	if len(options) == 0 {
		return nil
	}
	var c policy.Call
	for _, o := range options {
		if o != nil {
			o.applyToCall(&c)
		}
	}
	return &c
}

// Tags adds tags to the entry that a call writes. An entry has about 1,000 at most.
func Tags(tags ...Tag) CallOption {
	return callOption(func(c *policy.Call) { c.Tags = append(c.Tags[:len(c.Tags):len(c.Tags)], tagNames(tags)...) })
}

// ForceFresh loads although there is a value, and stores the result. If the load
// fails, a value with a grace period is served.
func ForceFresh() CallOption {
	return callOption(func(c *policy.Call) { c.ForceFresh = true })
}

// AllowStale lets Get and GetMany return a value in its grace period. GetOrSet serves
// such values without it.
func AllowStale() CallOption {
	return callOption(func(c *policy.Call) { c.AllowStale = true })
}
