package load

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/guard"
	"github.com/cachegen/cachegen/runtime/internal/handle"
	"github.com/cachegen/cachegen/runtime/internal/lease"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// refreshPause is how long a stale value is served before it is asked about again which another
// process is loading.
const refreshPause = 250 * time.Millisecond

// An outcome is which keys are to be loaded now, which are to be waited for because another
// process loads them, and for which the others are to be loaded first.
type outcome struct{ ready, waiting, later []*Key }

func (ld *Load) outcome(o lease.Outcome) outcome {
	return outcome{ld.keysOf(o.Ready), ld.keysOf(o.Waiting), ld.keysOf(o.Later)}
}

// prepare does what a load needs in the shared tier before it calls the loader, at the same time:
// it makes stamps that are missing, and takes the leases of keys. The error says that stamps are
// known to this process alone.
func (l *Loader) prepare(ctx context.Context, ld *Load, keys []*Key) (next outcome, errStamps error) {
	lagging, keys := l.splitLagging(keys)
	next.ready = keys
	defer func() { next.ready = append(lagging, next.ready...) }()
	var tasks []func() error
	if ld.leased && !ld.Request.Policy.SkipL2Write && len(keys) > 0 {
		tasks = append(tasks, func() error {
			next = ld.outcome(ld.holding.Ask(ctx, leasesOf(keys)))
			return nil
		})
	}
	if l.Lag != nil || !l.Remote.StampsMade(cellsOf(keys), ld.Request.Policy.Life()) {
		tasks = append(tasks, func() error {
			errStamps = l.makeStamps(ctx, ld, keys)
			return nil
		})
	}
	if ld.unnumbered { // the first time
		tasks = append(tasks, func() error {
			ld.watch.SetNumber(ctx, nil)
			return nil
		})
	}
	ld.unnumbered = false
	_ = guard.Together(tasks)
	return next, errStamps
}

func cellsOf(keys []*Key) []*stamp.Cell {
	var cells []*stamp.Cell
	for _, k := range keys {
		cells = append(cells, k.cells...)
	}
	return cells
}

func leasesOf(keys []*Key) []*lease.Key {
	all := make([]*lease.Key, len(keys))
	for i, k := range keys {
		all[i] = &k.lease
	}
	return all
}

func (ld *Load) keysOf(leases []*lease.Key) []*Key {
	keys := make([]*Key, len(leases))
	for i, k := range leases {
		keys[i] = ld.keys[k.Index]
	}
	return keys
}

// await waits for keys that other processes load.
func (l *Loader) await(ctx context.Context, ld *Load, waiting []*Key) (next outcome, errStamps error) {
	most := time.Duration(clock.Never)
	for _, d := range []time.Duration{ld.Request.Policy.LockTimeout, ld.Request.Policy.HardTimeout} {
		if d > 0 {
			most = min(most, d)
		}
	}
	if !ld.Refresh && handle.Inside(ctx) { // the other process may wait for the loader that has asked for the keys
		most = min(most, l.Leases.TTL)
	}
	next = ld.outcome(ld.holding.Await(ctx, leasesOf(waiting), most))
	if len(next.ready) > 0 { // it may be long ago that their stamps were read
		errStamps = l.makeStamps(budget.Read(ctx, clock.Mono(), l.Remote.Timeout), ld, next.ready)
	}
	return next, errStamps
}

// A leasing is a load as it tells what becomes of keys whose leases it wants.
type leasing struct {
	*Loader
	load *Load
}

var _ lease.Load = (*leasing)(nil)

// Refreshes implements lease.Load.
func (l *leasing) Refreshes() bool { return l.load.Refresh }

// Changed implements lease.Load.
func (l *leasing) Changed(ctx context.Context, leases []*lease.Key) {
	keys, kind := l.load.keysOf(leases), l.load.Request.Kind
	names, data := make([]string, len(keys)), make([][]byte, len(keys))
	for i, k := range keys {
		names[i], data[i] = k.Key, k.lease.Seen
		k.plan.older = true
	}
	items, err := l.Remote.DecodeEntries(ctx, kind, &l.load.Request.Policy, names, data)
	if err != nil {
		if ctx.Err() == nil {
			l.Emit.Warn("shared tier: read", err)
		}
		return
	}
	for i, k := range keys {
		l.finishFromRemote(kind, k, items[i])
	}
}

// Elsewhere implements lease.Load.
func (l *leasing) Elsewhere(ctx context.Context, leased *lease.Key) {
	k := l.load.keys[leased.Index]
	l.load.abandon.Reset(l.MaxLoadTime) // it is the other process that loads
	switch {
	case k.fallback.IfSlow() && (l.load.Refresh || l.load.Request.Policy.SoftTimeout == 0) && l.Usable(ctx, k.fallback):
		l.Memory.BackOff(k.Hash, k.fallback.Item, refreshPause)
		k.finish(k.fallback.Item, nil)
	case l.load.Refresh: // for those who have joined it
		k.finish(nil, ErrAgain)
	}
}

// Waited implements lease.Load.
func (l *leasing) Waited(ctx context.Context, leased *lease.Key) {
	if k := l.load.keys[leased.Index]; k.fallback.IfSlow() && l.Usable(ctx, k.fallback) {
		k.finish(k.fallback.Item, nil)
	}
}

// Again implements lease.Load.
func (l *leasing) Again(leased *lease.Key) { l.load.keys[leased.Index].finish(nil, ErrAgain) }

// Cancelled implements lease.Load.
func (l *leasing) Cancelled(leased *lease.Key, err error) {
	l.load.keys[leased.Index].finish(nil, err)
}
