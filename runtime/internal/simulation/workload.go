package simulation

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/simulation/history"
)

// operate does one operation, drawn from rng, in one process.
func (w *world) operate(rng *rand.Rand) {
	time.Sleep(time.Duration(rng.Int64N(int64(w.pause))))
	w.operations.Add(1)
	n := w.nodes[rng.IntN(len(w.nodes))]
	row := rng.IntN(w.rows)
	ctx, cancel := w.drawContext(rng)
	defer cancel()
	c := w.drawCall(rng)
	switch of100 := rng.IntN(100); {
	case of100 < 12:
		n.get(ctx, row)
	case of100 < 42:
		n.getOrSet(ctx, row, c)
	case of100 < 48:
		n.getMany(ctx, w.drawRows(rng, row))
	case of100 < 58:
		n.getOrSetMany(ctx, w.drawRows(rng, row), c)
	case of100 < 62:
		c.forced = true
		n.getOrSet(ctx, row, c)
	case of100 < 65:
		n.pull(ctx, row)
	case of100 < 67:
		_, _ = n.cache(row).Has(ctx, row)
	case of100 < 72:
		n.set(ctx, row, c)
	case of100 < 80:
		n.write(ctx, rng, row)
	default:
		i, do := n.drawInvalidation(rng, row)
		n.invalidate(i, func() error { return do(ctx) })
	}
}

// drawContext draws the context of a caller, who may leave early.
func (w *world) drawContext(rng *rand.Rand) (context.Context, context.CancelFunc) {
	if rng.IntN(1000) < w.impatient {
		return context.WithTimeout(context.Background(), time.Duration(rng.Int64N(int64(6*time.Millisecond))))
	}
	return context.Background(), func() {}
}

func (w *world) drawCall(rng *rand.Rand) call {
	const ms = time.Millisecond
	c := call{
		ttl:          pick(rng, 5*ms, 20*ms, time.Hour, time.Hour, runtime.Forever, 0),
		grace:        pick(rng, 0, 10*ms, time.Hour),
		graceBackoff: pick(rng, 0, 3*ms),
		softTimeout:  pick(rng, 0, 2*ms),
		errorTTL:     pick(rng, 0, 20*ms),
		notFoundTTL:  pick(rng, 0, 10*ms, time.Hour),
		loader: loader{
			delay:          time.Duration(rng.Int64N(int64(6 * ms))),
			ignoresContext: rng.IntN(4) == 0,
			fails:          rng.IntN(1000) < w.loadsFail,
			findsNothing:   rng.IntN(1000) < w.loadsFindNothing,
			panics:         rng.IntN(1000) < w.loadsPanic,
		},
	}
	if w.hardTimeout {
		c.hardTimeout = pick(rng, 0, 3*ms)
	}
	if w.lockTimeout {
		c.lockTimeout = pick(rng, 0, 2*ms)
	}
	return c
}

// drawRows draws row and some others that are in the same cache and in use.
func (w *world) drawRows(rng *rand.Rand, row int) []int {
	rows := []int{row}
	for other := range w.rows {
		if other != row && isInner(other) == isInner(row) && rng.IntN(2) == 0 {
			rows = append(rows, other)
		}
	}
	return rows
}

// drawInvalidation draws an operation that invalidates row, and says what else it does.
func (n *node) drawInvalidation(rng *rand.Rand, row int) (i history.Invalidation, do func(context.Context) error) {
	i = history.Invalidation{Process: n.id, Rows: []int{row}}
	group := groupTag(row % n.groups)
	ofGroup := rowsWhere(func(other int) bool { return groupTag(other%n.groups) == group })
	ofCache := rowsWhere(func(other int) bool { return isInner(other) == isInner(row) })
	all := rowsWhere(func(int) bool { return true })
	switch of86 := rng.IntN(86); {
	case of86 < 20:
		i.Op, i.ByKey = "Delete", true
		do = func(ctx context.Context) error { return n.cache(row).Delete(ctx, row) }
	case of86 < 26:
		i.Op, i.ByKey, i.Rows = "DeleteMany", true, n.drawRows(rng, row)
		do = func(ctx context.Context) error { return n.cache(row).DeleteMany(ctx, i.Rows...) }
	case of86 < 36:
		i.Op, i.ByKey, i.Expires = "Expire", true, true
		do = func(ctx context.Context) error { return n.cache(row).Expire(ctx, row) }
	case of86 < 47:
		i.Op = "DeleteByTag of the key"
		do = func(ctx context.Context) error { return n.store.DeleteByTag(ctx, rowTag(row)) }
	case of86 < 60:
		i.Op, i.ByResultTag, i.Rows = "DeleteByTag of the result", true, ofGroup
		do = func(ctx context.Context) error { return n.store.DeleteByTag(ctx, "other", group) }
	case of86 < 65:
		i.Op, i.Expires = "ExpireByTag of the key", true
		do = func(ctx context.Context) error { return n.store.ExpireByTag(ctx, rowTag(row)) }
	case of86 < 72:
		i.Op, i.Expires, i.ByResultTag, i.Rows = "ExpireByTag of the result", true, true, ofGroup
		do = func(ctx context.Context) error { return n.store.ExpireByTag(ctx, group) }
	case of86 < 76:
		i.Op, i.Rows = "Cache.Clear", ofCache
		do = n.cache(row).Clear
	case of86 < 80:
		i.Op, i.Rows = "Namespace.Clear", all
		do = n.store.Namespace("rows").Clear
	case of86 < 83:
		i.Op, i.Rows = "Clear of the inner namespace", rowsWhere(isInner)
		do = n.store.Namespace("rows").Namespace("inner").Clear
	default:
		i.Op, i.Rows = "Store.Clear", all
		do = n.store.Clear
	}
	return i, do
}
