package simulation

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/simulation/history"
)

// A target is what a write changes, with what that is called in a history.
type target struct {
	history.Invalidation
	gen.Target
}

// write changes several targets in one call, as an annotated function does, and may have its
// errors logged.
func (n *node) write(ctx context.Context, rng *rand.Rand, row int) {
	var targets []gen.Target
	var begun []*history.Invalidation
	var versions []*history.Version
	add := func(t target) {
		t.Process = n.id
		targets, begun = append(targets, t.Target), append(begun, n.BeginInvalidation(t.Invalidation))
	}
	rows := []int{row}
	for range rng.IntN(3) {
		rows = append(rows, rng.IntN(n.rows))
	}
	for _, row := range rows {
		for range 1 + rng.IntN(2) {
			add(n.drawTarget(rng, row))
		}
	}
	if rng.IntN(4) == 0 {
		v := n.BeginVersion(history.Version{Row: row, Process: n.id, TTL: runtime.DefaultTTL, Set: true})
		versions = append(versions, v)
		add(target{history.Invalidation{Op: "write: Set", Rows: []int{row}, ByKey: true}, gen.Set(n.cache(row), row, n.rowOf(v))})
	}
	if rng.IntN(4) == 0 {
		add(target{
			history.Invalidation{Op: "write: Call of Delete", Rows: []int{row}, ByKey: true},
			gen.Call(func(ctx context.Context) error { return n.cache(row).Delete(ctx, row) }),
		})
	}
	w := gen.Writer{Function: "table.Write"}
	if rng.IntN(3) == 0 {
		w.Errors = gen.LogErrors
	}
	err := gen.Write(ctx, w, targets...)
	var failed *runtime.InvalidationError
	switch {
	case err == nil && w.Errors == gen.LogErrors:
		err = errMayBeLogged
	case err != nil && w.Errors == gen.LogErrors:
		n.report("write: %v, which was to be logged", err)
	case err != nil && (!errors.As(err, &failed) || failed.Function != w.Function):
		n.report("write: %v, want nil or an InvalidationError of %s", err, w.Function)
	}
	for _, i := range begun {
		n.EndInvalidation(i, err)
	}
	for _, v := range versions {
		n.EndVersion(v)
	}
}

// errMayBeLogged stands for the error of a write that may have failed.
var errMayBeLogged = errors.New("the write has logged its errors, if any")

func (n *node) drawTarget(rng *rand.Rand, row int) target {
	c := n.cache(row)
	group := groupTag(row % n.groups)
	ofGroup := rowsWhere(func(other int) bool { return groupTag(other%n.groups) == group })
	i := history.Invalidation{Rows: []int{row}}
	switch of20 := rng.IntN(20); {
	case of20 < 7:
		i.Op, i.ByKey = "write: Delete", true
		return target{i, gen.Delete(c, row)}
	case of20 < 10:
		i.Op, i.ByKey, i.Expires = "write: Expire", true, true
		return target{i, gen.Expire(c, row)}
	case of20 < 13:
		i.Op = "write: DeleteByTag of the key"
		return target{i, gen.DeleteByTag(c, rowTag(row))}
	case of20 < 16:
		i.Op, i.ByResultTag, i.Rows = "write: DeleteByTag of the result", true, ofGroup
		return target{i, gen.DeleteByTag(c, "other", group)}
	case of20 < 18:
		i.Op, i.Expires, i.ByResultTag, i.Rows = "write: ExpireByTag of the result", true, true, ofGroup
		return target{i, gen.ExpireByTag(c, group)}
	default:
		i.Op, i.Rows = "write: Clear", rowsWhere(func(int) bool { return true })
		return target{i, gen.Clear(c, "rows")}
	}
}
