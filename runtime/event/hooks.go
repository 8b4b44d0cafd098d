package event

// Hooks are functions that a store calls when something happens, for metrics, logs
// and tests. A nil function costs nothing, and calling the others allocates nothing.
//
// Many goroutines call a hook at once. A hook runs on the goroutine of the call that
// it reports, where there is one, and delays that call: it should be quick. A hook may
// use the store, but what it does to the store makes events, too. Operation, Breaker
// and Unreadable are called in the middle of other work and must not use the store.
// A hook that panics is logged.
type Hooks struct {
	// Hit is called for each key that a read has got a value for without waiting for
	// a load, and Miss for each other key.
	Hit  func(Hit)
	Miss func(Miss)
	// Loaded is called when a loader has returned, before the callers who wait have
	// its result. The hook must not load the keys of the event: that load would wait
	// for the hook.
	Loaded func(Load)
	// Skipped is called when values that are stale or due are not loaded in the background,
	// because too many loads run there. It runs on the goroutine of the read.
	Skipped func(Skip)
	// Written is called when a value has been stored. For a loaded value that is before
	// the callers who wait have it: in a store without a memory tier the hook must not
	// load that key, because that load would wait for the hook.
	Written func(Write)
	// Refused is called when a tier does not keep a value: it is larger than the tier takes,
	// or cannot be written. The other tier may have it. In a store without one, each call
	// loads the value again.
	Refused func(Refusal)
	// Deleted, Expired and Cleared are called when this process has invalidated
	// entries by key, by tag or by namespace.
	Deleted func(Invalidation)
	Expired func(Invalidation)
	Cleared func(Invalidation)
	// Published and Received are called for messages on the bus.
	Published func(Message)
	Received  func(Message)
	// Operation is called after each operation on the shared tier.
	Operation func(Operation)
	// Breaker is called when a circuit breaker of the shared tier changes its state.
	Breaker func(BreakerChange)
	// Pending is called when invalidations that did not reach everyone have been
	// queued, carried out, or given up.
	Pending func(Pending)
	// Unreadable is called for an entry of the shared tier that is taken for a miss
	// because it cannot be read.
	Unreadable func(Unreadable)
}

// Join returns Hooks that call those of first and then those of second, although
// those of first panic.
func Join(first, second Hooks) Hooks {
	return Hooks{
		Hit: both(first.Hit, second.Hit), Miss: both(first.Miss, second.Miss),
		Loaded: both(first.Loaded, second.Loaded), Skipped: both(first.Skipped, second.Skipped),
		Written: both(first.Written, second.Written), Refused: both(first.Refused, second.Refused),
		Deleted: both(first.Deleted, second.Deleted), Expired: both(first.Expired, second.Expired), Cleared: both(first.Cleared, second.Cleared),
		Published: both(first.Published, second.Published), Received: both(first.Received, second.Received),
		Operation: both(first.Operation, second.Operation), Breaker: both(first.Breaker, second.Breaker),
		Pending: both(first.Pending, second.Pending), Unreadable: both(first.Unreadable, second.Unreadable),
	}
}

func both[E any](first, second func(E)) func(E) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(e E) {
		defer second(e) // although first panics
		first(e)
	}
}
