// Package runtime is the part of cachegen that runs inside a program: stores with
// a memory tier, a shared tier and a bus, and the typed caches on top of them.
//
// A [Store] owns everything that is shared: tiers, flights (one load per key),
// stamps (invalidating many entries at once). A [Cache] is a cheap, typed handle
// to one function's entries in a store. Programs usually get their caches from
// generated code; without it, [NewCache] makes one for ad-hoc keys:
//
//	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})), runtime.TTL(5*time.Minute))
//	users, err := runtime.NewCache[int64, User](store.Namespace("users"))
//	user, err := users.GetOrSet(ctx, 42, func(ctx context.Context) (User, error) { return load(ctx, 42) })
//
// # What is promised
//
// When Delete, DeleteByTag, Clear or Set has returned nil, no read in this process
// that begins afterwards returns a value that was loaded before, whatever was in
// flight. A key is loaded once however many callers ask for it; they share the
// result and the error. An entry is fresh for its TTL and may be served stale for
// its grace, counted from the end of the TTL; both deadlines are set once and
// survive every copy between tiers. Anything in a shared tier that cannot be read
// is a miss.
//
// # When something is away
//
// When a shared tier fails or hangs, its circuit breaker opens, see
// [L2CircuitBreakerDuration]; reads go on with memory, grace values and loaders. An
// invalidation that it, or the bus, did not take is an [InvalidationError] for its
// caller, and the store's to carry out as soon as it can; until then it does not read
// from the tier what was to go. [Store.Close] tries a last time and says what is lost.
//
// # What a loader may say
//
// A loader can choose the TTL and the tags of what it loads, keep it from being
// stored, look at the stale value that it is to replace, and say that this still
// holds: see [Entry].
//
// # What a program may change
//
// Options come from the call, else from an [Override], else from the cache's
// definition, else from the store, else from [NewStores]. [Stores.Disable] switches the
// caching of one function off while the program runs. [WithHooks] tells what happens; the
// events are those of package event.
//
// All types of this package may be used by many goroutines at once. Durations are
// time.Durations; what a zero means is said where it can be given.
package runtime
