// Package lease holds the leases that this process has in the shared tier.
//
// A lease is the right to store what has been loaded for a key. One process at a time has it,
// and whoever changes the key ends it: so each value is loaded once, and nothing is stored that
// was loaded before a change (see drivers.Leaser). A [Holding] is the leases of one load. It
// renews them while the load runs, stores under them, and gives back what was not used.
//
// What the package promises: a token is drawn anew for each attempt, and nothing is stored under
// one whose attempt had an unclear outcome. A lease lasts for a short while ([Leases.TTL])
// unless it is renewed, and is renewed by a load that can still store something, for no longer
// than it has its key. A key whose lease another process has is waited for, if that process loads
// the same, but never by a load that holds leases, so that no circle of loads waits for ever.
// What is not used is given back in the background, again and again until it is certain that
// nothing is left behind, at most until the lease has ended by itself. That is bounded, and a
// store that closes does not wait for repetitions.
//
// One mutex guards what a store holds, another what is to be given back. Neither is held during
// an operation. The package does not load, and does not know what is stored: a [Load] tells it what
// becomes of a key.
package lease

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/random"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/waiters"
)

// shortest is how long a lease lasts at least: whoever renews it may be scheduled late.
const shortest = time.Second

// Leases are those of one store. Use [New].
type Leases struct {
	// TTL is how long a lease lasts that is not renewed.
	TTL time.Duration
	// HeldBack says that leases may be held back by those who change keys (see package lag): then
	// no load takes the lease of a key from whoever has it.
	HeldBack bool
	// Filled tells the other processes that leases of keys have ended which they wait for. It
	// returns at once. If it is nil, they find out by themselves.
	Filled func(keys []string)

	remote  *remote.Tier
	waiters *waiters.Waiters
	work    *background.Work
	emit    *emit.Emitter
	random  random.Source
	origin  string // tells the tokens of this store from those of others

	mu      sync.Mutex
	byKey   map[string]*lease // of leases that two loads may share: the last one of each key
	returns returns
}

// New returns the leases of a store. Waiters are those who wait for keys.
func New(r *remote.Tier, w *waiters.Waiters, work *background.Work, e *emit.Emitter, source random.Source) *Leases {
	l := &Leases{TTL: max(r.Timeout, shortest), remote: r, waiters: w, work: work, emit: e, random: source}
	if l.On() {
		l.origin = fmt.Sprintf("%016x", source("lease"))
		l.byKey = make(map[string]*lease)
	}
	return l
}

// On reports whether the tier gives leases.
func (l *Leases) On() bool { return l.remote.CanLease() }

// Stop ends what is still to be given back: those leases end by themselves.
func (l *Leases) Stop() { l.returns.stop() }

// A token is 16 hexadecimal digits for what is loaded, 16 for whose it is, and 32 that are
// drawn for each attempt.
const (
	kindDigits   = 16
	originDigits = 16
	tokenDigits  = kindDigits + originDigits + 32
)

func (l *Leases) newToken(fingerprint uint64, key string) string {
	return fmt.Sprintf("%016x%s%016x%016x", fingerprint, l.origin, l.random(key), l.random(key))
}

// sameKind reports whether the holder of a token loads what has a fingerprint.
func sameKind(token string, fingerprint uint64) bool {
	return len(token) == tokenDigits && token[:kindDigits] == fmt.Sprintf("%016x", fingerprint)
}

// own reports whether a token is of this store.
func (l *Leases) own(token string) bool {
	return len(token) == tokenDigits && strings.HasPrefix(token[kindDigits:], l.origin)
}

// A lease is one that this store has, as far as it knows. Leases.mu guards it.
type lease struct {
	key, token string
	users      int   // holdings that have it
	over       bool  // it was used, or the key was changed, or the tier has forgotten it
	until      int64 // of clock.Mono: when it ends, if it is not renewed
}

// A Flight is what a lease is held for.
type Flight interface {
	// Poisoned reports whether nothing that is loaded for it may be stored.
	Poisoned() bool
}

// A Holding is the leases of one load, from Begin on. The zero Holding is that of a load that has
// none. It asks for them and waits for others on the load's
// goroutine; its other methods may be called by several.
type Holding struct {
	leases      *Leases
	load        Load
	batch       *flight.Batch
	fingerprint uint64
	waitUntil   int64 // of clock.Mono: for how long the load waits for other processes; 0 if it has not yet

	// Guarded by leases.mu.
	uses   map[string]use
	timer  *time.Timer // of the next renewal; nil if there was no lease yet
	closed bool
}

type use struct {
	*lease
	flight Flight
}

// Begin begins a holding that has no lease yet, for a load of what has a fingerprint. It ends with
// Close.
func (h *Holding) Begin(l *Leases, load Load, batch *flight.Batch, fingerprint uint64) {
	h.leases, h.load, h.batch, h.fingerprint = l, load, batch, fingerprint
}

// use says that the load has a lease. It is called under leases.mu.
func (h *Holding) use(one *lease, f Flight) {
	if h.uses == nil {
		h.uses = make(map[string]use)
	}
	h.uses[one.key] = use{one, f}
}

// end says that a lease is over. It is called under mu.
func (l *Leases) end(one *lease) {
	one.over = true
	if l.byKey[one.key] == one {
		delete(l.byKey, one.key)
	}
}

// has reports whether a lease has not ended, by the clock of this process.
func (l *Leases) has(one *lease) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !one.over && clock.Mono() < one.until
}

// Has reports whether the load has the lease of key, as far as is known.
func (h *Holding) Has(key string) bool { return h.of(key) != nil }

func (h *Holding) of(key string) *lease {
	h.leases.mu.Lock()
	defer h.leases.mu.Unlock()
	if u, ok := h.uses[key]; ok && !u.over {
		return u.lease
	}
	return nil
}

// Release gives back the leases of keys, those that the load has.
func (h *Holding) Release(keys ...string) {
	h.leases.mu.Lock()
	defer h.leases.mu.Unlock()
	h.release(keys...)
}

// release is called under leases.mu.
func (h *Holding) release(keys ...string) {
	l := h.leases
	byToken := make(map[string][]string)
	for _, key := range keys {
		u, ok := h.uses[key]
		if !ok {
			continue
		}
		delete(h.uses, key)
		if u.users--; u.users == 0 && !u.over {
			l.end(u.lease)
			byToken[u.token] = append(byToken[u.token], key)
		}
	}
	for _, token := range slices.Sorted(maps.Keys(byToken)) {
		l.giveBack(&back{token: token, keys: byToken[token]})
	}
}

// Close gives back all leases. Nothing is taken, renewed or stored any more.
func (h *Holding) Close() {
	if h.leases == nil {
		return
	}
	h.leases.mu.Lock()
	defer h.leases.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	if h.timer != nil {
		h.timer.Stop()
	}
	h.release(slices.Sorted(maps.Keys(h.uses))...)
}
