package load

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/fill"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/handle"
	"github.com/cachegen/cachegen/runtime/internal/lease"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/tagwatch"
)

// A Load is one load, of one key or of several. Use [Loader.New].
type Load struct {
	Request *Request
	Refresh bool // there is a value, which is served meanwhile
	Batch   flight.Batch
	Place   *background.Place // in the background; held by a refresh, and by a load that nobody waits for any more

	asked      time.Duration // how long its caller has asked the shared tier already
	keys       []*Key
	watch      tagwatch.Watch
	abandon    *time.Timer
	unnumbered bool // the number of tag changes is to be made
	leased     bool // the shared tier gives leases
	leasing    leasing
	holding    lease.Holding
	panic      atomic.Pointer[error] // of the loader or of a driver
}

// New returns a load for a request. asked is how long its caller has asked the shared tier already.
func (l *Loader) New(rq *Request, refresh bool, asked time.Duration) *Load {
	ld := &Load{Request: rq, Refresh: refresh, Place: l.Work.Place(rq.Kind.Function()), asked: asked}
	if l.Leases.On() {
		ld.leased, ld.leasing = true, leasing{l, ld}
		ld.holding.Begin(l.Leases, &ld.leasing, &ld.Batch, rq.Kind.Fingerprint)
	}
	ld.Batch.OnDetach(ld.Place.TryAcquire)
	return ld
}

// Add adds a key whose flight the caller leads. With a refresh, a fresh value that is due
// is no reason not to load.
func (ld *Load) Add(q Query, f *memory.Flight, instead Fallback, w Wait) {
	ld.keys = append(ld.keys, &Key{
		Query: q, flight: f, fallback: instead, refresh: ld.Refresh,
		lease: lease.Key{Name: q.Key, Index: len(ld.keys), Flight: f, Forced: f.Forced, Share: w == Beside, Impatient: w != First},
	})
}

// A Wait is what the caller of a flight has waited for already.
type Wait int

const (
	First  Wait = iota // nothing
	Enough             // others of the key, which have ended without a result
	Beside             // another flight of the key, which has taken too long and goes on
)

// Empty reports whether no key was added.
func (ld *Load) Empty() bool { return len(ld.keys) == 0 }

// Panicked returns the error of the load's panic, or nil.
func (ld *Load) Panicked() error {
	if p := ld.panic.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *Loader) setPanicked(ld *Load, value any) error {
	err := l.Panicked(value, debug.Stack())
	ld.panic.Store(&err)
	return err
}

// A Key is one key of a load, on its way through the stages of the load: what is known
// before, what the loader says, what the flight finishes with, what the tiers keep.
type Key struct {
	Query
	flight   *memory.Flight
	fallback Fallback
	refresh  bool // a fresh value that is due is no reason not to load
	cells    []*stamp.Cell
	// overTagged says that it has more tags than an entry can have. Then cells are without them.
	overTagged bool
	stamps     []entry.StampRef // from before the load
	lease      lease.Key
	change     fill.Change      // of the shared tier
	offered    bool             // its flight has been offered a stale value
	lagging    bool             // what the loader returns may be from before the last change; known before it is called
	tagsLag    bool             // the same, because of tags that are known when it has returned
	asked      []entry.StampRef // when the shared tier was asked what lags; nil if it was not
	began      int64            // of clock.Mono: when the loader was called; 0 if nobody asks

	said    said
	result  Result
	refused error // why the shared tier does not keep the result, if that is about the value
	plan    plan
}

// said is what the loader says of a key: a value, or its error that means there is none,
// or nothing of that.
type said struct {
	value  any
	found  bool
	none   error
	beside *Returned // the value that came with an error
	failed error
	at     int64        // when it has returned; 0 if it has not been called
	handle *handle.Said // what else it says; nil until it has returned
}

// A plan is what the tiers are to keep of a key.
type plan struct {
	older     bool // a tier has something that the loaded item replaces
	keep      bool // the item is worth keeping
	drop      bool // nothing is to be kept, not even what was there
	localOnly bool // only memory is to keep it
	lost      bool // it was not stored, because the key has been changed since its lease was taken
	replaced  bool // the shared tier has nothing older any more
}

// SetValue says that the loader has found a value.
func (k *Key) SetValue(value any) { k.said.value, k.said.found = value, true }

// SetNotFound says that there is no value, which the loader has said with err.
func (k *Key) SetNotFound(err error) { k.said.none = err }

// SetBeside says what the loader has returned together with an error.
func (k *Key) SetBeside(r Returned) { k.said.beside = &r }

// finish gives the flight its result.
func (k *Key) finish(it *entry.Item, err error) {
	k.result, k.lease.Ended = Result{Item: it, Err: err}, true
	k.flight.Finish(it, err, false)
}

// Start begins a load on a goroutine of its own. It gets the values of the leader's
// context, but not its cancellation.
func (l *Loader) Start(ctx context.Context, ld *Load) {
	l.Work.EnterAgain()
	go l.run(ctx, ld)
}

// run runs a load from beginning to end. It gets the values of the leader's context, and
// is cancelled by its own limits, when nobody waits any more, and at the end of the
// store's closing, but not with the leader.
func (l *Loader) run(ctx context.Context, ld *Load) {
	defer l.Work.Leave()
	defer func() {
		for _, k := range ld.keys {
			k.flight.Release()
		}
	}()
	defer ld.Place.Release()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer ld.Batch.OnAbandoned(func(cause error) {
		cancel(cause)
		ld.Place.Leave()
	})()
	defer context.AfterFunc(l.Work.Context, func() { cancel(background.ErrClosed) })()
	defer ld.holding.Close() // when those who wait have their results

	ld.abandon = time.AfterFunc(l.MaxLoadTime, func() {
		for _, k := range ld.keys {
			k.flight.Abandon()
			k.flight.Finish(nil, ErrTimeout, false)
		}
		cancel(ErrTimeout)
		l.leave(ld)
		ld.holding.Close()
	})
	defer ld.abandon.Stop()

	for _, k := range ld.keys {
		k.result.Err = ErrGoexit
	}
	defer func() {
		var panicked error
		if p := recover(); p != nil { // of a driver or codec; a loader's is caught where it is called
			panicked = l.setPanicked(ld, p)
		}
		for _, k := range ld.keys {
			if panicked != nil {
				k.result = Result{Err: panicked}
			}
			k.flight.Finish(k.result.Item, k.result.Err, false)
		}
	}()
	l.runStages(ctx, ld)
}

// leave gives the place in the background back of a load that has exceeded its limit. It is
// called when all flights of the load have finished, so that none is detached afterwards.
func (l *Loader) leave(ld *Load) {
	if last := ld.Place.Leave(); last {
		l.Emit.Warn("loads in the background have exceeded their limit and have not returned, the function is not refreshed until some have",
			ErrTimeout, "cache", ld.Request.Kind.Cache, "loads", l.Work.MaxLeft())
	}
}

// NotBegun says that n keys are not loaded in the background although that was asked for,
// because there is no place.
func (l *Loader) NotBegun(ld *Load, n int) {
	if l.Work.Places() == 0 {
		return
	}
	cache := ld.Request.Kind.Cache
	use, _ := ld.Place.Use()
	l.Emit.Warn("stale values are not loaded in the background, where too many loads run", errNoPlace, "cache", cache, "running", use.Running, "left", use.Left)
	emit.Event(l.Emit, l.Emit.Hooks().Skipped, event.Skip{Store: l.Emit.Store, Cache: cache, Keys: n, Running: use.Running, Left: use.Left})
}

// runStages looks where values might be, loads those that are nowhere, and stores them.
func (l *Loader) runStages(ctx context.Context, ld *Load) {
	ld.watch = l.Tags.Watch()
	tier := budget.Read(ctx, clock.Mono()-int64(ld.asked), l.Remote.Timeout) // for all before the loader
	open := l.lookAgain(tier, ld)
	if len(open) == 0 {
		return
	}
	open, errRemote := l.fromRemote(tier, ld, open)
	switch {
	case len(open) == 0 || l.cancelled(ctx, open):
		return
	case errRemote != nil && !ld.Request.Policy.SuppressL2Errors:
		l.fail(ctx, ld, open, &unreadError{fmt.Errorf("cachegen: %w", errRemote), &ld.Batch})
		return
	case !l.mayLoad(tier, ld, open):
		l.NotBegun(ld, len(open))
		return
	}
	next, errStamps := outcome{ready: open}, errRemote
	if errRemote == nil {
		next, errStamps = l.prepare(tier, ld, open)
	}
	var waiting []*Key // when all others have been loaded and stored
	for {
		waiting = append(waiting, next.waiting...)
		if l.cancelled(ctx, next.ready, next.later, waiting) {
			return
		}
		l.loadAndStore(ctx, ld, next.ready, errStamps == nil)
		if err := ld.Panicked(); err != nil {
			finishAll(err, next.later, waiting)
			return
		}
		switch {
		case len(next.later) > 0:
			next, errStamps = l.prepare(budget.Read(ctx, clock.Mono(), l.Remote.Timeout), ld, next.later)
		case len(waiting) > 0:
			next, errStamps = l.await(ctx, ld, waiting)
			waiting = nil
		default:
			return
		}
	}
}

// cancelled reports whether nobody waits for keys any more, and ends them then.
func (l *Loader) cancelled(ctx context.Context, keys ...[]*Key) bool {
	if ctx.Err() == nil {
		return false
	}
	finishAll(context.Cause(ctx), keys...)
	return true
}

func finishAll(err error, keys ...[]*Key) {
	for _, some := range keys {
		for _, k := range some {
			k.finish(nil, err)
		}
	}
}

// loadAndStore calls the loader for keys, stores what it returns, and ends the keys.
func (l *Loader) loadAndStore(ctx context.Context, ld *Load, keys []*Key, shared bool) {
	if len(keys) == 0 {
		return
	}
	if !shared { // under stamps that only this process knows nobody else could use what is loaded
		l.giveUpLeases(ld, keys)
	}
	for _, k := range keys {
		k.stamps = l.Remote.Refs(k.cells)
	}
	l.beginLagging(keys)
	started := clock.Wall()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.callLoader(ctx, cancel, ld, keys)
	after := budget.Read(context.WithoutCancel(ctx), clock.Mono(), l.Remote.Timeout) // what has been loaded is worth keeping although its caller may be gone
	loaded := make([]*Key, 0, len(keys))                                             // not in place: the hard timeout looks at keys
	for _, k := range keys {
		if k.said.failed != nil {
			l.fail(ctx, ld, []*Key{k}, k.said.failed)
			continue
		}
		l.decide(ld.Request, k, started)
		if wrong := k.said.handle.Wrong; wrong != nil {
			l.keepNothing(ld.Request.Kind, k, wrong)
		}
		loaded = append(loaded, k)
	}
	errResult := l.addResultStamps(after, ld, loaded)
	l.keepNothingLagging(loaded)
	l.prolongStamps(after, loaded)
	l.store(after, ld, loaded, shared && errResult == nil)
	for _, k := range keys {
		k.finish(k.result.Item, k.result.Err)
	}
	l.giveUpLeases(ld, keys)
}

// giveUpLeases gives back the leases of keys that have one.
func (l *Loader) giveUpLeases(ld *Load, keys []*Key) {
	var names []string
	for _, k := range keys {
		if k.lease.Taken {
			names, k.lease.Taken = append(names, k.Key), false
		}
	}
	if len(names) > 0 {
		ld.holding.Release(names...)
	}
}

// mayLoad reports whether the loader is to be called. If all of keys have a stale value that is
// served at once, the load is one in the background, and needs a place there. If it would only
// be waited for a while, it is not begun if too many of the function's are left behind already.
// Then the keys end with their stale values.
func (l *Loader) mayLoad(ctx context.Context, ld *Load, keys []*Key) bool {
	for _, k := range keys {
		if !k.fallback.IfSlow() || !l.Usable(ctx, k.fallback) {
			return true
		}
	}
	if !ld.Refresh && ld.Request.Policy.SoftTimeout == 0 {
		goesOn := false
		for _, k := range keys { // their callers may still be on their way with the stale values
			goesOn = !k.flight.Detach() || goesOn
		}
		if goesOn {
			return true
		}
	} else if _, tooMuch := ld.Place.Use(); ld.Refresh || !tooMuch {
		return true
	}
	for _, k := range keys {
		k.result = Result{Item: k.fallback.Item}
	}
	return false
}

// lookAgain ends the keys that the flight before this one has just loaded, or has just
// failed to load, and returns the others.
func (l *Loader) lookAgain(ctx context.Context, ld *Load) (open []*Key) {
	for _, k := range ld.keys {
		if k.overTagged = ld.Request.Kind.TooMany(0, k.Tags); k.overTagged {
			k.cells = ld.Request.Kind.Required
		} else {
			k.cells = ld.Request.Kind.Cells(k.Tags)
		}
		it := l.Memory.Find(k.Key, k.Hash)
		k.plan.older = it != nil
		if it != nil && !k.flight.Forced && l.Memory.CheckLocal(it, clock.Now()) == memory.Fresh && !(k.refresh && it.Due(clock.Now())) {
			k.finish(it, nil)
			continue
		}
		if !k.flight.Forced && !k.refresh && k.fallback.Item == nil && ld.Request.Policy.ErrorTTL > 0 {
			if err := l.Memory.Failed(ctx, k.Key); err != nil {
				k.finish(nil, err)
				continue
			}
		}
		open = append(open, k)
	}
	return open
}
