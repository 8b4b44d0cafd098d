package memory

import (
	"context"

	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// A Verdict is what an item is worth at a moment. A greater one is worth more.
type Verdict int

// The verdicts.
const (
	// Invalid: it may not be used for anything.
	Invalid Verdict = iota
	// Unverified: its stamps have to be read from the shared tier first.
	Unverified
	// Unconfirmed: it would be stale or fresh, but a message about it may have been
	// missed, or its time in memory is over. The shared tier or the loader has to be
	// asked (see [Memory.ConfirmAll]); it may be served if they fail.
	Unconfirmed
	// Stale: it may be served as a grace value.
	Stale
	// Fresh: it may be served.
	Fresh
)

// CheckLocal says what an item is worth at t, without asking the shared tier.
func (m *Memory) CheckLocal(it *entry.Item, t int64) Verdict {
	epoch := m.stamps.Epoch() // first: a stamp that changes meanwhile moves it
	if t >= it.StaleUntil {
		return Invalid
	}
	verdict, good := Fresh, it.FreshUntil
	for _, ref := range it.Stamps {
		current, trustUntil, ok := ref.Cell.Current()
		switch {
		case !ok, current.Delete != ref.Delete:
			return Invalid
		case current.Expire != ref.Expire:
			verdict = min(verdict, Stale)
		}
		if t >= trustUntil && !m.remote.RefreshInBackground(ref.Cell, trustUntil, t) {
			verdict = Unverified
		}
		good = min(good, trustUntil)
	}
	heard := m.bus.TrustedUntil(it.ConfirmedAt())
	good = min(good, heard, it.RecheckAt, it.DueAt())
	switch {
	case verdict == Unverified:
		return Unverified
	case t >= it.FreshUntil:
		verdict = min(verdict, Stale)
	case verdict == Stale && !it.HasGrace():
		return Invalid
	}
	if it.Generation() != m.stamps.Generation() || t >= heard || verdict == Fresh && t >= it.RecheckAt {
		return Unconfirmed
	}
	if verdict == Fresh && it.Presence != entry.NotFound { // for which the fast path has no error
		it.SetGood(epoch, good)
	}
	return verdict
}

// heard reports whether no message about an item can have been missed at t, or that may
// still be neglected.
func (m *Memory) heard(it *entry.Item, t int64) bool {
	return it.Generation() == m.stamps.Generation() && t < m.bus.TrustedUntil(it.ConfirmedAt())
}

// Check says what an item is worth now, reading stamps from the shared tier if it has to.
// It is never Unverified; nil is Invalid.
func (m *Memory) Check(ctx context.Context, it *entry.Item) Verdict {
	if it == nil {
		return Invalid
	}
	if v := m.CheckLocal(it, clock.Now()); v != Unverified {
		return v
	}
	return m.CheckAll(ctx, []*entry.Item{it})[0]
}

// CheckAll is [Memory.Check] for many items, whose stamps it reads at once, in the time of one
// operation.
func (m *Memory) CheckAll(ctx context.Context, items []*entry.Item) []Verdict {
	return m.checkAll(ctx, clock.Mono(), items)
}

// checkAll is CheckAll whose time counts from began, unless ctx has a budget.
func (m *Memory) checkAll(ctx context.Context, began int64, items []*entry.Item) []Verdict {
	verdicts := make([]Verdict, len(items))
	var cells []*stamp.Cell
	t := clock.Now()
	onlyFallbacks := true // a tier that is slow is worth waiting for if an item is fresh
	for i, it := range items {
		if it == nil {
			continue
		}
		if verdicts[i] = m.CheckLocal(it, t); verdicts[i] == Unverified {
			onlyFallbacks = onlyFallbacks && t >= it.FreshUntil
			for _, ref := range it.Stamps {
				cells = append(cells, ref.Cell)
			}
		}
	}
	if len(cells) == 0 {
		return verdicts
	}
	m.remote.RefreshStamps(budget.Within(ctx, began, m.remote.Timeout), m.remote.ReadLimit(onlyFallbacks), entry.Distinct(cells))
	for i, it := range items {
		if verdicts[i] == Unverified {
			if verdicts[i] = m.CheckLocal(it, clock.Now()); verdicts[i] == Unverified {
				verdicts[i] = Invalid
			}
		}
	}
	return verdicts
}

// ChangedSince reports whether a stamp of an item may have changed after epoch.
func (m *Memory) ChangedSince(it *entry.Item, epoch uint64) bool {
	for _, ref := range it.Stamps {
		if m.stamps.ChangedSince(ref.Cell.Name, epoch) {
			return true
		}
	}
	return false
}
