// Package runtime is the part of cachegen that runs inside a program: stores with
// a memory tier, a shared tier and a bus, and the typed caches on top of them.
//
// A [Store] owns everything that caches share: the tiers, the loads that run, and the
// stamps, small records by which many entries are invalidated at once. A [Cache] is a cheap,
// typed handle to the entries of one function in a store. [Stores] are the stores of a
// program. Programs usually get their caches from generated code; without it, [NewCache]
// makes a cache for ad-hoc keys:
//
//	stores, err := runtime.OpenStore("main", runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})), runtime.TTL(5*time.Minute))
//	users, err := runtime.NewCache[int64, User](stores.Default(), "users")
//	user, err := users.GetOrSet(ctx, 42, func(ctx context.Context) (User, error) { return load(ctx, 42) })
//
// # What is promised
//
// When Delete, DeleteByTag, Clear or Set has returned nil, no read in this process
// that begins afterwards returns a value that was loaded before, whatever was in
// flight. A key is loaded once however many callers ask for the key; they share the
// result and the error. An entry is fresh for its TTL, and may be served stale for
// its grace, which counts from the end of the TTL. Both deadlines are set once, and an
// entry keeps them when it is copied from one tier to the other. Anything in a shared
// tier that cannot be read is a miss.
//
// # When a tier is away
//
// When the shared tier fails or hangs, a circuit breaker opens, and reads go on with
// memory, stale values and loaders; see [L2CircuitBreakerDuration]. If an invalidation does
// not reach the shared tier or the other processes, its caller gets an [InvalidationError],
// unless [InvalidationErrors] says otherwise. The store queues the invalidation and carries
// it out as soon as it can. Until then the store does not read what was invalidated from the
// shared tier. [Store.Close] tries once more, and returns an error that names what is lost.
//
// # What a loader may say
//
// A loader can choose the TTL and the tags of the value that it loads, keep the value from
// being stored, look at the stale value that is to be replaced, and say that the stale value
// still holds: see [EntryOf].
//
// # What a program may change
//
// Options come from the call, else from [Stores.SetOptions], else from the directive of the
// function (or from [NewCache]), else from the store, else from [Stores.SetDefaults]. [Stores.Disable] switches the caching of one
// function off while the program runs. [Hooks] lets a program see what happens; the events
// are those of package event.
//
// # How it is built
//
// This package is thin. The work is done in packages under internal, which import each
// other in one direction; ARCHITECTURE.md walks a read and a write through them. What only
// generated code uses is in package gen.
//
// All types of this package may be used by many goroutines at once. Each option says what
// zero means.
package runtime
