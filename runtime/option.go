package runtime

import (
	"math"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// Forever is a TTL that never ends. A constant Default… is the default of the option whose name
// follows: DefaultTTL is that of [TTL].
const (
	Forever time.Duration = math.MaxInt64

	DefaultTTL                      = 30 * time.Minute
	DefaultGraceBackoff             = 10 * time.Second
	DefaultMaxLoadTime              = 5 * time.Minute
	DefaultL2Timeout                = time.Second
	DefaultStampTrust               = 3 * time.Second
	DefaultOutboxPoll               = 2 * time.Second
	DefaultMaxBackground            = 256
	DefaultL2CircuitBreakerDuration = 5 * time.Second
)

// A StoreOption configures a store: see [NewStore] and [OpenStore]. [L1], [L2] and [Bus] can be
// given once. All [Hooks] are called. Of any other option that is given twice the last one
// holds.
type StoreOption interface{ applyToStore(*storeConfig) }

// A CallOption changes one call of a method of [Cache], or of generated code. The call fails if
// an option is nil or wrong, if two options of the call contradict each other, or if an option
// does nothing at that method, as [ForceFresh] at Set. An option of a call that contradicts one
// of another level is no error, because a program may change the other level while it runs: a
// value is never fresh for longer than its TTL, and a load ends at its HardTimeout. Of an option
// that a call is given twice the last one holds, but for [Tags], which add up.
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

// TTL is how long a value is fresh. With [Forever] a value stays fresh for ever. The default is
// 30 minutes. For a store, a function or an ad-hoc cache the TTL must be above zero. At a call a
// TTL of zero says that nothing is stored: GetOrSet returns what it has loaded, and Set removes
// the value that is there. A TTL below zero is an error.
func TTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.TTL = policy.Some(d) })
}

// Grace is how long after the end of its TTL a value may still be served stale: while a new
// value is loaded, or when the load fails. With a TTL of 5 minutes and a Grace of 1 hour a value
// is kept for 65 minutes. (Bentocache and FusionCache count their grace from the write.) A value
// has the Grace with which it was stored, whatever a later call says. Zero, the default, is no
// grace.
func Grace(d time.Duration) Option {
	return option(func(o *policy.Options) { o.Grace = policy.Some(d) })
}

// GraceBackoff is how long the loader of a key is not called again after it has failed and a
// stale value was served instead. Meanwhile the stale value is served, until its grace is over.
// Each process counts for itself, also without a memory tier. A load that was cancelled because
// its callers have left is no failure. The default is 10 s. With zero each call calls the
// loader.
func GraceBackoff(d time.Duration) Option {
	return option(func(o *policy.Options) { o.GraceBackoff = policy.Some(d) })
}

// Timeout is how long a caller waits for the loader if there is a stale value, which the caller
// gets when the time is over (a soft timeout). The load goes on in the background. With zero,
// the default, the caller gets the stale value at once. Without a stale value the caller waits
// for the load.
func Timeout(d time.Duration) Option {
	return option(func(o *policy.Options) { o.SoftTimeout = policy.Some(d) })
}

// HardTimeout is how long a loader may run. After that the context of the loader is cancelled,
// and callers get a stale value if there is one, and [ErrTimeout] otherwise. HardTimeout must be
// above [Timeout]. Zero, the default, sets no limit. The [MaxLoadTime] of the store limits every
// load, also one with a longer HardTimeout.
func HardTimeout(d time.Duration) Option {
	return option(func(o *policy.Options) { o.HardTimeout = policy.Some(d) })
}

// RefreshAfter is how long after its load a value that is still fresh is loaded again in the
// background. The first GetOrSet after that time begins the load, and callers get the value that
// is there. A refresh that fails is tried again after [GraceBackoff]; the value stays until the
// end of its TTL. Get, Has and the like begin no refresh. A remembered not-found is not
// refreshed. RefreshAfter must be below the TTL. Zero, the default, switches refreshing off. Of
// RefreshAfter and [RefreshPercent] the one given last holds. A value has the RefreshAfter that
// was given when the value was stored, or when the memory of this process took the value from
// the shared tier.
func RefreshAfter(d time.Duration) Option {
	return option(func(o *policy.Options) { o.Refresh = policy.Some(policy.Span{Time: d}) })
}

// RefreshPercent is [RefreshAfter] as a percentage of the TTL, from 1 to 99. A value that is
// fresh for ever is not refreshed. Zero switches refreshing off.
func RefreshPercent(p int) Option {
	return option(func(o *policy.Options) { o.Refresh = policy.Some(policy.Span{Percent: p}) })
}

// ErrorTTL is how long an error of the loader is remembered, if there was no stale value to
// serve instead: until then, GetOrSet of the same key returns the error and does not load. Each
// process remembers its own errors. Set, Delete, and whatever else invalidates the key makes the
// process forget the error. Panics, [ErrClosed] and loads that were cancelled because no caller
// waited any more are not remembered; [ErrTimeout] is. With zero, the default, no error is
// remembered.
func ErrorTTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.ErrorTTL = policy.Some(d) })
}

// LockTimeout is how long a caller waits for a load of its key that another caller has begun.
// When the time is over, the caller gets the stale value if there is one. Otherwise the caller
// begins a second load beside the first; other callers who have waited too long share the second
// load. At most 4 loads of one key run at a time; callers who need one more wait until one of
// the four ends. The value of the load that ends first is kept. Zero, the default, is no limit.
//
// LockTimeout is also how long a process waits for another process that loads the key, where the
// shared tier gives leases. Then it serves the stale value if there is one, or loads for itself
// and keeps the value in memory only; a caller waits for that load as for one that has just begun.
// With zero a process waits as long as the other one renews its lease, which it does while its
// loader runs, until the [MaxLoadTime]. A [HardTimeout] is a limit here, too.
func LockTimeout(d time.Duration) Option {
	return option(func(o *policy.Options) { o.LockTimeout = policy.Some(d) })
}

// NotFoundTTL is how long the cache remembers that there is no value under a key, because the
// loader has returned a nil pointer, a nil interface, false, or the error that the directive
// names with notfound, which is [ErrNotFound] for an ad-hoc cache. With zero, the default, the cache does not remember it, and the next call
// loads.
func NotFoundTTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.NotFoundTTL = policy.Some(d) })
}

// Jitter shortens the TTL of each entry by a random time of up to d, so that entries that were
// stored together do not end together. No entry is fresh for longer than the TTL (FusionCache
// adds its jitter). The grace keeps its length, and a value that is fresh for ever stays so.
// Jitter must be below the TTL; if a call gives a TTL that is not above the Jitter, the random
// time is up to half of that TTL. Zero, the default, is no jitter. Of Jitter and [JitterPercent]
// the one given last holds.
func Jitter(d time.Duration) Option {
	return option(func(o *policy.Options) { o.Jitter = policy.Some(policy.Span{Time: d}) })
}

// JitterPercent is [Jitter] as a percentage of the TTL, from 1 to 99. Zero is no jitter.
func JitterPercent(p int) Option {
	return option(func(o *policy.Options) { o.Jitter = policy.Some(policy.Span{Percent: p}) })
}

// L1TTL is how long the memory of a process serves a fresh value before the process asks the
// shared tier for a newer one. Without it, a process that no message of a bus reaches can serve
// a value that another process has changed until the end of the TTL; with it, until the end of
// the L1TTL. If the shared tier has no value, or does not answer, the loader is called. If the
// loader fails, the value in memory is served. In a store without a shared tier a value is fresh
// for the L1TTL, if that is shorter than the TTL. L1TTL must not be above the TTL. Zero, the
// default, is no limit.
func L1TTL(d time.Duration) Option {
	return option(func(o *policy.Options) { o.L1TTL = policy.Some(d) })
}

// SuppressL2Errors says what happens when a read of the shared tier fails. With true, the
// default, the failure is logged and counts as a miss. With false, GetOrSet, Get and the like
// return an [L2Error], unless there is a stale value to serve. SuppressL2Errors is for reads
// alone: a failure to store what was loaded is always logged, and what happens with failures of
// invalidations [InvalidationErrors] says.
func SuppressL2Errors(suppress bool) Option {
	return option(func(o *policy.Options) { o.SuppressL2Errors = policy.Some(suppress) })
}

// SkipL2Write with true keeps values in the memory of this process only. Set still removes the
// old value of its key from the shared tier. The default is false.
func SkipL2Write(skip bool) Option {
	return option(func(o *policy.Options) { o.SkipL2Write = policy.Some(skip) })
}

// SkipBusNotify with true does not tell other processes that the entry of a key has changed. The
// other processes serve what is in their memory until its TTL or [L1TTL]. They are told of
// invalidations by tag, by namespace and by clear all the same. The default is false.
func SkipBusNotify(skip bool) Option {
	return option(func(o *policy.Options) { o.SkipBusNotify = policy.Some(skip) })
}

// OnLoadError calls f for each load that fails, also if callers get a stale value and no error,
// and if the load runs in the background. f is called before callers have their result, and may
// be called by several goroutines at once. f must not read the keys of its argument through the
// cache, because that read would wait for the load, and the load waits for f. Nil, the default,
// calls nothing.
func OnLoadError(f func(*event.LoadError)) Option {
	return option(func(o *policy.Options) { o.OnLoadError = policy.Some(f) })
}

// BatchMax is how many keys a call for many keys asks for at a time, of the loader of
// [Cache.GetOrSetMany] and of the shared tier. For more keys the loader is called several times,
// one call after the other. If one call of the loader fails, only the keys of that call have
// failed. Zero, the default, is no limit.
func BatchMax(n int) Option {
	return option(func(o *policy.Options) { o.BatchMax = policy.Some(n) })
}

// InvalidationErrors says what a caller gets when an invalidation, or a Set, did not reach the
// shared tier or the other processes in time. With InvalidationErrors([Report]), the default,
// the caller gets an [InvalidationError]. With InvalidationErrors([Log]) the error is logged, at
// most once a second, and the caller gets nil. In both cases hooks are called, and the store
// tries again until it succeeds. Some errors are returned in both cases: that of a closed store,
// of a key that cannot be written, and of a value or key that no tier takes
// (drivers.ErrRefused). Of the methods that take options, only [Cache.Set] takes
// InvalidationErrors.
type InvalidationErrors uint8

// Report and Log are what InvalidationErrors can be. Each is an [Option] by itself.
const (
	Report InvalidationErrors = iota // their numbers are those of package policy
	Log
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

// Tags adds tags to the entry that a call stores. [Store.DeleteByTag] of one of the tags then
// deletes the entry. An entry can have about 1,000 tags; an entry with more is not stored.
func Tags(tags ...Tag) CallOption {
	return callOption(func(c *policy.Call) { c.Tags = append(append([]string{}, c.Tags...), tagNames(tags)...) })
}

// ForceFresh loads although there is a fresh value, and stores the result. If the load fails,
// callers get the value that was there, if the value has a [Grace], and the error otherwise.
func ForceFresh() CallOption {
	return callOption(func(c *policy.Call) { c.ForceFresh = true })
}

// AllowStale lets [Cache.Get] and [Cache.GetMany] return a stale value whose [Grace] is not
// over. GetOrSet returns such values without AllowStale.
func AllowStale() CallOption {
	return callOption(func(c *policy.Call) { c.AllowStale = true })
}
