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

// A Hit is a read of a key that was served from the cache.
type Hit struct {
	Store, Cache, Key string // Cache is the name of the function, or of the ad-hoc cache; Key is the full key
	Tier              Tier
	Stale             bool // the value is a grace value
	NotFound          bool // the cache knows that there is no value
}

// A Miss is a read of a key for which the cache has no value.
type Miss struct{ Store, Cache, Key string }

// A Load is a loader that has returned.
type Load struct {
	Store, Cache string
	Keys         []string // not to be changed
	Took         time.Duration
	Err          error
	Refresh      bool // there was a value, which callers got meanwhile
	Background   bool // no caller waited for the end of the load
}

// A Skip is a load in the background that was not begun, because there was no place for one more
// load of its function. It is also a load that was ended for this reason after its callers had
// been served a stale value.
type Skip struct {
	Store, Cache string
	Keys         int // how many are not loaded
	Running      int // loads of the function that run in the background
	Left         int // loads of the function that have been given up, at their time limit or because nobody waits, and have not returned
}

// A Write is a value that at least one tier has stored. If a tier does not take the value, there
// is also a [Refusal].
type Write struct {
	Store, Cache, Key string
	Loaded            bool // by a load, not by Set
}

// An Invalidation says what has been invalidated. For the hooks Deleted and Expired that is Keys
// or Tags. For the hook Cleared it is the namespace or the cache that is named, or, if neither
// is, the whole store.
type Invalidation struct {
	Store            string
	Keys, Tags       []string // not to be changed
	Namespace, Cache string
	Err              error // the shared tier or other processes could not be reached so far
}

// A Message is a message on the bus.
type Message struct {
	Store   string
	Kind    string   // drop, expire, delete stamp, expire stamp, suspect, changed
	Targets []string // keys or stamps, none for suspect; not to be changed
	Err     error    // why it could not be published
}

// An Operation is a call of the driver of the shared tier.
type Operation struct {
	Store string
	Op    string // read, write, delete, add, swap, lease, fill, renew, release
	Keys  int    // how many, those of stamps included
	Took  time.Duration
	// Cancelled says that no caller waited for the end of the operation any more. The operation
	// then says nothing about the tier, and Err is nil.
	Cancelled bool
	Err       error
}

// A BreakerChange is a new state of the shared tier's circuit breaker.
type BreakerChange struct {
	Store string
	State string // closed: operations run; open: none does; half-open: one operation tries
	Only  string // read or write if only these operations are held back, because the server refuses them; empty for all
	Err   error  // the failure that opened the breaker; nil for other states
}

// Pending says how many invalidations are queued because they have not reached the shared tier
// or the other processes.
type Pending struct {
	Store   string
	Pending int
	Err     error // of the last try; nil if it succeeded
}

// Outbox says what became of entries of the outbox that were taken because the process that has
// written them had not carried them out.
type Outbox struct {
	Store    string
	Entries  int
	Attempts int           // how often one of them has been taken, this time included
	Age      time.Duration // how long ago one of them was written
	Err      error         // nil if they were carried out; otherwise they are kept
}

// A Refusal is a value that a tier does not keep, because of what the value is or how it was
// loaded.
type Refusal struct {
	Store, Cache, Key string
	// Tier is 0 if neither tier keeps the value: it cannot be copied, has too many tags, or
	// its loader has given options that are wrong.
	Tier Tier
	Err  error // the reason; wraps drivers.ErrRefused if the value is too large
}

// An Unreadable is an entry of the shared tier that cannot be read. Such an entry counts as a
// miss.
type Unreadable struct {
	Store, Cache, Key string
	Schema            bool // the entry was written for another shape of the type, as during a rolling deploy
	Err               error
}
