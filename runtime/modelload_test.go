package runtime_test

import (
	"context"
	"errors"
	"time"

	"github.com/cachegen/cachegen/runtime"
)

// ask is one question to the source for some rows, by the caller of r. It answers
// with those that there are.
func (n *node) ask(ctx context.Context, r reading, c calls, rows []int) (found map[int]modelRow, begun []*loaded, err error) {
	for _, row := range rows {
		l := loaded{row: row, process: n.process, asked: r.start, askedAt: r.from, ttl: c.ttl, grace: c.grace, forced: c.forced}
		if len(begun) > 0 {
			l.batch = begun[0].made
		}
		begun = append(begun, n.begin(l))
	}
	timer := time.NewTimer(c.delay)
	defer timer.Stop()
	heeds := ctx.Done()
	if c.stubborn {
		heeds = nil
	}
	select {
	case <-timer.C:
	case <-heeds:
		err = ctx.Err()
	}
	switch {
	case err != nil:
	case c.fails || c.panics:
		err = &rowFailure{begun[0].made}
	case c.missing: // the first of them
		err = &rowMissing{begun[0].made}
	}
	found = map[int]modelRow{}
	n.history.mu.Lock()
	for i, l := range begun {
		switch missing := c.missing && i == 0; {
		case errors.Is(err, errNoRow) && missing:
			l.none, l.ttl, l.grace = true, c.missingTTL, 0
		case err != nil && !errors.Is(err, errNoRow):
			l.failed, l.ttl, l.grace = true, c.errorTTL, 0
		default:
			found[l.row] = modelRow{l.row, l.made}
		}
	}
	n.history.mu.Unlock()
	for _, l := range begun {
		n.end(l)
	}
	if c.panics && !errors.Is(err, errNoRow) {
		panic(err)
	}
	return found, begun, err
}

func (n *node) getOrSet(ctx context.Context, row int, c calls) {
	r := reading{op: "GetOrSet", process: n.process, row: row, stale: true}
	var forcing *change
	if c.forced {
		r.op = "forced GetOrSet"
		forcing = n.changed(change{op: r.op, process: n.process, rows: []int{row}, byKey: true, private: true})
	}
	r.start, r.from = n.moment()
	asked := r
	v, err := n.caught(func() (modelRow, error) {
		return n.cache(row).GetOrSet(ctx, row, func(ctx context.Context) (modelRow, error) {
			found, _, err := n.ask(ctx, asked, c, []int{row})
			return found[row], err
		}, c.options()...)
	})
	if err == nil {
		r.got = v.Made
		n.read(r)
	} else {
		n.failed(ctx, r, []int{row}, err)
	}
	switch {
	case forcing == nil:
	case err != nil || v.Made < r.start: // a grace value has stood in for a load that failed
		n.promisesNothing(forcing)
	case c.ttl <= 0 || n.l2 || n.cuts || n.processes > 1:
		n.promisesNothing(forcing)
	default:
		n.ended(forcing, nil)
	}
}

func (n *node) getOrSetMany(ctx context.Context, rows []int, c calls) {
	r := reading{op: "GetOrSetMany", process: n.process, stale: true}
	r.start, r.from = n.moment()
	asked := r
	var found map[int]modelRow
	_, err := n.caught(func() (v modelRow, err error) {
		found, err = n.cache(rows[0]).GetOrSetMany(ctx, rows, func(ctx context.Context, rows []int) (map[int]modelRow, error) {
			found, _, err := n.ask(ctx, asked, c, rows)
			if errors.Is(err, errNoRow) {
				err = nil
			}
			return found, err
		}, c.options()...)
		return v, err
	})
	for row, v := range found {
		r.row, r.got = row, v.Made
		n.read(r)
	}
	if err != nil {
		r.got = 0
		n.failed(ctx, r, rows, err)
		return
	}
	for _, row := range rows {
		if _, ok := found[row]; !ok {
			r.row, r.got, r.nothing = row, 0, true
			n.read(r)
		}
	}
}

// caught turns the panic of a caller's own loader into an error.
func (n *node) caught(do func() (modelRow, error)) (v modelRow, err error) {
	defer func() {
		if p := recover(); p != nil {
			own, ok := p.(*runtime.PanicError)
			if !ok {
				panic(p)
			}
			err = own
		}
	}()
	return do()
}

// failed records what an error for some of rows tells, and judges whether it may be.
func (n *node) failed(ctx context.Context, r reading, rows []int, err error) {
	var failure *rowFailure
	var missing *rowMissing
	var panicked *runtime.PanicError
	r.stale = false
	switch {
	case errors.As(err, &panicked):
		if n.panics == 0 {
			n.fault("%s: %v", r.op, err)
		}
	case errors.As(err, &failure), errors.As(err, &missing):
		made := int64(0)
		if failure != nil {
			made = failure.made
		} else {
			made = missing.made
		}
		of := n.failures(made, rows)
		if len(of) == 0 {
			n.fault("%s of rows %v: got %v, which is about another row", r.op, rows, err)
		}
		if len(of) == 1 { // otherwise it is not known whose it is
			r.row, r.got = of[0].row, of[0].made
		}
	case err == errNoRow:
		r.nothing = true
	case errors.Is(err, runtime.ErrTimeout):
		if !n.hard {
			n.fault("%s: %v, without a hard timeout", r.op, err)
		}
	case ctx.Err() == nil || !errors.Is(err, ctx.Err()):
		n.fault("%s: %v", r.op, err)
	}
	if r.got != 0 || r.nothing {
		n.read(r)
	}
}
