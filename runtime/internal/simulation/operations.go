package simulation

import (
	"context"
	"errors"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/simulation/history"
)

// The operations of a node do what a caller does and record it: when the call was made,
// what it returned, and when. What no store may return is reported at once.

// invalidate records an invalidation, which do is.
func (n *node) invalidate(i history.Invalidation, do func() error) {
	begun := n.BeginInvalidation(i)
	err := do()
	n.EndInvalidation(begun, err)
	var failed *runtime.InvalidationError
	if err != nil && !errors.As(err, &failed) {
		n.report("%s: %v, want nil or an InvalidationError", i.Op, err)
	}
}

func (n *node) set(ctx context.Context, row int, c call) {
	v := n.BeginVersion(history.Version{Row: row, Process: n.id, TTL: c.ttl, Grace: c.grace, Set: true})
	n.invalidate(history.Invalidation{Op: "Set", Process: n.id, Rows: []int{row}, ByKey: true}, func() error {
		return n.cache(row).Set(ctx, row, n.rowOf(v), c.stored()...)
	})
	n.EndVersion(v)
}

// rowOf returns the row of a version.
func (n *node) rowOf(v *history.Version) tableRow {
	return tableRow{ID: v.Row, Version: v.Number(), Group: v.Row % n.groups}
}

func (n *node) pull(ctx context.Context, row int) {
	i := n.BeginInvalidation(history.Invalidation{Op: "Pull", Process: n.id, Rows: []int{row}, ByKey: true})
	r := history.Read{Span: i.Span, Op: "Pull", Process: n.id, Row: row}
	v, ok, err := n.cache(row).Pull(ctx, row)
	if !ok {
		n.EndUncertain(i)
		return
	}
	r.Version, r.Pulled = v.Version, err == nil
	n.EndRead(r)
	n.EndInvalidation(i, err)
}

func (n *node) get(ctx context.Context, row int) {
	r := n.beginRead("Get", row)
	v, ok, err := n.cache(row).Get(ctx, row)
	if ok {
		r.Version = v.Version
		n.EndRead(r)
	}
	if err != nil && ctx.Err() == nil {
		n.report("Get: %v", err)
	}
}

func (n *node) getMany(ctx context.Context, rows []int) {
	r := n.beginRead("GetMany", rows[0])
	found, err := n.cache(rows[0]).GetMany(ctx, rows)
	n.endFound(r, rows, found)
	if err != nil && ctx.Err() == nil {
		n.report("GetMany: %v", err)
	}
}

// endFound records what a caller of several rows got.
func (n *node) endFound(r history.Read, rows []int, found map[int]tableRow) {
	for _, row := range rows {
		if v, ok := found[row]; ok {
			r.Row, r.Version = row, v.Version
			n.EndRead(r)
		}
	}
}

func (n *node) beginRead(op string, row int) history.Read {
	return history.Read{Span: history.Span{Start: n.Tick()}, Op: op, Process: n.id, Row: row}
}

func (n *node) getOrSet(ctx context.Context, row int, c call) {
	op := "GetOrSet"
	var forced *history.Invalidation
	if c.forced {
		op = "forced GetOrSet"
		forced = n.BeginInvalidation(history.Invalidation{Op: op, Process: n.id, Rows: []int{row}, ByKey: true, Local: true})
	}
	r := n.beginRead(op, row)
	caller := r.Start
	v, err := recoverLoader(func() (tableRow, error) {
		return n.cache(row).GetOrSet(ctx, row, func(ctx context.Context) (tableRow, error) {
			found, err := n.load(ctx, caller, c, []int{row})
			return found[row], err
		}, c.options()...)
	})
	if err == nil {
		r.Version, r.Grace = v.Version, true
		n.EndRead(r)
	} else {
		n.endFailed(ctx, r, []int{row}, err)
	}
	switch {
	case forced == nil:
	case err != nil || v.Version < caller.Count: // a grace value in place of a load that failed
		n.EndUncertain(forced)
	case c.ttl <= 0 || n.withTier || n.cuts || n.processes > 1:
		n.EndUncertain(forced)
	default:
		n.EndInvalidation(forced, nil)
	}
}

func (n *node) getOrSetMany(ctx context.Context, rows []int, c call) {
	r := n.beginRead("GetOrSetMany", rows[0])
	caller := r.Start
	found, err := recoverLoader(func() (map[int]tableRow, error) {
		return n.cache(rows[0]).GetOrSetMany(ctx, rows, func(ctx context.Context, rows []int) (map[int]tableRow, error) {
			found, err := n.load(ctx, caller, c, rows)
			if errors.Is(err, errNoRow) {
				err = nil
			}
			return found, err
		}, c.options()...)
	})
	r.Grace = true
	n.endFound(r, rows, found)
	if err != nil {
		n.endFailed(ctx, r, rows, err)
		return
	}
	r.NotFound = true
	for _, row := range rows {
		if _, ok := found[row]; !ok {
			r.Row = row
			n.EndRead(r)
		}
	}
}

// recoverLoader turns the panic of a caller's own loader into an error.
func recoverLoader[T any](do func() (T, error)) (value T, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		panicked, ok := p.(*runtime.PanicError)
		if !ok {
			panic(p)
		}
		err = panicked
	}()
	return do()
}

// endFailed records what an error says of some of rows, and reports one that may not be.
func (n *node) endFailed(ctx context.Context, r history.Read, rows []int, err error) {
	var failed loadError
	var nothing noRowError
	var panicked *runtime.PanicError
	r.Grace = false
	switch {
	case errors.As(err, &panicked):
		if n.loadsPanic == 0 {
			n.report("%s: %v, and no loader panics", r.Op, err)
		}
	case errors.As(err, &failed):
		n.endFailedLoad(r, rows, int64(failed))
	case errors.As(err, &nothing):
		n.endFailedLoad(r, rows, int64(nothing))
	case err == errNoRow:
		r.NotFound = true
		n.EndRead(r)
	case errors.Is(err, runtime.ErrTimeout):
		if !n.hardTimeout {
			n.report("%s: %v, without a hard timeout", r.Op, err)
		}
	case ctx.Err() == nil || !errors.Is(err, ctx.Err()):
		n.report("%s: %v", r.Op, err)
	}
}

// endFailedLoad records that a caller got the failure of a load, unless the load was of
// several of its rows: then it is not known whose failure it is.
func (n *node) endFailedLoad(r history.Read, rows []int, batch int64) {
	switch of := n.OfBatch(batch, rows); len(of) {
	case 0:
		n.report("%s of rows %v: got the failure of load %d, which is about other rows", r.Op, rows, batch)
	case 1:
		r.Row, r.Version = of[0].Row, of[0].Number()
		n.EndRead(r)
	}
}
