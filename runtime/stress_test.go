package runtime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
)

// Writers raise a row and then invalidate it, in every way there is, while readers
// read. A read must not return less than the row was when the last invalidation
// that had returned before the read began: guarantee 1 of the package.
func TestReadersNeverSeeWhatWasInvalidatedBeforeTheyCame(t *testing.T) {
	const keys, readers, writes = 4, 4, 400
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, append(options(), runtime.TTL(time.Hour), runtime.L2Timeout(time.Minute))...) // in real time, and a machine may be slow
			stores, err := runtime.NewStores(s)
			if err != nil {
				t.Fatal(err)
			}
			c, err := open(stores, definition[int, int64]{
				Name: "rows", Namespace: "rows",
				Tags:       func(k int) []runtime.Tag { return []runtime.Tag{runtime.Tag(fmt.Sprint("key:", k))} },
				ResultTags: func(int64) []runtime.Tag { return []runtime.Tag{"result"} },
			})
			if err != nil {
				t.Fatal(err)
			}
			var rows, settled [keys]atomic.Int64
			load := func(k int) func(context.Context) (int64, error) {
				return func(context.Context) (int64, error) {
					v := rows[k].Load()
					if rand.IntN(4) == 0 {
						time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond) // a slow query, not a wait for something
					}
					return v, nil
				}
			}
			ctx := context.Background()
			done := make(chan struct{})
			var reading sync.WaitGroup
			for range readers {
				reading.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
						}
						k := rand.IntN(keys)
						least := settled[k].Load()
						got, ok := int64(0), true
						var err error
						if rand.IntN(3) == 0 {
							got, ok, err = c.Get(ctx, k)
						} else {
							got, err = c.GetOrSet(ctx, k, load(k))
						}
						if err != nil {
							t.Error(err)
							return
						}
						if ok && got < least {
							t.Errorf("key %d: read %d, but %d had been invalidated before", k, got, least)
							return
						}
					}
				})
			}
			var writing sync.WaitGroup
			for k := range keys { // one writer a row, so that its row has one truth
				writing.Go(func() {
					for range writes {
						v := rows[k].Add(1)
						var err error
						switch rand.IntN(8) {
						case 0:
							err = c.Expire(ctx, k)
						case 1:
							err = s.DeleteByTag(ctx, runtime.Tag(fmt.Sprint("key:", k)))
						case 2:
							err = s.DeleteByTag(ctx, "result", "other")
						case 3:
							err = c.Clear(ctx)
						case 4:
							err = s.Namespace("rows").Clear(ctx)
						case 5:
							err = c.Set(ctx, k, v)
						case 6:
							_, err = c.GetOrSet(ctx, k, load(k), runtime.ForceFresh())
						default:
							err = c.Delete(ctx, k)
						}
						if err != nil {
							t.Error(err)
							return
						}
						settled[k].Store(v)
					}
				})
			}
			writing.Wait()
			close(done)
			reading.Wait()
		})
	}
}
