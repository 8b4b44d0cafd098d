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

// A CallOption changes one call of a method of [Cache], or of generated code. The call fails if
// the option is nil, is wrong, or does nothing at that method, as [ForceFresh] at Set.
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

// TTL is how long a value is fresh. [Forever] never ends. Where a store or a cache is made, TTL
// must be above zero; the default is 30 minutes. At a call zero means that nothing is stored:
// GetOrSet returns what it has loaded, and Set removes what was there. Less than zero is an
// error.
func TTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.TTL = policy.Some(d) })
}

// Grace is how long after the end of its TTL a value may still be served stale: while it is
// loaded anew, or when the load fails. So with a TTL of 5 minutes and a grace of 1 hour a value
// is kept for 65 minutes. (Bentocache and FusionCache count their grace from the write.) The
// grace that holds is the one that was given when the value was stored. Zero, the default, is
// no grace.
func Grace(d time.Duration) Option {
	return option(func(o *policy.Options) { o.Grace = policy.Some(d) })
}

// GraceBackoff is how long the loader is not called again after it has failed and a stale value
// was served instead. The stale value is served meanwhile, but not beyond its grace. Each process
// counts for itself, also without a memory tier. A load that was cancelled because its callers
// have left has not failed. The default is 10 s. Zero calls the loader each time.
func GraceBackoff(d time.Duration) Option {
	return option(func(o *policy.Options) { o.GraceBackoff = policy.Some(d) })
}

// Timeout is how long a caller waits for the loader if there is a stale value to serve instead
// (a soft timeout). The load goes on in the background. Zero, the default, serves the stale value
// at once. Without a stale value the caller waits for the load.
func Timeout(d time.Duration) Option {
	return option(func(o *policy.Options) { o.SoftTimeout = policy.Some(d) })
}

// HardTimeout is how long a loader may run. Then its context is cancelled, and callers get a
// stale value if there is one, and [ErrTimeout] otherwise. It must be above [Timeout]. Zero, the
// default, is no limit but that of [MaxLoadTime].
func HardTimeout(d time.Duration) Option {
	return option(func(o *policy.Options) { o.HardTimeout = policy.Some(d) })
}

// RefreshAfter is how long after its load a value is loaded again in the background, while it is
// still fresh: the first GetOrSet after that time begins the load, and everybody is served the
// value that is there. A refresh that fails is tried again after [GraceBackoff]; the value stays
// until the end of its TTL. Get, Has and the like begin no refresh, and that there is no value
// is not refreshed. RefreshAfter must be below the TTL. Zero, the default, switches it off. Of
// RefreshAfter and [RefreshPercent] the one given last holds. What holds is what was given when
// the value was stored, or when the memory of this process took it from the shared tier.
func RefreshAfter(d time.Duration) Option {
	return option(func(o *policy.Options) { o.Refresh = policy.Some(policy.Span{Time: d}) })
}

// RefreshPercent is [RefreshAfter] with a part of the TTL, from 1 to 99 percent. A value that is
// fresh for ever is not refreshed. Zero switches it off.
func RefreshPercent(p int) Option {
	return option(func(o *policy.Options) { o.Refresh = policy.Some(policy.Span{Percent: p}) })
}

// ErrorTTL is how long an error of the loader is remembered if there was no stale value to serve
// instead: until then, GetOrSet of the same key returns the error without loading. Each process
// remembers its own errors. Set, Delete, and whatever else invalidates the key makes it forget.
// Panics, [ErrClosed] and loads that were cancelled because nobody waited any more are not
// remembered; [ErrTimeout] is. Zero, the default, remembers nothing.
func ErrorTTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.ErrorTTL = policy.Some(d) })
}

// LockTimeout is how long a caller waits for a load of its key that another caller has begun.
// Then it gets the stale value if there is one. If there is none, it begins a load of its own
// beside the other; other callers who have waited too long share it. At most 4 loads of one key
// run at a time, beyond that callers wait for one of them to end. The value of the load that ends
// first is kept. Zero, the default, is no limit.
func LockTimeout(d time.Duration) Option {
	return option(func(o *policy.Options) { o.LockTimeout = policy.Some(d) })
}

// NotFoundTTL is how long the cache remembers that there is no value under a key: the loader has
// returned a nil pointer, a nil interface, false, or the error that the directive names with
// notfound, which is [ErrNotFound] for an ad-hoc cache. A key that a loader of many keys does not
// return has no value either. Zero, the default, remembers nothing.
func NotFoundTTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.NotFoundTTL = policy.Some(d) })
}

// Jitter shortens the TTL of each entry by a random time of up to d, so that entries that were
// stored together do not end together. The TTL stays an upper bound (FusionCache adds its
// jitter). The grace keeps its length, and what is fresh for ever stays so. Jitter must be below
// the TTL; where a call gives a shorter TTL, the jitter is up to half of it. Zero, the default,
// is none. Of Jitter and [JitterPercent] the one given last holds.
func Jitter(d time.Duration) Option {
	return option(func(o *policy.Options) { o.Jitter = policy.Some(policy.Span{Time: d}) })
}

// JitterPercent is [Jitter] with a part of the TTL, from 1 to 99 percent. Zero is none.
func JitterPercent(p int) Option {
	return option(func(o *policy.Options) { o.Jitter = policy.Some(policy.Span{Percent: p}) })
}

// L1TTL is how long the memory of a process serves a fresh value before it asks the shared tier
// whether there is a newer one. So it bounds how long a process that hears no bus serves a value
// that another process has changed. If the shared tier has no value then, or does not answer, the
// loader is called; if it fails, the value in memory is served. In a store without a shared tier
// L1TTL bounds the TTL. L1TTL must not be above the TTL. Zero, the default, is no limit.
func L1TTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.L1TTL = policy.Some(d) })
}

// SuppressL2Errors says what a failed read of the shared tier is for a caller. With true, the
// default, it is logged and counts as a miss. With false, GetOrSet, Get and the like return an
// [L2Error], unless there is a stale value to serve. The option is for reads alone: a failure to
// store what was loaded is logged either way. For failures of invalidations there is
// [InvalidationErrors].
func SuppressL2Errors(suppress bool) Option {
	return option(func(o *policy.Options) { o.SuppressL2Errors = policy.Some(suppress) })
}

// SkipL2Write with true keeps values in the memory of this process only. Set removes the value in
// the shared tier that it replaces all the same. The default is false.
func SkipL2Write(skip bool) Option {
	return option(func(o *policy.Options) { o.SkipL2Write = policy.Some(skip) })
}

// SkipBusNotify with true does not tell other processes that the entry of a key has changed. They
// serve what is in their memory until its TTL or [L1TTL]. Of invalidations by tag, by namespace
// and by clear they are told all the same. The default is false.
func SkipBusNotify(skip bool) Option {
	return option(func(o *policy.Options) { o.SkipBusNotify = policy.Some(skip) })
}

// OnLoadError calls f with each load that fails: also when callers are served a stale value
// instead of the error, and when the load runs in the background. f is called before the callers
// have their result, possibly by several goroutines at a time. f must not read the keys of the
// error through the cache: the read would wait for the load that waits for f. Nil, the default,
// is none.
func OnLoadError(f func(*event.LoadError)) Option {
	return option(func(o *policy.Options) { o.OnLoadError = policy.Some(f) })
}

// BatchMax is how many keys a read of many asks for at a time: the loader of
// [Cache.GetOrSetMany], which is called several times, one after the other, for more keys, and
// the shared tier. If a call of the loader fails, only its keys have failed. Zero, the default,
// is no limit.
func BatchMax(n int) Option {
	return option(func(o *policy.Options) { o.BatchMax = policy.Some(n) })
}

// InvalidationErrors says what a caller gets when an invalidation, or a Set, did not reach the
// shared tier or the other processes in time. InvalidationErrors(Report), the default, returns an
// [InvalidationError]. InvalidationErrors(Log) logs the error, at most once a second, and returns
// nil. Either way hooks are told, and the store tries again until it succeeds. Some errors are
// returned with Log, too: those of a closed store, of a key that cannot be written, and of a value
// or key that no tier takes (drivers.ErrRefused). Of the methods that take options, only
// [Cache.Set] takes this one.
type InvalidationErrors policy.Errors

// Report and Log are what InvalidationErrors can be. Each is an [Option] by itself.
const (
	Report = InvalidationErrors(policy.Report)
	Log    = InvalidationErrors(policy.Log)
)

func (e InvalidationErrors) applyToStore(c *storeConfig)     { c.options.InvalidationErrors = e.some() }
func (e InvalidationErrors) applyToCall(c *policy.Call)      { c.InvalidationErrors = e.some() }
func (e InvalidationErrors) some() policy.Opt[policy.Errors] { return policy.Some(policy.Errors(e)) }

type callOption func(*policy.Call)

func (o callOption) applyToCall(c *policy.Call) { o(c) }

// callOf returns what the options of one call say; nil if there are none.
func callOf(options []CallOption) *policy.Call {
	if len(options) == 0 {
		return nil
	}
	var c policy.Call
	apply(options, &c)
	return &c
}

// apply applies options to a call, which is refused if one of them is nil.
func apply(options []CallOption, c *policy.Call) {
	for _, o := range options {
		if c.Nil = c.Nil || o == nil; o != nil {
			o.applyToCall(c)
		}
	}
}

// Tags adds tags to the entry that a call stores: [Store.DeleteByTag] then deletes it with all
// others that have one of them. An entry can have about 1,000 tags; with more, it is not stored.
func Tags(tags ...Tag) CallOption {
	return callOption(func(c *policy.Call) { c.Tags = append(append([]string{}, c.Tags...), tagNames(tags)...) })
}

// ForceFresh loads although there is a fresh value, and stores the result. If the load fails, the
// value that was there is served if it has a grace.
func ForceFresh() CallOption {
	return callOption(func(c *policy.Call) { c.ForceFresh = true })
}

// AllowStale lets [Cache.Get] and [Cache.GetMany] return a value whose TTL is over, if its grace
// is not. GetOrSet serves such values without it.
func AllowStale() CallOption {
	return callOption(func(c *policy.Call) { c.AllowStale = true })
}
