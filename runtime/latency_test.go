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
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// As TestReadersNeverSeeWhatWasInvalidatedBeforeTheyCame, with a shared tier that takes its time and callers that give up.
func TestNothingStaleWithLatency(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	for _, mode := range []string{"tag", "expire", "set", "delete", "tag+delete", "tag+noresult", "tag+nocancel", "delete+nocancel"} {
		for _, l1 := range []bool{true, false} {
			t.Run(fmt.Sprint(mode, l1), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var shared faketier.Shared
					nap := func() { // in steps, so that several things happen at once
						if rand.IntN(3) == 0 {
							time.Sleep(time.Duration(rand.IntN(7)) * 50 * time.Microsecond)
						}
					}
					shared.SetBefore(func(context.Context, string, []string) error { nap(); return nil })
					shared.SetAfter(func(string, []string) { nap() })
					o := []runtime.StoreOption{runtime.L2(&shared), runtime.TTL(time.Hour), runtime.StampTrust(2 * time.Millisecond)}
					if l1 {
						o = append(o, memoryTier())
					}
					s := newStore(t, o...)
					stores, _ := runtime.NewStores(s)
					d := definition[int, int64]{Name: "rows",
						Tags: func(k int) []runtime.Tag { return []runtime.Tag{runtime.Tag(fmt.Sprint("key:", k))} }}
					if mode != "tag+noresult" {
						d.ResultTags = func(int64) []runtime.Tag { return []runtime.Tag{"result"} }
					}
					c, _ := open(stores, d)
					var row, settled [4]atomic.Int64
					var last [4]atomic.Value
					done := make(chan struct{})
					var rs, ws sync.WaitGroup
					var bad atomic.Int64
					for range 6 {
						rs.Go(func() {
							for {
								select {
								case <-done:
									return
								default:
								}
								time.Sleep(time.Duration(rand.IntN(2)) * 50 * time.Microsecond)
								k := rand.IntN(4)
								least := settled[k].Load()
								op := last[k].Load()
								ctx, cancel := context.WithCancel(context.Background())
								if rand.IntN(4) == 0 && mode != "tag+nocancel" && mode != "delete+nocancel" {
									time.AfterFunc(time.Duration(rand.IntN(9))*50*time.Microsecond, cancel)
								}
								got, err := c.GetOrSet(ctx, k, func(context.Context) (int64, error) { v := row[k].Load(); nap(); return v, nil })
								cancel()
								if err == nil && got < least {
									if bad.Add(1) < 4 {
										t.Errorf("key %d: %d < %d after %v", k, got, least, op)
									}
								}
							}
						})
					}
					for k := range 4 {
						ws.Go(func() {
							for i := range 150 {
								v := row[k].Add(1)
								m := mode
								if mode == "tag+delete" {
									m = []string{"tag", "delete"}[i%2]
								}
								var err error
								switch m {
								case "tag", "tag+noresult", "tag+nocancel":
									err = s.DeleteByTag(context.Background(), runtime.Tag(fmt.Sprint("key:", k)))
								case "expire":
									err = c.Expire(context.Background(), k)
								case "set":
									err = c.Set(context.Background(), k, v)
								default:
									err = c.Delete(context.Background(), k)
								}
								if err != nil {
									t.Log(err)
								}
								last[k].Store(m)
								settled[k].Store(v)
							}
						})
					}
					ws.Wait()
					close(done)
					rs.Wait()
					if bad.Load() > 0 {
						t.Errorf("%d bad", bad.Load())
					}
				})
			})
		}
	}
}

// race R5: one writer, two deletes one after the other, and a fill that began during the first.
func TestTheNextDeleteWaitsForAFillThatTheLastOneMet(t *testing.T) {
	for _, l1 := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			var shared faketier.Shared
			holdDelete, holdFill := make(chan struct{}), make(chan struct{})
			var deletes, sets atomic.Int64
			shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
				if op == "delete" && deletes.Add(1) == 1 {
					<-holdDelete
				}
				if op == "set" && keys[0] == adHocKeys+"7" && sets.Add(1) == 1 {
					<-holdFill
				}
				return nil
			})
			o := []runtime.StoreOption{runtime.L2(&shared)}
			if l1 {
				o = append(o, memoryTier())
			}
			c := newCache[int, int](t, newStore(t, o...))
			d1 := make(chan error, 1)
			go func() { d1 <- c.Delete(context.Background(), 7) }() // row is 1
			time.Sleep(time.Millisecond)
			go c.GetOrSet(context.Background(), 7, func(context.Context) (int, error) { return 1, nil })
			time.Sleep(time.Millisecond) // it has loaded 1 and is writing it
			close(holdDelete)
			if err := <-d1; err != nil {
				t.Fatal(err)
			}
			d2 := make(chan error, 1)
			go func() { d2 <- c.Delete(context.Background(), 7) }() // row is 2
			time.Sleep(time.Millisecond)
			select {
			case err := <-d2:
				d2 <- err
				close(holdFill)
			default:
				close(holdFill)
			}
			if err := <-d2; err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
			got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
			want(t, got, err, 2)
		})
	}
}
