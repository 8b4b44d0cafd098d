package event

// A Reason says why a loader is called for a key that may have a value in the cache; see the method
// Stale of runtime.Entry.
type Reason uint8

// The reasons.
const (
	// NoValue says that the cache has no value.
	NoValue Reason = iota
	// Elapsed says that the TTL of the value is over.
	Elapsed
	// Due says that the value is fresh, and is refreshed before its TTL is over.
	Due
	// Invalidated says that somebody has expired the value, by key or by tag.
	Invalidated
	// Unconfirmed says that messages about the value may have been missed, or that its time
	// in memory is over, and that the shared tier does not have it.
	Unconfirmed
)

// String returns the reason in words.
func (r Reason) String() string {
	return [...]string{"no value", "elapsed", "due", "invalidated", "unconfirmed"}[min(r, Unconfirmed)]
}
