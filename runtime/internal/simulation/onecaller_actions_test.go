package simulation

import (
	"context"
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/cachegen/cachegen/runtime"
)

// actions are what may happen next in a run of one caller. Rapid draws each as often as
// the others; those with spaces at the end are the same again, to be drawn more often.
func (m *oneCaller) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"wait":         m.waitAny,
		"deadline":     m.waitForDeadline,
		"deadline ":    m.waitForDeadline,
		"deadline  ":   m.waitForDeadline,
		"get":          m.getAction,
		"getMany":      m.getManyAction,
		"getOrSet":     m.getOrSetAction,
		"getOrSet ":    m.getOrSetAction,
		"getOrSet  ":   m.getOrSetAction,
		"getOrSet   ":  m.getOrSetAction,
		"getOrSet    ": m.getOrSetAction,
		"getOrSetMany": m.getOrSetManyAction,
		"pull":         m.pullAction,
		"set":          m.setAction,
		"delete":       m.deleteAction,
		"expire":       m.expireAction,
		"byTag":        m.byTagAction,
		"clear":        m.clearAction,
		"evict":        m.evictAction,
	}
}

// draw draws a process and a row, which is often the last one: what needs many steps to go
// wrong is about one row.
func (m *oneCaller) draw(rt *rapid.T) (process, row int) {
	process = rapid.IntRange(0, len(m.processes)-1).Draw(rt, "process")
	if rapid.Bool().Draw(rt, "again") {
		return process, m.lastRow
	}
	m.lastRow = rapid.SampledFrom(usedRows).Draw(rt, "row")
	return process, m.lastRow
}

// drawRows draws rows of one cache.
func (m *oneCaller) drawRows(rt *rapid.T) []int {
	if rapid.IntRange(0, 3).Draw(rt, "inner") == 0 {
		return []int{outerRows}
	}
	outer := rapid.SampledFrom(slices.DeleteFunc(slices.Clone(usedRows), isInner))
	return rapid.SliceOfNDistinct(outer, 1, -1, rapid.ID[int]).Draw(rt, "rows")
}

// waitForDeadline waits for a moment at which something about a row is to change, or for
// the one before that.
func (m *oneCaller) waitForDeadline(rt *rapid.T) {
	var ends []time.Duration
	for _, place := range m.places() {
		if e := place[m.lastRow]; e != nil {
			ends = append(ends, e.fresh, e.stale, e.refreshAt, e.verifyAt, e.retryAt)
		}
	}
	ends = slices.DeleteFunc(ends, func(end time.Duration) bool { return end <= m.now+1 || end > m.now+24*time.Hour })
	if len(ends) == 0 {
		rt.Skip("nothing is to change")
	}
	end := rapid.SampledFrom(ends).Draw(rt, "end")
	time.Sleep(end - m.now - time.Duration(rapid.IntRange(1, 2).Draw(rt, "before"))) // and settle takes one
	m.settle(rt)
	rt.Logf("%v: after a wait for a deadline", m.now)
}

func (m *oneCaller) waitAny(rt *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{1, 500 * time.Millisecond, time.Second, 3 * time.Second, 6 * time.Second, 2 * time.Minute}).Draw(rt, "time"))
	m.settle(rt)
}

func (m *oneCaller) getAction(rt *rapid.T) {
	p, row := m.draw(rt)
	rt.Logf("%v: process %d gets row %d", m.now, p, row)
	version, there := m.get(p, row)
	switch c := m.processes[p].cache(row); rapid.IntRange(0, 2).Draw(rt, "how") {
	case 0:
		if has, err := c.Has(rt.Context(), row); err != nil || has != there {
			rt.Fatalf("Has of row %d is %v, %v, want %v", row, has, err, there)
		}
	case 1:
		if missing, err := c.Missing(rt.Context(), row); err != nil || missing == there {
			rt.Fatalf("Missing of row %d is %v, %v, want %v", row, missing, err, !there)
		}
	default:
		got, ok, err := c.Get(rt.Context(), row)
		wantRead(rt, row, got, ok, err, version, there)
	}
	m.settle(rt)
}

func (m *oneCaller) getManyAction(rt *rapid.T) {
	p, _ := m.draw(rt)
	rows := m.drawRows(rt)
	rt.Logf("%v: process %d gets rows %v", m.now, p, rows)
	found, err := m.processes[p].cache(rows[0]).GetMany(rt.Context(), rows)
	for _, row := range rows {
		version, there := m.get(p, row)
		got, ok := found[row]
		wantRead(rt, row, got, ok, err, version, there)
	}
	m.settle(rt)
}

func (m *oneCaller) getOrSetAction(rt *rapid.T) {
	p, row := m.draw(rt)
	c := m.drawCall(rt)
	c.forced = rapid.IntRange(0, 7).Draw(rt, "forced") == 0
	rt.Logf("%v: process %d gets or sets row %d, %+v", m.now, p, row, c)
	out, _ := m.getOrSet(p, row, c)
	got, err := m.processes[p].cache(row).GetOrSet(rt.Context(), row, func(ctx context.Context) (tableRow, error) {
		found, err := m.load(ctx, c, row)
		return found[row], err
	}, c.options()...)
	wantOutcome(rt, row, got, err, out)
	if took := time.Since(m.began); took != out.at {
		rt.Fatalf("row %d: returned at %v, want %v", row, took, out.at)
	}
	m.settle(rt)
}

func (m *oneCaller) getOrSetManyAction(rt *rapid.T) {
	p, _ := m.draw(rt)
	rows := m.drawRows(rt)
	if m.refreshPercent > 0 { // a refresh begins when the caller has all its rows: not to be foreseen row by row
		rows = rows[:1]
	}
	c := m.drawCall(rt)
	rt.Logf("%v: process %d gets or sets rows %v, %+v", m.now, p, rows, c)
	found, err := m.processes[p].cache(rows[0]).GetOrSetMany(rt.Context(), rows, func(ctx context.Context, missing []int) (map[int]tableRow, error) {
		found, err := m.load(ctx, c, missing...)
		if errors.Is(err, errNoRow) {
			err = nil
		}
		return found, err
	}, c.options()...)
	mayFail := false
	for _, row := range rows {
		out, alternative := m.getOrSet(p, row, c)
		mayFail = mayFail || out.isFailure() && alternative.isFailure()
		if got, ok := found[row]; ok {
			wantOutcome(rt, row, got, nil, out, alternative)
		} else if !out.notFound && !alternative.notFound {
			wantOutcome(rt, row, tableRow{}, err, out, alternative)
		}
	}
	if err != nil && !mayFail {
		rt.Fatalf("rows %v: %v, want no error", rows, err)
	}
	m.settle(rt)
}

func (o outcome) isFailure() bool { return o.timedOut || o.failed != 0 }

func (m *oneCaller) pullAction(rt *rapid.T) {
	p, row := m.draw(rt)
	rt.Logf("%v: process %d pulls row %d", m.now, p, row)
	version, there := m.pull(p, row)
	got, ok, err := m.processes[p].cache(row).Pull(rt.Context(), row)
	wantRead(rt, row, got, ok, err, version, there)
	m.settle(rt)
}

func (m *oneCaller) setAction(rt *rapid.T) {
	p, row := m.draw(rt)
	c := m.drawCall(rt)
	version := c.loader.version
	rt.Logf("%v: process %d sets row %d, %+v", m.now, p, row, c)
	m.set(p, row, version, c)
	if err := m.processes[p].cache(row).Set(rt.Context(), row, rowOfVersion(row, version), c.stored()...); err != nil {
		rt.Fatal(err)
	}
	m.settle(rt)
}

func (m *oneCaller) deleteAction(rt *rapid.T) {
	p, _ := m.draw(rt)
	rows := m.drawRows(rt)
	rt.Logf("%v: process %d deletes rows %v", m.now, p, rows)
	m.remove(func(row int, _ *cached) bool { return slices.Contains(rows, row) })
	if err := m.processes[p].cache(rows[0]).DeleteMany(rt.Context(), rows...); err != nil {
		rt.Fatal(err)
	}
	m.settle(rt)
}

func (m *oneCaller) expireAction(rt *rapid.T) {
	p, _ := m.draw(rt)
	rows := m.drawRows(rt)
	rt.Logf("%v: process %d expires rows %v", m.now, p, rows)
	for _, row := range rows {
		m.expire(row)
	}
	if err := m.processes[p].cache(rows[0]).Expire(rt.Context(), rows...); err != nil {
		rt.Fatal(err)
	}
	m.settle(rt)
}

func (m *oneCaller) byTagAction(rt *rapid.T) {
	p, _ := m.draw(rt)
	tag := rapid.SampledFrom([]runtime.Tag{rowTag(0), rowTag(outerRows), groupTag(0), groupTag(1), "call", "other"}).Draw(rt, "tag")
	hasTag := func(_ int, e *cached) bool { return slices.Contains(e.tags, tag) }
	store := m.processes[p].store
	var err error
	if rapid.Bool().Draw(rt, "expire") {
		rt.Logf("%v: process %d expires %s", m.now, p, tag)
		m.expireTagged(hasTag)
		err = store.ExpireByTag(rt.Context(), "another", tag)
	} else {
		rt.Logf("%v: process %d deletes %s", m.now, p, tag)
		m.remove(hasTag)
		err = store.DeleteByTag(rt.Context(), tag)
	}
	if err != nil {
		rt.Fatal(err)
	}
	m.settle(rt)
}

func (m *oneCaller) clearAction(rt *rapid.T) {
	p, row := m.draw(rt)
	store := m.processes[p].store
	var err error
	about := func(int, *cached) bool { return true }
	switch rapid.IntRange(0, 3).Draw(rt, "how") {
	case 0:
		about = func(other int, _ *cached) bool { return isInner(other) == isInner(row) }
		err = m.processes[p].cache(row).Clear(rt.Context())
	case 1:
		about = func(other int, _ *cached) bool { return isInner(other) }
		err = store.Namespace("rows").Namespace("inner").Clear(rt.Context())
	case 2:
		err = store.Namespace("rows").Clear(rt.Context())
	default:
		err = store.Clear(rt.Context())
	}
	if err != nil {
		rt.Fatal(err)
	}
	m.remove(about)
	m.settle(rt)
}

func (m *oneCaller) evictAction(rt *rapid.T) {
	_, row := m.draw(rt)
	rt.Logf("%v: the shared tier evicts row %d", m.now, row)
	m.tier.Evict(entryKey(row))
	m.evict(row)
	m.settle(rt)
}
