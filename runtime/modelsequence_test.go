package runtime_test

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

// The store under test with its reference beside it. Rows 0 to 2 are in the
// namespace rows, 3 in the namespace inner of that.
type sequence struct {
	*reference
	sharedTier faketier.Shared
	bus        faketier.Bus
	stores     []*runtime.Store
	caches     [][]*runtime.Cache[int, int] // of each process: outer, inner
	began      time.Time
	numbers    int          // of loads and of values
	called     atomic.Int64 // loads of rows, as the loaders count them
	ops        int64
	last       int // the row that was drawn last
}

const sequenceRows = 4

func (s *sequence) cache(process, row int) *runtime.Cache[int, int] {
	return s.caches[process][row/(sequenceRows-1)]
}

// tagsOf returns the tags of a row's entry: by its key, by the call, and by its
// value if there is one.
func tagsOf(row, value int, given []runtime.Tag) []runtime.Tag {
	tags := append([]runtime.Tag{rowTag(row)}, given...)
	if value >= 0 {
		tags = append(tags, groupTag(value%2))
	}
	return tags
}

func newSequence(rt *rapid.T) *sequence {
	kind := rapid.SampledFrom([]struct {
		processes   int
		l1, l2, bus bool
	}{{1, true, false, false}, {1, false, true, false}, {1, true, true, false}, {2, true, true, true}}).Draw(rt, "kind")
	s := &sequence{reference: newReference(kind.processes, kind.l1, kind.l2), began: time.Now()}
	var options []runtime.Option
	if rapid.Bool().Draw(rt, "refreshes") {
		s.refresh = 50
		options = append(options, runtime.RefreshAtPercent(50))
	}
	if rapid.Bool().Draw(rt, "l1ttl") {
		s.l1TTL = 3 * time.Second
		options = append(options, runtime.L1TTL(s.l1TTL))
	}
	for range kind.processes {
		given := []runtime.StoreOption{runtime.Logger(silent), runtime.TTL(sequenceTTL)}
		if kind.l1 {
			given = append(given, memoryTier())
		}
		if kind.l2 {
			given = append(given, runtime.L2(&s.sharedTier))
		}
		if kind.bus {
			given = append(given, runtime.WithBus(&s.bus))
		}
		s.open(rt, given, options)
	}
	return s
}

func (s *sequence) open(rt *rapid.T, given []runtime.StoreOption, options []runtime.Option) {
	store, err := runtime.NewStore("model", given...)
	if err != nil {
		rt.Fatal(err)
	}
	stores, err := runtime.NewStores("model", store)
	if err != nil {
		rt.Fatal(err)
	}
	outer, err := open(stores, definition[int, int]{
		Name: "rows", Namespace: "rows", Options: options, NotFound: errNoRow,
		Tags:       func(row int) []runtime.Tag { return []runtime.Tag{rowTag(row)} },
		ResultTags: func(value int) []runtime.Tag { return []runtime.Tag{groupTag(value % 2)} },
	})
	if err != nil {
		rt.Fatal(err)
	}
	inner, err := outer.Namespace("inner")
	if err != nil {
		rt.Fatal(err)
	}
	s.stores = append(s.stores, store)
	s.caches = append(s.caches, []*runtime.Cache[int, int]{outer, inner})
	rt.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := store.Close(ctx); err != nil {
			rt.Errorf("close: %v", err)
		}
	})
}

const sequenceTTL = 10 * time.Second

// drawCalls draws the options of a call and what its loader does.
func (s *sequence) drawCalls(rt *rapid.T) calls {
	s.numbers++
	c := calls{
		number:     s.numbers,
		ttl:        sequenceTTL,
		grace:      rapid.SampledFrom([]time.Duration{0, 5 * time.Second, time.Hour}).Draw(rt, "grace"),
		soft:       rapid.SampledFrom([]time.Duration{0, 100 * time.Millisecond}).Draw(rt, "soft"),
		hard:       rapid.SampledFrom([]time.Duration{0, 0, 300 * time.Millisecond}).Draw(rt, "hard"),
		backoff:    rapid.SampledFrom([]time.Duration{0, 2 * time.Second, time.Minute}).Draw(rt, "backoff"),
		errorTTL:   rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(rt, "errorttl"),
		missingTTL: rapid.SampledFrom([]time.Duration{0, 2 * time.Second, time.Minute}).Draw(rt, "notfoundttl"),
		delay:      rapid.SampledFrom([]time.Duration{time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond}).Draw(rt, "delay"),
		stubborn:   rapid.Bool().Draw(rt, "stubborn"),
	}
	if s.refresh == 0 { // when an entry of another process is due is told by the caller's TTL
		c.ttl = rapid.SampledFrom([]time.Duration{0, time.Second, sequenceTTL, time.Minute, runtime.Forever}).Draw(rt, "ttl")
	}
	if rapid.IntRange(0, 3).Draw(rt, "tagged") == 0 {
		c.tags = []runtime.Tag{"call"}
	}
	switch rapid.IntRange(0, 4).Draw(rt, "ends") {
	case 0:
		c.fails = true
	case 1:
		c.missing = true
	}
	return c
}

// A loadFailure is the error of the load of that number.
type loadFailure int

func (n loadFailure) Error() string { return fmt.Sprint("load ", int(n), " failed") }

// ask is the loader of c.
func (s *sequence) ask(ctx context.Context, c calls, rows int) (int, error) {
	s.called.Add(int64(rows))
	done := ctx.Done()
	if c.stubborn {
		done = nil
	}
	select {
	case <-time.After(c.delay):
	case <-done:
		return 0, ctx.Err()
	}
	switch {
	case c.fails:
		return 0, loadFailure(c.number)
	case c.missing:
		return 0, errNoRow
	}
	return c.number, nil
}

// settle waits until nothing goes on behind, and compares the number of loads. The
// next operation comes later than this one: of two values that began at the same
// nanosecond in two processes, neither is the younger one.
func (s *sequence) settle(rt *rapid.T) {
	rt.Helper()
	time.Sleep(max(s.busy-time.Since(s.began), 0) + 1)
	synctest.Wait()
	s.now = time.Since(s.began)
	if called := int(s.called.Load()); called != s.loads {
		rt.Fatalf("%d loads, want %d", called, s.loads)
	}
	s.ops++
}

// same compares what a caller got with what the reference says.
func (s *sequence) same(rt *rapid.T, row, value int, err error, wanted ...outcome) {
	rt.Helper()
	for _, w := range wanted {
		failure := loadFailure(w.failed)
		switch {
		case w.late || w.failed < 0:
			if errors.Is(err, runtime.ErrTimeout) {
				return
			}
		case w.failed > 0:
			if errors.Is(err, failure) {
				return
			}
		case w.nothing:
			if errors.Is(err, errNoRow) {
				return
			}
		case err == nil && value == w.value:
			return
		}
	}
	rt.Fatalf("row %d: got %d, %v, want %+v", row, value, err, wanted)
}

// The whole of a store for one caller at a time: values, errors, what is there, how
// often the source is asked and how long that takes.
func TestModelOfOneCaller(t *testing.T) {
	wanted := modelOps(t)
	var ops int64
	began := time.Now()
	for ops < wanted {
		rapid.Check(t, func(rt *rapid.T) {
			rapid.SyncTest(rt, func(rt *rapid.T) {
				s := newSequence(rt)
				rt.Repeat(s.actions())
				ops += s.ops
			})
		})
	}
	t.Logf("%d operations checked against the reference, %v", ops, time.Since(began).Round(time.Millisecond))
}
