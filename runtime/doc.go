// Package runtime is the part of cachegen that runs inside a program: stores with
// a memory tier, a shared tier and a bus, and the typed caches on top of them.
//
// A [Store] owns everything that is shared: tiers, flights (one load per key),
// stamps (invalidating many entries at once). A [Cache] is a cheap, typed handle
// to one function's entries in a store. Programs usually get their caches from
// generated code; without it, [NewCache] makes one for ad-hoc keys:
//
//	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})), runtime.TTL(5*time.Minute))
//	users, err := runtime.NewCache[int64, User](store, "users")
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
// # When a tier is away
//
// When the shared tier fails or hangs, a circuit breaker opens and reads go on with
// memory, grace values and loaders; see [L2CircuitBreakerDuration]. An invalidation that
// did not reach the shared tier or the other processes is an [InvalidationError] for its
// caller. The store keeps it in a queue and carries it out as soon as it can. Until then
// the store does not read what was invalidated from the shared tier. [Store.Close] tries
// once more, and returns an error that names what is lost.
//
// # What a loader may say
//
// A loader can choose the TTL and the tags of the value that it loads, keep it from being
// stored, look at the stale value that it is to replace, and say that this value still
// holds: see [EntryOf].
//
// # What a program may change
//
// Options come from the call, else from [Stores.SetOptions], else from the directive, else
// from the store, else from [Stores.SetDefaults]. [Stores.Disable] switches the caching of one
// function off while the program runs. [Hooks] lets a program see what happens; the events
// are those of package event.
//
// # How it is built
//
// This package is thin. Behind it are rooms, packages under internal, that import each
// other in one direction; ARCHITECTURE.md walks a read and a write through them. What only
// generated code uses is in package gen.
//
// All types of this package may be used by many goroutines at once. Durations are
// time.Durations; each option says what zero means.
package runtime
