package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// manyRows are a source of many keys that remembers what it was asked for.
type manyRows struct {
	asked [][]int
	fail  func(keys []int) error
}

func (b *manyRows) load(_ context.Context, keys []int) (map[int]int, error) {
	b.asked = append(b.asked, slices.Sorted(slices.Values(keys)))
	out := make(map[int]int, len(keys))
	for _, k := range keys {
		out[k] = 10 * k
	}
	if b.fail != nil {
		if err := b.fail(keys); err != nil {
			return out, err
		}
	}
	return out, nil
}

func wantKeys(t *testing.T, got map[int]int, keys ...int) {
	t.Helper()
	if have := slices.Sorted(maps.Keys(got)); !slices.Equal(have, keys) {
		t.Errorf("got keys %v, want %v", have, keys)
	}
	for k, v := range got {
		if v != 10*k {
			t.Errorf("%d is %d", k, v)
		}
	}
}

func wantAsked(t *testing.T, b *manyRows, asked ...[]int) {
	t.Helper()
	if fmt.Sprint(b.asked) != fmt.Sprint(asked) {
		t.Errorf("asked for %v, want %v", b.asked, asked)
	}
	b.asked = nil
}

// A batch that is too large for the source is so for the tier, too.
func TestBatchMaxBoundsHowManyKeysALoaderAndTheTierAreAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)), runtime.BatchMax(2))
		var b manyRows
		got, err := c.GetOrSetMany(t.Context(), []int{1, 2, 3, 4, 5}, b.load)
		if err != nil {
			t.Fatal(err)
		}
		wantKeys(t, got, 1, 2, 3, 4, 5)
		wantAsked(t, &b, []int{1, 2}, []int{3, 4}, []int{5})
		if r, w := shared.Calls("get"), shared.Calls("fill"); r != 3 || w != 3 {
			t.Errorf("%d reads and %d writes of the shared tier, want three of each", r, w)
		}
		got, err = c.GetOrSetMany(t.Context(), []int{1, 6}, b.load, runtime.BatchMax(0))
		if err != nil {
			t.Fatal(err)
		}
		wantKeys(t, got, 1, 6)
		wantAsked(t, &b, []int{6})
	})
}

func TestAChunkThatFailsIsTheFailureOfItsOwnKeys(t *testing.T) {
	mayTell(t, "load failed")
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second)), runtime.BatchMax(2))
		b := manyRows{fail: func(keys []int) error {
			if slices.Contains(keys, 3) {
				return errSource
			}
			return nil
		}}
		got, err := c.GetOrSetMany(t.Context(), []int{1, 2, 3, 4, 5}, b.load)
		if !errors.Is(err, errSource) {
			t.Fatal(err)
		}
		wantKeys(t, got, 1, 2, 3, 4, 5) // what the loader returned beside its error, too
		wantAsked(t, &b, []int{1, 2}, []int{3, 4}, []int{5})
		got, err = c.GetOrSetMany(t.Context(), []int{1, 2, 5}, b.load)
		if err != nil {
			t.Fatal(err)
		}
		wantKeys(t, got, 1, 2, 5)
		wantAsked(t, &b)
		// A grace value is served for one of the keys that fail.
		if err := c.Set(t.Context(), 3, 30); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		got, err = c.GetOrSetMany(t.Context(), []int{3, 4}, b.load)
		if !errors.Is(err, errSource) {
			t.Fatal(err)
		}
		wantKeys(t, got, 3, 4)
	})
}

func TestAPanicOfOneChunkKeepsTheOthersResults(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.BatchMax(1))
		b := manyRows{fail: func(keys []int) error {
			if keys[0] == 2 {
				panic("two")
			}
			return nil
		}}
		func() {
			defer func() {
				if p, ok := recover().(*runtime.PanicError); !ok || p.Value != "two" {
					t.Errorf("panicked with %v", p)
				}
			}()
			_, _ = c.GetOrSetMany(t.Context(), []int{1, 2, 3}, b.load)
		}()
		wantAsked(t, &b, []int{1}, []int{2})
		got, err := c.GetMany(t.Context(), []int{1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		wantKeys(t, got, 1)
	})
}

// race R13: a load of many chunks that nobody waits for any more does not go on to
// the next one.
func TestADesertedLoadOfChunksEnds(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.BatchMax(1))
		ctx, cancel := context.WithCancel(t.Context())
		var asked []int
		go func() {
			_, _ = c.GetOrSetMany(ctx, []int{1, 2, 3}, func(ctx context.Context, keys []int) (map[int]int, error) {
				asked = append(asked, keys...)
				<-ctx.Done()
				return nil, ctx.Err()
			})
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if len(asked) != 1 {
			t.Errorf("asked for %v", asked)
		}
	})
}

// Partial failure keeps what was found.
func TestALoaderThatFailsForSomeKeysOnly(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.ErrorTTL(time.Minute))
		loads := 0
		load := func(_ context.Context, keys []int) (map[int]int, error) {
			loads++
			return map[int]int{1: 10, 2: 20}, &runtime.PartialError{Err: fmt.Errorf("shard 2: %w", errSource)}
		}
		for range 2 {
			got, err := c.GetOrSetMany(t.Context(), []int{1, 2, 3}, load)
			if !errors.Is(err, errSource) || strings.Contains(err.Error(), "\n") {
				t.Fatal(err)
			}
			wantKeys(t, got, 1, 2)
		}
		if loads != 1 { // the failure of 3 is remembered
			t.Errorf("%d loads", loads)
		}
	})
}

// One look at the shared tier for all, whatever is in memory.
// race R16: batches that ask for what is not there do not queue for a load each.
func TestBatchesThatFindNothingShareALoad(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		var loads atomic.Int64
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				got, err := c.GetOrSetMany(t.Context(), []int{7}, func(context.Context, []int) (map[int]int, error) {
					loads.Add(1)
					time.Sleep(10 * time.Millisecond)
					return nil, nil
				})
				if len(got) > 0 || err != nil {
					t.Error(got, err)
				}
			})
		}
		synctest.Wait()
		got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil }) // whose loader knows of it
		want(t, got, err, 1)
		all.Wait()
		if n := loads.Load(); n != 1 {
			t.Errorf("%d loads", n)
		}
	})
}

func TestManyKeysCostOneRoundTrip(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		other := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
		for k := range 50 {
			if err := other.Set(t.Context(), k, 10*k); err != nil {
				t.Fatal(err)
			}
		}
		before := shared.Calls("get")
		keys := make([]int, 100)
		for k := range keys {
			keys[k] = k
		}
		var b manyRows
		got, err := c.GetOrSetMany(t.Context(), keys, b.load)
		if err != nil || len(got) != 100 {
			t.Fatal(len(got), err)
		}
		if n := shared.Calls("get") - before; n != 1 {
			t.Errorf("%d reads", n)
		}
		if len(b.asked) != 1 || len(b.asked[0]) != 50 {
			t.Errorf("asked %v", b.asked)
		}
		before = shared.Calls("get")
		if got, err := c.GetMany(t.Context(), append(keys, 200, 201)); err != nil || len(got) != 100 {
			t.Fatal(len(got), err)
		}
		if n := shared.Calls("get") - before; n != 1 {
			t.Errorf("%d reads", n)
		}
	})
}

func TestGetManyReturnsStaleValuesWhenAsked(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCache[int, int](t, newStore(t, append(options(), runtime.TTL(time.Minute), runtime.Grace(time.Hour))...))
				for k := range 3 {
					if err := c.Set(t.Context(), k, 10*k); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.Delete(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				got, err := c.GetMany(t.Context(), []int{0, 1, 2})
				if len(got) != 0 || err != nil {
					t.Fatal(got, err)
				}
				got, err = c.GetMany(t.Context(), []int{0, 1, 2}, runtime.AllowStale())
				if err != nil {
					t.Fatal(err)
				}
				wantKeys(t, got, 0, 2)
				time.Sleep(time.Hour)
				if got, err = c.GetMany(t.Context(), []int{0, 2}, runtime.AllowStale()); len(got) != 0 || err != nil {
					t.Fatal("beyond the grace:", got, err)
				}
			})
		})
	}
}

// What others have loaded by the time the context ends is in the result.
func TestABatchWhoseContextEndsReturnsWhatHasArrived(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		keys := []int{0}
		go c.GetOrSet(t.Context(), 0, func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 0, nil })
		for k := 1; k <= 20; k++ {
			keys = append(keys, k)
			go c.GetOrSet(t.Context(), k, func(context.Context) (int, error) { time.Sleep(time.Second); return 10 * k, nil })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		got, err := c.GetOrSetMany(ctx, keys, func(context.Context, []int) (map[int]int, error) { panic("not asked") })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		wantKeys(t, got, keys[1:]...)
	})
}

// So are the grace values of loads that have taken longer than the soft timeout.
func TestABatchWhoseContextEndsReturnsGraceValues(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCache[int, int](t, newStore(t, append(options(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second))...))
				keys := []int{0}
				for k := 1; k <= 20; k++ {
					keys = append(keys, k)
					if err := c.Set(t.Context(), k, 10*k); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(2 * time.Minute)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				got, err := c.GetOrSetMany(ctx, keys, func(context.Context, []int) (map[int]int, error) { time.Sleep(3 * time.Second); return nil, nil })
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				wantKeys(t, got, keys[1:]...)
			})
		})
	}
}
