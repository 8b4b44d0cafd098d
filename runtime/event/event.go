package event

import (
	"fmt"
	"time"
)

// A Tier is one of the two tiers of a store.
type Tier uint8

// The tiers.
const (
	L1 Tier = iota + 1 // memory
	L2                 // the shared tier
)

// String returns L1 or L2.
func (t Tier) String() string {
	switch t {
	case L1:
		return "L1"
	case L2:
		return "L2"
	}
	return fmt.Sprintf("Tier(%d)", uint8(t))
}

// A Hit is a read that was served from the cache.
type Hit struct {
	Store, Cache, Key string // Cache is the name of the function, or of the ad-hoc cache; Key is the full key
	Tier              Tier
	Stale             bool // the value is a grace value
	NotFound          bool // the cache knows that there is no value
}

// A Miss is a read that the cache had nothing for.
type Miss struct{ Store, Cache, Key string }

// A Load is a loader that has returned.
type Load struct {
	Store, Cache string
	Keys         []string // not to be changed
	Took         time.Duration
	Err          error
	Refresh      bool // there was a value, which is served meanwhile
	Background   bool // no caller waited for it any more, or ever
}

// A Skip is a load in the background that was not begun, or that was not left to run there
// after its callers had been served, because there was no place for its function.
type Skip struct {
	Store, Cache string
	Keys         int // how many are not loaded
	Running      int // loads of the function that run in the background
	Left         int // loads of the function that have been given up, at their time limit or because nobody waits, and have not returned
}

// A Write is a value that has been stored, in one tier at least. A tier that does not take
// the value makes a [Refusal].
type Write struct {
	Store, Cache, Key string
	Loaded            bool // by a load, not by Set
}

// An Invalidation is what has been invalidated: keys, tags, or for Cleared the
// namespace or the cache of that name, or, if neither is given, the whole store.
type Invalidation struct {
	Store            string
	Keys, Tags       []string // not to be changed
	Namespace, Cache string
	Err              error // the shared tier or other processes could not be reached so far
}

// A Message is a message on the bus.
type Message struct {
	Store   string
	Kind    string   // drop, expire, delete stamp, expire stamp, changed
	Targets []string // keys or stamps; not to be changed
	Err     error    // why it could not be published
}

// An Operation is a call of the shared tier's driver.
type Operation struct {
	Store string
	Op    string // read, write, delete, add, swap
	Keys  int    // how many, those of stamps included
	Took  time.Duration
	// Cancelled says that nobody waited for the end of it any more. That tells nothing of the
	// tier: Err is nil.
	Cancelled bool
	Err       error
}

// A BreakerChange is a new state of the shared tier's circuit breaker.
type BreakerChange struct {
	Store string
	State string // closed: operations run; open: none does; half-open: one operation tries
	Only  string // read or write: only these are held back, because the server refuses them; empty: all
	Err   error  // the failure that opened it; nil for other states
}

// Pending says how many invalidations wait for another try.
type Pending struct {
	Store   string
	Pending int
	Err     error // of the last try; nil if it succeeded
}

// A Refusal is a value that a tier does not keep, because of what the value is or how it was
// loaded.
type Refusal struct {
	Store, Cache, Key string
	// Tier is 0 if neither tier keeps the value: it cannot be copied, has too many tags, or
	// its loader has given options that are wrong.
	Tier Tier
	Err  error // why; it wraps drivers.ErrRefused if the value is too large
}

// An Unreadable is an entry of the shared tier that cannot be used.
type Unreadable struct {
	Store, Cache, Key string
	Schema            bool // it was written for another shape of the type, as during a rolling deploy
	Err               error
}
