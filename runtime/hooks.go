package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Hooks are functions that a store calls when something happens, for metrics, logs
// and tests; see [WithHooks] and [LogHooks]. A nil function costs nothing, and calls
// of the others allocate nothing.
//
// They are called by many goroutines at once, by those whose call it is where there
// is one, and hold them up: they should be quick. They may use the store, but what
// they do to it makes events too; L2, Breaker and Unreadable are called in the middle
// of something and must not. A hook that panics is logged.
type Hooks struct {
	// Hit is called for each key that a read has got a value for without waiting for
	// a load, and Miss for each other one.
	Hit  func(HitEvent)
	Miss func(MissEvent)
	// Loaded is called when a loader has returned, before those who wait have what it
	// returned: it must not load the keys that it is told of, which would wait for it.
	Loaded func(LoadEvent)
	// Written is called when a value has been stored: what was loaded, before those who
	// wait have it. Of a store without a memory tier it must not load that key, which
	// would wait for itself.
	Written func(WriteEvent)
	// Deleted, Expired and Cleared are called when entries have been invalidated by
	// this process, each by key, tag or namespace.
	Deleted func(InvalidationEvent)
	Expired func(InvalidationEvent)
	Cleared func(InvalidationEvent)
	// Published and Received are called for messages on the bus.
	Published func(BusEvent)
	Received  func(BusEvent)
	// L2 is called after each operation on the shared tier.
	L2 func(L2Event)
	// Breaker is called when the store begins or ceases to leave its shared tier
	// alone; see [L2CircuitBreakerDuration].
	Breaker func(BreakerEvent)
	// Pending is called when invalidations that did not reach everyone have been
	// queued, carried out, or given up.
	Pending func(PendingEvent)
	// Unreadable is called for an entry of the shared tier that is taken for a miss.
	Unreadable func(UnreadableEvent)
}

// A Tier is one of a store's.
type Tier uint8

// The tiers.
const (
	TierL1 Tier = iota + 1 // memory
	TierL2                 // the shared one
)

// String returns L1 or L2.
func (t Tier) String() string {
	switch t {
	case TierL1:
		return "L1"
	case TierL2:
		return "L2"
	}
	return fmt.Sprintf("Tier(%d)", uint8(t))
}

// A HitEvent is a read that was served from the cache.
type HitEvent struct {
	Store, Cache, Key string // Cache is empty for an ad-hoc one; Key is the full key
	Tier              Tier
	Stale             bool // it is a grace value
	NotFound          bool // what is known is that there is nothing
}

// A MissEvent is a read that the cache had nothing for.
type MissEvent struct{ Store, Cache, Key string }

// A LoadEvent is a loader that has returned.
type LoadEvent struct {
	Store, Cache string
	Keys         []string // not to be changed
	Took         time.Duration
	Err          error
	Refresh      bool // there was a value, which is served meanwhile
	Background   bool // nobody waited any more, or ever
}

// A WriteEvent is a value that has been stored: by Set in each tier that the store has,
// by a load in those that have taken it.
type WriteEvent struct {
	Store, Cache, Key string
	Loaded            bool // by a load, not by Set
}

// An InvalidationEvent is what has been invalidated: keys, tags, or for Cleared the
// namespace or the cache of that name, or, if neither is given, the store.
type InvalidationEvent struct {
	Store            string
	Keys, Tags       []string // not to be changed
	Namespace, Cache string
	Err              error // not everyone could be reached so far
}

// A BusEvent is a message on the bus.
type BusEvent struct {
	Store   string
	Kind    string   // drop, expire, delete stamp, expire stamp
	Targets []string // keys or stamps; not to be changed
	Err     error    // it could not be published
}

// An L2Event is an operation on the shared tier.
type L2Event struct {
	Store string
	Op    string // read, write, delete, add, swap
	Keys  int    // how many, those of stamps included
	Took  time.Duration
	Err   error
}

// A BreakerEvent says whether the shared tier is left alone from now on.
type BreakerEvent struct {
	Store string
	State string // open: left alone; half-open: one operation tries; closed: all is well
}

// A PendingEvent says how many invalidations wait for another try.
type PendingEvent struct {
	Store   string
	Pending int
	Err     error // of the last try; nil if it went well
}

// An UnreadableEvent is an entry that cannot be used.
type UnreadableEvent struct {
	Store, Cache, Key string
	Schema            bool // it is of another shape of the type, as during a rolling deploy
	Err               error
}

// and returns hooks that call those of h and then those of next.
func (h Hooks) and(next Hooks) Hooks {
	return Hooks{
		Hit: both(h.Hit, next.Hit), Miss: both(h.Miss, next.Miss), Loaded: both(h.Loaded, next.Loaded), Written: both(h.Written, next.Written),
		Deleted: both(h.Deleted, next.Deleted), Expired: both(h.Expired, next.Expired), Cleared: both(h.Cleared, next.Cleared),
		Published: both(h.Published, next.Published), Received: both(h.Received, next.Received),
		L2: both(h.L2, next.L2), Breaker: both(h.Breaker, next.Breaker), Pending: both(h.Pending, next.Pending), Unreadable: both(h.Unreadable, next.Unreadable),
	}
}

func both[E any](f, g func(E)) func(E) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(e E) {
		defer g(e) // although f panics
		f(e)
	}
}

// none is where a store without hooks points to.
var none Hooks

// emit calls a hook if there is one.
func emit[E any](s *Store, hook func(E), e E) {
	if hook == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.warn("hook panicked", fmt.Errorf("%v", p))
		}
	}()
	hook(e)
}

// hit tells of an item that was served.
func (c *core) sayHit(it *item, tier Tier, stale bool) {
	s := c.store
	emit(s, s.hooks.Load().Hit, HitEvent{Store: s.name, Cache: c.name, Key: it.key, Tier: tier, Stale: stale, NotFound: it.presence != present})
}

func (c *core) sayMiss(key string) {
	s := c.store
	emit(s, s.hooks.Load().Miss, MissEvent{Store: s.name, Cache: c.name, Key: key})
}

// LogHooks returns hooks that log everything at a level, but failures at least as
// warnings. A nil logger is slog.Default(). Keys are logged: they may be personal data.
func LogHooks(logger *slog.Logger, level slog.Level) Hooks {
	if logger == nil {
		logger = slog.Default()
	}
	log := func(err error, message string, attrs ...slog.Attr) {
		at := level
		if err != nil {
			at = max(at, slog.LevelWarn)
			attrs = append(attrs, slog.Any("err", err))
		}
		logger.LogAttrs(context.Background(), at, "cachegen: "+message, attrs...)
	}
	invalidated := func(message string) func(InvalidationEvent) {
		return func(e InvalidationEvent) {
			log(e.Err, message, slog.String("store", e.Store), slog.Any("keys", e.Keys), slog.Any("tags", e.Tags),
				slog.String("namespace", e.Namespace), slog.String("cache", e.Cache))
		}
	}
	bus := func(message string) func(BusEvent) {
		return func(e BusEvent) {
			log(e.Err, message, slog.String("store", e.Store), slog.String("kind", e.Kind), slog.Any("targets", e.Targets))
		}
	}
	return Hooks{
		Hit: func(e HitEvent) {
			log(nil, "hit", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.String("key", e.Key),
				slog.String("tier", e.Tier.String()), slog.Bool("stale", e.Stale), slog.Bool("not_found", e.NotFound))
		},
		Miss: func(e MissEvent) {
			log(nil, "miss", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.String("key", e.Key))
		},
		Loaded: func(e LoadEvent) {
			log(e.Err, "loaded", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.Any("keys", e.Keys),
				slog.Duration("took", e.Took), slog.Bool("refresh", e.Refresh), slog.Bool("background", e.Background))
		},
		Written: func(e WriteEvent) {
			log(nil, "written", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.String("key", e.Key), slog.Bool("loaded", e.Loaded))
		},
		Deleted: invalidated("deleted"), Expired: invalidated("expired"), Cleared: invalidated("cleared"),
		Published: bus("bus: published"), Received: bus("bus: received"),
		L2: func(e L2Event) {
			log(e.Err, "shared tier", slog.String("store", e.Store), slog.String("op", e.Op), slog.Int("keys", e.Keys), slog.Duration("took", e.Took))
		},
		Breaker: func(e BreakerEvent) {
			log(nil, "circuit breaker", slog.String("store", e.Store), slog.String("state", e.State))
		},
		Pending: func(e PendingEvent) {
			log(e.Err, "pending invalidations", slog.String("store", e.Store), slog.Int("pending", e.Pending))
		},
		Unreadable: func(e UnreadableEvent) {
			log(e.Err, "entry is unreadable", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.String("key", e.Key), slog.Bool("schema", e.Schema))
		},
	}
}
