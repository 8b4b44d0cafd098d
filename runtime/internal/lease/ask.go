package lease

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/lag"
)

const (
	// mostHolders is for how many loads of other processes a load waits, one after the other,
	// that end without a value: a source that fails must not be asked by one process after the
	// other, each of which waits for all before it.
	mostHolders = 3

	// firstLook and lastLook are how long a load waits before it looks whether another process
	// has loaded its keys. It looks sooner when it is told so.
	firstLook, lastLook = 10 * time.Millisecond, 250 * time.Millisecond
)

// A Key is one that a load wants to load. It belongs to the load's goroutine.
type Key struct {
	Name   string
	Index  int // by which the load knows it
	Flight Flight
	Forced bool // the lease is taken from whoever has it
	// Share allows that another load of this store, beside which this one was begun, has the
	// lease, too: the one that ends first stores.
	Share bool
	// Impatient says that nobody is waited for, and that nobody is to look again: where there is
	// no lease, the key is loaded without one.
	Impatient bool
	// Seen is what the tier held when it was asked last, nil if that was nothing. Where the load
	// has the lease, it still holds that or the lease is over; or Seen is nil.
	Seen  []byte
	Taken bool // the load has the lease, or had it
	// Lagging says that nobody gets the lease, because what is loaded may be from before the key's
	// last change.
	Lagging bool
	Ended   bool // nothing is to be loaded any more

	// The process that loads the key.
	holder  string        // its token
	left    time.Duration // for how long it has the lease at most if it does not renew it
	holders int           // how many there have been
}

// A Load is who wants leases. Its methods are called on its own goroutine.
type Load interface {
	// Refreshes reports whether there are values which are served meanwhile: nobody is waited
	// for.
	Refreshes() bool
	// Changed takes over what the tier holds of keys that was not there before, which is Seen. It
	// ends those for which that is the result.
	Changed(ctx context.Context, keys []*Key)
	// Elsewhere ends a key that another process loads, if there is a value to serve meanwhile,
	// or if nobody waits for it.
	Elsewhere(ctx context.Context, k *Key)
	// Waited ends a key that was waited for as long as its load waits, if there is a value to
	// serve.
	Waited(ctx context.Context, k *Key)
	// Again ends a key that has been invalidated before anybody has begun to load it: who wants
	// it looks again.
	Again(k *Key)
	// Cancelled ends a key because of err.
	Cancelled(k *Key, err error)
}

// An Outcome is what is to become of keys whose leases were asked for. Those in none of its lists
// have ended.
type Outcome struct {
	Ready   []*Key // to be loaded now, with a lease or without one
	Waiting []*Key // to be waited for: another process loads them
	Later   []*Key // to be asked for when the others have been loaded: so many take long
}

func (o *Outcome) add(other Outcome) {
	o.Ready = append(o.Ready, other.Ready...)
	o.Waiting = append(o.Waiting, other.Waiting...)
	o.Later = append(o.Later, other.Later...)
}

// Ask asks for the leases of keys.
func (h *Holding) Ask(ctx context.Context, keys []*Key) (all Outcome) {
	var some, blocked []*Key
	for _, k := range keys {
		switch {
		case k.Flight.Poisoned() && k.Impatient: // it is loaded, and not stored
			all.Ready = append(all.Ready, k)
		case k.Flight.Poisoned(): // what is loaded from now on is not from before that
			h.load.Again(k)
		case h.leases.remote.KeyBlocked(k.Name):
			blocked = append(blocked, k)
		default:
			some = append(some, k)
		}
	}
	for _, group := range [][]*Key{some, blocked} {
		if len(group) > 0 {
			all.add(h.ask(ctx, group, len(blocked) > 0 && group[0] == blocked[0]))
		}
	}
	return all
}

// ask is Ask for keys that are all blocked by a change which has not reached the tier, or none of
// which is. What holds the lease of one that is blocked is from before the change, as is what the
// tier holds of it.
func (h *Holding) ask(ctx context.Context, keys []*Key, blocked bool) (all Outcome) {
	want := drivers.LeaseRequest{IfAbsent: true, Await: !h.load.Refreshes()}
	for _, k := range keys {
		want.IfAbsent = want.IfAbsent && k.Seen == nil && !k.Forced && !blocked
		want.Replace = want.Replace || k.Forced || blocked
	}
	if h.leases.HeldBack { // nobody takes the lease of what is held back
		want.Replace = false
	}
	answers, err := h.take(ctx, keys, want)
	if err != nil && ctx.Err() == nil { // what is loaded is not stored in the shared tier
		h.leases.emit.Warn("shared tier: lease", err)
	}
	if !blocked {
		h.changed(ctx, keys, answers)
	}
	var again []*Key
	for i, k := range keys {
		a := &answers[i]
		k.Taken = k.Taken || a.taken
		k.Lagging = k.Lagging || lag.HoldsBack(a.Holder)
		switch {
		case k.Ended:
			h.Release(k.Name)
		case a.later:
			all.Later = append(all.Later, k)
		case a.taken, !a.known, a.Holder != "" && (k.Forced || blocked || !h.worthWaitingFor(a.Holder)):
			all.Ready = append(all.Ready, k)
		case a.Holder == "": // what is there is not what was seen, and is not fresh
			again = append(again, k)
		case h.awaits(ctx, k, a):
			all.Waiting = append(all.Waiting, k)
		case !k.Ended:
			all.Ready = append(all.Ready, k)
		}
	}
	if len(again) > 0 {
		all.add(h.Ask(ctx, again))
	}
	return all
}

// worthWaitingFor reports whether the holder of a token is another process that loads what this
// load would.
func (h *Holding) worthWaitingFor(token string) bool {
	return !h.leases.own(token) && sameKind(token, h.fingerprint)
}

// awaits reports whether a key that another process loads is to be waited for. If not, it may have
// ended.
func (h *Holding) awaits(ctx context.Context, k *Key, a *answer) bool {
	if k.left = a.Left; k.holder != a.Holder {
		k.holder = a.Holder
		k.holders++
	}
	h.load.Elsewhere(ctx, k)
	return !k.Ended && !k.Impatient && k.holders <= mostHolders
}

// changed has the load take over what the tier holds that was not there when it was asked before.
func (h *Holding) changed(ctx context.Context, keys []*Key, answers []answer) {
	var others []*Key
	for i, k := range keys {
		a := &answers[i]
		if !a.known || h.leases.remote.KeyBlocked(k.Name) {
			continue
		}
		if a.Value != nil && !bytes.Equal(a.Value, k.Seen) {
			others = append(others, k)
		}
		k.Seen = a.Value
	}
	if len(others) > 0 {
		h.load.Changed(ctx, others)
	}
}

// Await waits until other processes have loaded keys, or until some are to be loaded by this
// one. most is how long the load waits, however often. It must not hold a lease: two that hold one
// could wait for each other.
func (h *Holding) Await(ctx context.Context, waiting []*Key, most time.Duration) Outcome {
	names := make([]string, len(waiting))
	for i, k := range waiting {
		names[i] = k.Name
	}
	woken, stop := h.leases.waiters.Wait(names)
	defer stop()
	hurry := h.batch.Await()
	defer h.batch.Resume()
	if h.waitUntil == 0 {
		h.waitUntil = clock.Add(clock.Mono(), most)
	}
	delay := firstLook
	timer := time.NewTimer(h.nextLook(waiting, delay))
	defer timer.Stop()
	for {
		over := false
		select {
		case <-woken:
		case <-timer.C:
			delay = min(2*delay, lastLook)
			over = clock.Mono() >= h.waitUntil
		case <-hurry:
			over = true
		case <-ctx.Done():
			for _, k := range waiting {
				h.load.Cancelled(k, context.Cause(ctx))
			}
			return Outcome{}
		}
		waiting = slices.DeleteFunc(waiting, func(k *Key) bool {
			if k.Flight.Poisoned() {
				h.load.Again(k)
			} else if over {
				h.load.Waited(ctx, k)
			}
			return k.Ended
		})
		if over {
			return Outcome{Ready: waiting}
		}
		all := h.Ask(budget.Read(ctx, clock.Mono(), h.leases.remote.Timeout), waiting)
		if waiting = all.Waiting; len(all.Ready)+len(all.Later) > 0 || len(waiting) == 0 {
			return all
		}
		timer.Reset(h.nextLook(waiting, delay))
	}
}

// nextLook returns how long to wait before the next look: some part of delay, so that processes
// do not look at the same time, and no longer than until a lease has ended by itself.
func (h *Holding) nextLook(waiting []*Key, delay time.Duration) time.Duration {
	d := delay/2 + time.Duration(h.leases.random.Below(waiting[0].Name, int64(delay/2)+1))
	for _, k := range waiting {
		d = min(d, max(k.left, firstLook))
	}
	return min(d, clock.Span(clock.Mono(), h.waitUntil))
}
