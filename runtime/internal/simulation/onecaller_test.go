package simulation

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// One caller at a time, on tiers that do not fail: what a store returns, what is there,
// how often the source is asked and how long that takes is what the reference says.
func TestModelOfOneCaller(t *testing.T) {
	wanted := modelOperations(t)
	var operations int64
	began := time.Now()
	for operations < wanted {
		rapid.Check(t, func(rt *rapid.T) {
			rapid.SyncTest(rt, func(rt *rapid.T) {
				m := newOneCaller(rt)
				rt.Repeat(m.actions())
				operations += m.operations
			})
		})
	}
	t.Logf("%d operations checked against the reference, %v", operations, time.Since(began).Round(time.Millisecond))
}

// A oneCaller is the store under test, with its reference beside it.
type oneCaller struct {
	*reference
	tier       faketier.Shared
	bus        faketier.Bus
	processes  []*process
	began      time.Time
	version    int64        // of the last call
	called     atomic.Int64 // loads of rows, as the loaders count them
	operations int64
	lastRow    int // that was drawn
}

// usedRows are three rows of the outer cache and one of the inner one: so few that each
// sees many operations.
var usedRows = []int{0, 1, 2, outerRows}

const defaultTTL = 10 * time.Second

func newOneCaller(rt *rapid.T) *oneCaller {
	on := rapid.SampledFrom([]topology{
		{processes: 1, withMemory: true},
		{processes: 1, withTier: true},
		{processes: 1, withMemory: true, withTier: true},
		{processes: 2, withMemory: true, withTier: true, withBus: true},
	}).Draw(rt, "topology")
	m := &oneCaller{reference: newReference(on.processes, on.withMemory, on.withTier), began: time.Now()}
	var caches []runtime.Option
	if rapid.Bool().Draw(rt, "refreshes") {
		m.refreshPercent = 50
		caches = append(caches, runtime.RefreshPercent(50))
	}
	if rapid.Bool().Draw(rt, "l1ttl") {
		m.l1TTL = 3 * time.Second
		caches = append(caches, runtime.L1TTL(m.l1TTL))
	}
	seed := rapid.Uint64().Draw(rt, "seed")
	for id := range on.processes {
		store := []runtime.StoreOption{runtime.TTL(defaultTTL)}
		if on.withMemory {
			store = append(store, memoryTier())
		}
		if on.withTier {
			store = append(store, runtime.L2(&m.tier))
		}
		if on.withBus {
			store = append(store, runtime.Bus(&m.bus))
		}
		p, err := openProcess(newRand(seed, fmt.Sprint("store", id)).uint64, store, caches)
		if err != nil {
			rt.Fatal(err)
		}
		m.processes = append(m.processes, p)
		rt.Cleanup(func() {
			if err := p.close(); err != nil {
				rt.Errorf("close: %v", err)
			}
		})
	}
	return m
}

// drawCall draws the options of a call and what its loader does.
func (m *oneCaller) drawCall(rt *rapid.T) call {
	const ms = time.Millisecond
	m.version++
	c := call{
		ttl:          defaultTTL,
		grace:        rapid.SampledFrom([]time.Duration{0, 5 * time.Second, time.Hour}).Draw(rt, "grace"),
		graceBackoff: rapid.SampledFrom([]time.Duration{0, 2 * time.Second, time.Minute}).Draw(rt, "backoff"),
		softTimeout:  rapid.SampledFrom([]time.Duration{0, 100 * ms}).Draw(rt, "soft"),
		hardTimeout:  rapid.SampledFrom([]time.Duration{0, 0, 300 * ms}).Draw(rt, "hard"),
		errorTTL:     rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(rt, "errorttl"),
		notFoundTTL:  rapid.SampledFrom([]time.Duration{0, 2 * time.Second, time.Minute}).Draw(rt, "notfoundttl"),
		loader: loader{
			version:        m.version,
			delay:          rapid.SampledFrom([]time.Duration{ms, 200 * ms, 500 * ms}).Draw(rt, "delay"),
			ignoresContext: rapid.Bool().Draw(rt, "ignores context"),
		},
	}
	if m.refreshPercent == 0 { // when an entry of another process is due follows from the caller's TTL
		c.ttl = rapid.SampledFrom([]time.Duration{0, time.Second, defaultTTL, time.Minute, runtime.Forever}).Draw(rt, "ttl")
	}
	if rapid.IntRange(0, 3).Draw(rt, "tagged") == 0 {
		c.tags = []runtime.Tag{"call"}
	}
	switch rapid.IntRange(0, 4).Draw(rt, "ends") {
	case 0:
		c.loader.fails = true
	case 1:
		c.loader.findsNothing = true
	}
	return c
}

// load is the loader of c for some rows.
func (m *oneCaller) load(ctx context.Context, c call, rows ...int) (map[int]tableRow, error) {
	m.called.Add(int64(len(rows)))
	if err := c.loader.wait(ctx); err != nil {
		return nil, err
	}
	switch {
	case c.loader.fails:
		return nil, loadError(c.loader.version)
	case c.loader.findsNothing:
		return nil, errNoRow
	}
	found := make(map[int]tableRow)
	for _, row := range rows {
		found[row] = rowOfVersion(row, c.loader.version)
	}
	return found, nil
}

func rowOfVersion(row int, version int64) tableRow {
	return tableRow{ID: row, Version: version, Group: groupOf(version)}
}

// settle waits until nothing goes on in the background, and compares the number of loads.
// The next operation comes later than this one: of two rows whose loads began at the same
// nanosecond in two processes, neither is the younger one.
func (m *oneCaller) settle(rt *rapid.T) {
	rt.Helper()
	time.Sleep(max(m.busy-time.Since(m.began), 0) + 1)
	synctest.Wait()
	m.now = time.Since(m.began)
	if called := int(m.called.Load()); called != m.loads {
		rt.Fatalf("%d loads, want %d", called, m.loads)
	}
	m.operations++
}

// wantRead compares what a read got with a version of the reference, if there is one.
func wantRead(rt *rapid.T, row int, got tableRow, ok bool, err error, version int64, there bool) {
	rt.Helper()
	var want tableRow
	if there {
		want = rowOfVersion(row, version)
	}
	if err != nil || ok != there || got != want {
		rt.Fatalf("row %d: got %+v, %v, %v, want %+v, %v", row, got, ok, err, want, there)
	}
}

// wantOutcome compares what a caller got with what the reference says: one of outcomes.
func wantOutcome(rt *rapid.T, row int, got tableRow, err error, outcomes ...outcome) {
	rt.Helper()
	for _, o := range outcomes {
		if o.is(row, got, err) {
			return
		}
	}
	rt.Fatalf("row %d: got %+v, %v, want %+v", row, got, err, outcomes)
}

func (o outcome) is(row int, got tableRow, err error) bool {
	switch {
	case o.timedOut || o.failed == timedOutLoad:
		return errors.Is(err, runtime.ErrTimeout)
	case o.failed != 0:
		return errors.Is(err, loadError(o.failed))
	case o.notFound:
		return errors.Is(err, errNoRow)
	}
	return err == nil && got == rowOfVersion(row, o.version)
}
