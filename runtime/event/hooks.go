package event

// Hooks are functions that a store calls when something happens, for metrics, logs and tests. A
// hook that is nil is not called, and costs nothing. An event costs no allocation.
//
// Many goroutines may call a hook at once. If a call of a cache makes the event, the hook runs
// on the goroutine of that call and delays the call: a hook should be quick. A hook may use the
// store, which makes events of its own. The hooks Operation, Breaker and Unreadable must not use
// the store, because they are called in the middle of other work. A hook that panics is logged.
type Hooks struct {
	// Hit is called for each key of a read that gets a value, or a remembered not-found, without
	// waiting for a load. Miss is called for each other key.
	Hit  func(Hit)
	Miss func(Miss)
	// Loaded is called when a loader has returned, before its callers have the result. The hook
	// must not read the keys of the event through the cache: the read would wait for the load,
	// and the load waits for the hook.
	Loaded func(Load)
	// Skipped is called when values that are stale, or due for a refresh, are not loaded in the
	// background, because too many loads run in the background.
	Skipped func(Skip)
	// Written is called when a value has been stored. The callers of a load do not have the
	// value yet. Therefore in a store without a memory tier the hook must not read the key of a
	// loaded value through the cache, as for Loaded.
	Written func(Write)
	// Refused is called when a tier does not keep a value, because the value is larger than the
	// tier takes, or cannot be written. The other tier may keep the value. A value that no tier
	// keeps is loaded again by each call.
	Refused func(Refusal)
	// Deleted and Expired are called when this process has invalidated entries by key or by tag.
	// Cleared is called when it has invalidated those of a namespace, a cache or the store.
	Deleted func(Invalidation)
	Expired func(Invalidation)
	Cleared func(Invalidation)
	// Published is called for a message that this process has sent to the bus, or has tried to
	// send. Received is called for a message of another process.
	Published func(Message)
	Received  func(Message)
	// Operation is called after each operation on the shared tier.
	Operation func(Operation)
	// Breaker is called when a circuit breaker of the shared tier changes its state.
	Breaker func(BreakerChange)
	// Pending is called when invalidations that have not reached the shared tier or the other
	// processes are queued, carried out, or given up.
	Pending func(Pending)
	// Outbox is called when entries of the outbox were taken that another process has left, or
	// that this process could not carry out when it had committed.
	Outbox func(Outbox)
	// Unreadable is called for an entry of the shared tier that cannot be read, which counts as
	// a miss.
	Unreadable func(Unreadable)
}

// Join returns Hooks that call the hooks of first, and then those of second, even if those of first
// panic.
func Join(first, second Hooks) Hooks {
	return Hooks{
		Hit: both(first.Hit, second.Hit), Miss: both(first.Miss, second.Miss),
		Loaded: both(first.Loaded, second.Loaded), Skipped: both(first.Skipped, second.Skipped),
		Written: both(first.Written, second.Written), Refused: both(first.Refused, second.Refused),
		Deleted: both(first.Deleted, second.Deleted), Expired: both(first.Expired, second.Expired), Cleared: both(first.Cleared, second.Cleared),
		Published: both(first.Published, second.Published), Received: both(first.Received, second.Received),
		Operation: both(first.Operation, second.Operation), Breaker: both(first.Breaker, second.Breaker),
		Pending: both(first.Pending, second.Pending), Outbox: both(first.Outbox, second.Outbox), Unreadable: both(first.Unreadable, second.Unreadable),
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
