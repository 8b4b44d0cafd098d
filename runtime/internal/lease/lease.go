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
// the same, but never by a load that holds leases, so that no circle of loads waits for ever. What is not used is given back in the background, again and again until
// it is certain that nothing is left behind, at most until the lease has ended by itself. That
// is bounded, and a store that closes does not wait for repetitions.
//
// One mutex guards what a store holds, another what is to be given back. Neither is held during
// an operation. The package does not load, and does not know what is stored: a [Load] tells it what
// becomes of a key.
package lease

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/budget"
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
		l.origin = fmt.Sprintf("%016x", source())
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

func (l *Leases) newToken(fingerprint uint64) string {
	return fmt.Sprintf("%016x%s%016x%016x", fingerprint, l.origin, l.random(), l.random())
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

// A Holding is the leases of one load. It asks for them and waits for others on the load's
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

// Hold returns a holding that has no lease yet, for a load of what has a fingerprint. It ends with
// Close.
func (l *Leases) Hold(load Load, batch *flight.Batch, fingerprint uint64) *Holding {
	return &Holding{leases: l, load: load, batch: batch, fingerprint: fingerprint, uses: make(map[string]use)}
}

// An answer is what was found out about the lease of a key.
type answer struct {
	taken bool
	drivers.Lease
	known bool // the tier has answered
	later bool // it was not asked for yet
}

// take asks for the leases of keys. An error is why some have no answer: those are not taken.
func (h *Holding) take(ctx context.Context, keys []*Key, want drivers.LeaseRequest) ([]answer, error) {
	answers := make([]answer, len(keys))
	open := h.share(keys, answers)
	if len(open) == 0 {
		return answers, nil
	}
	if err := h.request(ctx, keys, open, want, answers); err != nil {
		return answers, err
	}
	// What this store itself has left behind, or cannot use any more, is in nobody's way.
	var own []int
	byToken := make(map[string][]string)
	for _, i := range open {
		if holder := answers[i].Holder; h.leases.own(holder) {
			own = append(own, i)
			byToken[holder] = append(byToken[holder], keys[i].Name)
		}
	}
	for token, names := range byToken {
		awaited, err := h.leases.remote.Release(ctx, names, token)
		h.leases.tell(names, awaited)
		if err != nil {
			return answers, err
		}
	}
	if len(own) == 0 {
		return answers, nil
	}
	return answers, h.request(ctx, keys, own, want, answers)
}

// share takes those leases that another load of this store has and that may be shared, and
// returns which keys are still open.
func (h *Holding) share(keys []*Key, answers []answer) (open []int) {
	l := h.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, k := range keys {
		if other := l.byKey[k.Name]; k.Share && other != nil && !h.closed {
			other.users++
			h.uses[k.Name] = use{other, k.Flight}
			answers[i].taken = true
			continue
		}
		open = append(open, i)
	}
	if len(open) < len(keys) {
		h.renewAfter(l.TTL / 3)
	}
	return open
}

// request asks the tier for the leases of those keys that are open, some at a time. Where that
// takes so long that they could not be renewed in time, the rest is left for later.
func (h *Holding) request(ctx context.Context, keys []*Key, open []int, want drivers.LeaseRequest, answers []answer) error {
	want.Token, want.TTL = h.leases.newToken(h.fingerprint), h.leases.TTL
	for began := clock.Mono(); len(open) > 0; {
		n := h.leases.remote.WriteChunk(len(open), 0)
		if err := h.requestSome(ctx, keys, open[:n], want, answers); err != nil {
			return err
		}
		if open = open[n:]; len(open) > 0 && clock.Span(began, clock.Mono()) > h.leases.TTL/3 {
			for _, i := range open {
				answers[i].later = true
			}
			break
		}
		budget.Answered(ctx)
	}
	return nil
}

func (h *Holding) requestSome(ctx context.Context, keys []*Key, open []int, want drivers.LeaseRequest, answers []answer) error {
	l, names := h.leases, make([]string, len(open))
	for n, i := range open {
		names[n] = keys[i].Name
	}
	asked := clock.Mono()
	found, err := l.remote.Lease(ctx, names, want)
	l.mu.Lock()
	defer l.mu.Unlock()
	if remote.MayTakeEffect(err) {
		l.giveBack(&back{token: want.Token, keys: names[len(found):], lands: clock.Add(asked, clock.Multiply(2, l.remote.Timeout))})
	}
	var late []string // the load has been given up meanwhile
	for n, f := range found {
		i := open[n]
		answers[i] = answer{Lease: f, known: true}
		switch {
		case !f.Taken:
		case h.closed:
			late = append(late, names[n])
		default:
			taken := &lease{key: names[n], token: want.Token, users: 1, until: clock.Add(asked, l.TTL)}
			l.byKey[names[n]] = taken
			h.uses[names[n]] = use{taken, keys[i].Flight}
			answers[i].taken = true
		}
	}
	if len(late) > 0 {
		l.giveBack(&back{token: want.Token, keys: late})
	}
	h.renewAfter(l.TTL/3 - clock.Span(asked, clock.Mono()))
	return err
}

// renewAfter sees to it that the leases are renewed in a while, or at once. It is called under
// leases.mu.
func (h *Holding) renewAfter(d time.Duration) {
	switch {
	case h.closed || len(h.uses) == 0:
	case h.timer == nil:
		h.timer = time.AfterFunc(max(d, 0), h.renew)
	case d <= 0: // sooner than the others
		h.timer.Reset(0)
	}
}

// renew renews the leases that can still be used, gives back the others, and sees to the next
// time.
func (h *Holding) renew() {
	l := h.leases
	byToken := h.beginRenewal()
	if byToken == nil {
		return
	}
	defer l.work.Leave()
	for token, uses := range byToken {
		keys := make([]string, len(uses))
		for i, u := range uses {
			keys[i] = u.key
		}
		began := clock.Mono()
		has, _ := l.remote.Renew(l.work.Context, keys, token, l.TTL)
		l.mu.Lock()
		for i, has := range has {
			if has {
				uses[i].until = clock.Add(began, l.TTL)
			} else {
				l.end(uses[i].lease)
			}
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !h.closed {
		h.timer.Reset(l.TTL / 3)
	}
}

// beginRenewal returns the leases to be renewed. If there may be some, the caller has entered
// the work of the store; nil says that the holding is closed.
func (h *Holding) beginRenewal() map[string][]use {
	l := h.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.closed || !l.work.EnterUnlessDone() {
		return nil
	}
	byToken := make(map[string][]use)
	var useless []string
	for _, u := range h.uses {
		switch {
		case u.over:
		case u.flight.Poisoned():
			useless = append(useless, u.key)
		default:
			byToken[u.token] = append(byToken[u.token], u)
		}
	}
	h.release(useless...)
	return byToken
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

// A Filled says what became of an item that was to be stored. If it was not stored and there is
// no error, the load does not have the lease any more: its key has been changed, or the load has
// taken longer than it was able to renew the lease.
type Filled struct {
	Stored bool
	Err    error
}

// Fill stores items under the leases of their keys, which end with that. Of an item that has an
// error, the lease is to be released.
func (h *Holding) Fill(ctx context.Context, items []drivers.Item) []Filled {
	filled := make([]Filled, len(items))
	var tokens []string
	byToken := make(map[string][]int)
	leases := make([]*lease, len(items))
	for i, it := range items {
		if leases[i] = h.of(it.Key); leases[i] == nil {
			continue
		}
		token := leases[i].token
		if byToken[token] == nil {
			tokens = append(tokens, token)
		}
		byToken[token] = append(byToken[token], i)
	}
	for _, token := range tokens {
		at := byToken[token]
		err := h.fill(ctx, items, at, leases, filled)
		if len(at) > 1 && errors.Is(err, drivers.ErrRefused) {
			// One that the tier refuses does not keep the others from being stored.
			for _, i := range at {
				if filled[i].Err != nil {
					_ = h.fill(ctx, items, []int{i}, leases, filled)
				}
			}
		}
	}
	return filled
}

// fill stores items that have one token.
func (h *Holding) fill(ctx context.Context, items []drivers.Item, at []int, leases []*lease, filled []Filled) error {
	l, some := h.leases, make([]drivers.Item, len(at))
	for n, i := range at {
		some[n] = items[i]
	}
	fills, err := l.remote.FillLeased(ctx, some, leases[at[0]].token)
	keys, awaited := make([]string, len(fills)), make([]bool, len(fills))
	l.mu.Lock()
	for n, f := range fills {
		keys[n], awaited[n] = some[n].Key, f.Awaited
		filled[at[n]] = Filled{Stored: f.Stored}
		l.end(leases[at[n]])
	}
	l.mu.Unlock()
	for _, i := range at[len(fills):] {
		// Without an answer, who has stood still has as good as lost the lease.
		if l.has(leases[i]) || !remote.MayTakeEffect(err) {
			filled[i] = Filled{Err: err}
		}
	}
	l.tell(keys, awaited)
	return err
}

// tell tells the other processes of those of keys whose leases were awaited.
func (l *Leases) tell(keys []string, awaited []bool) {
	var told []string
	for i, was := range awaited {
		if was {
			told = append(told, keys[i])
		}
	}
	if len(told) > 0 && l.Filled != nil {
		l.Filled(told)
	}
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
	for token, keys := range byToken {
		l.giveBack(&back{token: token, keys: keys})
	}
}

// Close gives back all leases. Nothing is taken, renewed or stored any more.
func (h *Holding) Close() {
	if h == nil {
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
	h.release(slices.Collect(maps.Keys(h.uses))...)
}
