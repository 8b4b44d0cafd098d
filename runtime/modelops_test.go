package runtime_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cachegen/cachegen/runtime"
)

// calls are what one call says, and what its loader does.
type calls struct {
	ttl, grace, backoff, soft, hard, lock, errorTTL, missingTTL time.Duration

	tags     []runtime.Tag
	forced   bool
	number   int           // what the loader returns
	delay    time.Duration // of the loader
	stubborn bool          // it does not heed its context

	fails, missing, panics bool
}

func (c calls) options() []runtime.CallOption {
	o := []runtime.CallOption{
		runtime.TTL(c.ttl), runtime.Grace(c.grace), runtime.Timeout(c.soft), runtime.HardTimeout(c.hard),
		runtime.LockTimeout(c.lock), runtime.ErrorTTL(c.errorTTL), runtime.NotFoundTTL(c.missingTTL),
		runtime.GraceBackoff(c.backoff), runtime.Tags(c.tags...),
	}
	if c.forced {
		o = append(o, runtime.ForceFresh())
	}
	return o
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

func (r *round) drawCall(rng *rand.Rand) calls {
	const ms = time.Millisecond
	c := calls{
		ttl:        pick(rng, 5*ms, 20*ms, time.Hour, time.Hour, runtime.Forever, 0),
		grace:      pick(rng, 0, 10*ms, time.Hour),
		soft:       pick(rng, 0, 2*ms),
		errorTTL:   pick(rng, 0, 20*ms),
		missingTTL: pick(rng, 0, 10*ms, time.Hour),
		backoff:    pick(rng, 0, 3*ms),
		delay:      time.Duration(rng.Int64N(int64(6 * ms))),
		stubborn:   rng.IntN(4) == 0,
		fails:      rng.IntN(1000) < r.fails,
		missing:    rng.IntN(1000) < r.missing,
		panics:     rng.IntN(1000) < r.panics,
	}
	if r.hard {
		c.hard = pick(rng, 0, 3*ms)
	}
	if r.lock {
		c.lock = pick(rng, 0, 2*ms)
	}
	return c
}

// step does one random thing in one random process.
func (r *round) step(rng *rand.Rand) {
	time.Sleep(time.Duration(rng.Int64N(int64(r.pace))))
	r.ops.Add(1)
	n := r.nodes[rng.IntN(len(r.nodes))]
	row := rng.IntN(r.spread)
	ctx, cancel := r.caller(rng)
	defer cancel()
	c := r.drawCall(rng)
	switch op := rng.IntN(100); {
	case op < 12:
		n.get(ctx, row)
	case op < 42:
		n.getOrSet(ctx, row, c)
	case op < 48:
		n.getMany(ctx, n.rowsBeside(rng, row))
	case op < 58:
		n.getOrSetMany(ctx, n.rowsBeside(rng, row), c)
	case op < 62:
		c.forced = true
		n.getOrSet(ctx, row, c)
	case op < 65:
		n.pull(ctx, row)
	case op < 67:
		_, _ = n.cache(row).Has(ctx, row)
	default:
		n.change(ctx, rng, row, c)
	}
}

// rowsBeside returns some rows of the cache that row is in, row among them.
func (n *node) rowsBeside(rng *rand.Rand, row int) []int {
	from, to := 0, outerRows
	if row >= outerRows {
		from, to = outerRows, modelRows
	}
	rows := []int{row}
	for other := from; other < to; other++ {
		if other != row && other < n.spread && rng.IntN(2) == 0 {
			rows = append(rows, other)
		}
	}
	return rows
}

func rowsWhere(keep func(row int) bool) (rows []int) {
	for row := range modelRows {
		if keep(row) {
			rows = append(rows, row)
		}
	}
	return rows
}

// change invalidates row in one of the ways there are.
func (n *node) change(ctx context.Context, rng *rand.Rand, row int, given calls) {
	c := change{process: n.process, rows: []int{row}}
	var do func() error
	everything := func(int) bool { return true }
	group := groupTag(row % n.groups)
	likeRow := func(other int) bool { return groupTag(other%n.groups) == group }
	switch op := rng.IntN(100); {
	case op < 20:
		c.op, c.byKey = "Delete", true
		do = func() error { return n.cache(row).Delete(ctx, row) }
	case op < 26:
		c.op, c.byKey, c.rows = "DeleteMany", true, n.rowsBeside(rng, row)
		do = func() error { return n.cache(row).DeleteMany(ctx, c.rows...) }
	case op < 36:
		c.op, c.byKey, c.soft = "Expire", true, true
		do = func() error { return n.cache(row).Expire(ctx, row) }
	case op < 50:
		n.set(ctx, row, given)
		return
	case op < 61:
		c.op = "DeleteByTag of the row"
		do = func() error { return n.store.DeleteByTag(ctx, rowTag(row)) }
	case op < 74:
		c.op, c.byResult, c.rows = "DeleteByTag of the result", true, rowsWhere(likeRow)
		do = func() error { return n.store.DeleteByTag(ctx, "other", group) }
	case op < 79:
		c.op, c.soft = "ExpireByTag of the row", true
		do = func() error { return n.store.ExpireByTag(ctx, rowTag(row)) }
	case op < 86:
		c.op, c.soft, c.byResult, c.rows = "ExpireByTag of the result", true, true, rowsWhere(likeRow)
		do = func() error { return n.store.ExpireByTag(ctx, group) }
	case op < 90:
		c.op, c.rows = "Cache.Clear", rowsWhere(func(other int) bool { return other < outerRows == (row < outerRows) })
		do = func() error { return n.cache(row).Clear(ctx) }
	case op < 94:
		c.op, c.rows = "Namespace.Clear", rowsWhere(everything)
		do = func() error { return n.store.Namespace("rows").Clear(ctx) }
	case op < 97:
		c.op, c.rows = "Namespace.Namespace.Clear", rowsWhere(func(other int) bool { return other >= outerRows })
		do = func() error { return n.store.Namespace("rows").Namespace("inner").Clear(ctx) }
	default:
		c.op, c.rows = "Store.Clear", rowsWhere(everything)
		do = func() error { return n.store.Clear(ctx) }
	}
	n.carryOut(c, do)
}

// carryOut records a change around do.
func (n *node) carryOut(c change, do func() error) {
	begun := n.changed(c)
	err := do()
	n.ended(begun, err)
	var failed *runtime.InvalidationError
	if err != nil && !errors.As(err, &failed) {
		n.fault("%s: %v, want nil or an InvalidationError", c.op, err)
	}
}

func (n *node) set(ctx context.Context, row int, c calls) {
	v := n.begin(loaded{row: row, process: n.process, ttl: c.ttl, grace: c.grace, set: true})
	n.carryOut(change{op: "Set", process: n.process, rows: []int{row}, byKey: true}, func() error {
		return n.cache(row).Set(ctx, row, modelRow{row, v.made}, c.options()...)
	})
	n.end(v)
}

func (n *node) pull(ctx context.Context, row int) {
	r := reading{op: "Pull", process: n.process, row: row}
	c := n.changed(change{op: "Pull", process: n.process, rows: []int{row}, byKey: true})
	r.start, r.from = c.start, c.from
	v, ok, err := n.cache(row).Pull(ctx, row)
	if ok {
		r.got, r.pulled = v.Made, err == nil
		n.read(r)
		n.ended(c, err)
	} else {
		n.promisesNothing(c)
	}
}

func (n *node) get(ctx context.Context, row int) {
	r := reading{op: "Get", process: n.process, row: row}
	r.start, r.from = n.moment()
	v, ok, err := n.cache(row).Get(ctx, row)
	if ok {
		r.got = v.Made
		n.read(r)
	}
	if err != nil && ctx.Err() == nil {
		n.fault("Get: %v", err)
	}
}

func (n *node) getMany(ctx context.Context, rows []int) {
	r := reading{op: "GetMany", process: n.process}
	r.start, r.from = n.moment()
	found, err := n.cache(rows[0]).GetMany(ctx, rows)
	for row, v := range found {
		r.row, r.got = row, v.Made
		n.read(r)
	}
	if err != nil && ctx.Err() == nil {
		n.fault("GetMany: %v", err)
	}
}
