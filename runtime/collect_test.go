package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A row is one number of a database, and one transaction at a time.
type row struct {
	committed, written atomic.Int64
	loads              atomic.Int64
}

// load reads what is committed, as another caller does.
func (d *row) load(context.Context) (int, error) {
	d.loads.Add(1)
	return int(d.committed.Load()), nil
}

// loadInside reads what the transaction has written.
func (d *row) loadInside(context.Context) (int, error) {
	d.loads.Add(1)
	return int(d.written.Load()), nil
}

func (d *row) commit() { d.committed.Store(d.written.Load()) }

func fresh(t *testing.T, c *runtime.Cache[int, int], key, wanted int) {
	t.Helper()
	v, err := c.GetOrSet(t.Context(), key, func(context.Context) (int, error) { return -1, nil })
	want(t, v, err, wanted)
}

// race R6: a load that begins after the invalidation and before the commit reads the old row, may
// serve it until the commit, and leaves nothing of it behind.
func TestALoadBetweenAChangeAndItsCommitLeavesNothingOldBehind(t *testing.T) {
	for _, result := range []bool{false, true} {
		everyChangeWith(t, result, func(t *testing.T, c *runtime.Cache[int, int], change func(context.Context) error) {
			var db row
			db.committed.Store(1)
			v, err := c.GetOrSet(t.Context(), 7, db.load)
			want(t, v, err, 1)
			ctx, collected := runtime.Collect(t.Context())
			defer collected.Rollback()
			db.written.Store(2)
			if err := change(ctx); err != nil {
				t.Fatal(err)
			}
			// Another caller comes, for whom nothing has happened yet.
			fresh(t, c, 7, 1)
			if v, err = c.GetOrSet(t.Context(), 7, db.load, runtime.ForceFresh()); err != nil || v != 1 {
				t.Fatal(v, err)
			}
			// And one whose load ends after the commit.
			hold, late := make(chan struct{}), make(chan int)
			go func() {
				v, err := c.GetOrSet(context.Background(), 7, func(ctx context.Context) (int, error) {
					v, err := db.load(ctx)
					<-hold
					return v, err
				}, runtime.ForceFresh())
				if err != nil {
					t.Error(err)
				}
				late <- v
			}()
			synctest.Wait()
			db.commit()
			if err := collected.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			after := make(chan int)
			go func() {
				v, err := c.GetOrSet(context.Background(), 7, db.load)
				if err != nil {
					t.Error(err)
				}
				after <- v
			}()
			synctest.Wait() // it may wait for the old load to end, but does not get what that returns
			close(hold)
			if old, v := <-late, <-after; old != 1 || v != 2 {
				t.Errorf("the caller of the old load got %d, the one after the commit %d", old, v)
			}
			for range 3 {
				v, err = c.GetOrSet(t.Context(), 7, db.load)
				want(t, v, err, 2)
				time.Sleep(time.Second)
			}
		})
	}
}

// heldChanges are all the ways in which a transaction can change the entry of key 7. They set no
// value but v.
func heldChanges() map[string]func(ctx context.Context, s *runtime.Store, c *runtime.Cache[int, int], v int) error {
	all := map[string]func(ctx context.Context, s *runtime.Store, c *runtime.Cache[int, int], v int) error{
		"Set": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int], v int) error {
			return c.Set(ctx, 7, v)
		},
		"Pull": func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int], _ int) error {
			_, _, err := c.Pull(ctx, 7)
			return err
		},
	}
	for name, change := range changes {
		all[name] = func(ctx context.Context, s *runtime.Store, c *runtime.Cache[int, int], _ int) error {
			return change(ctx, s, c)
		}
	}
	return all
}

// race R6: in every shape of store, other callers read between a change and its commit, in this
// process and in another one. What they load has ended before the commit, or ends only when
// everything has been carried out. In either case nothing of it is read afterwards. An unclear commit
// is carried out in the same way, and sets nothing.
func TestWhatIsReadBetweenAChangeAndItsCommitIsNotReadAfterwards(t *testing.T) {
	for name, change := range heldChanges() {
		for _, unclear := range []bool{false, true} {
			for _, late := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/unclear=%v/late=%v", name, unclear, late), func(t *testing.T) {
					inEveryShape(t, func(t *testing.T, in shape) {
						join := in.team()
						here, there := newStore(t, join()), newStore(t, join())
						own := newCacheNamed[int, int](t, here.Namespace("users"), "numbers")
						others := []*runtime.Cache[int, int]{own, newCacheNamed[int, int](t, there.Namespace("users"), "numbers")}
						synctest.Wait()
						testReadsBeforeACommit(t, in, here, others, change, unclear, late)
					})
				})
			}
		}
	}
}

func testReadsBeforeACommit(t *testing.T, in shape, here *runtime.Store, caches []*runtime.Cache[int, int],
	change func(ctx context.Context, s *runtime.Store, c *runtime.Cache[int, int], v int) error, unclear, late bool) {
	var db row
	db.committed.Store(1)
	read := func(c *runtime.Cache[int, int], load func(context.Context) (int, error), options ...runtime.CallOption) int {
		v, err := c.GetOrSet(context.Background(), 7, load, append(options, runtime.Tags("team:1"))...)
		if err != nil {
			t.Error(err)
		}
		return v
	}
	for _, c := range caches {
		read(c, db.load)
	}
	ctx, collected := runtime.Collect(t.Context())
	defer collected.Rollback()
	db.written.Store(2)
	set := 2
	if unclear {
		set = 3 // which nobody ever reads
	}
	if err := change(ctx, here, caches[0], set); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	var loading sync.WaitGroup
	for _, c := range caches {
		if v := read(c, db.load); v != 1 {
			t.Errorf("before the commit somebody reads %d", v)
		}
		if !late {
			read(c, db.load, runtime.ForceFresh())
			continue
		}
		loading.Go(func() {
			read(c, func(ctx context.Context) (int, error) {
				v, err := db.load(ctx)
				<-release
				return v, err
			}, runtime.ForceFresh())
		})
		synctest.Wait()
	}
	db.commit()
	end := collected.Commit
	if unclear {
		end = collected.Unclear
	}
	if err := end(ctx); err != nil {
		t.Fatal(err)
	}
	close(release)
	loading.Wait()
	synctest.Wait()
	for i, c := range caches {
		switch {
		case i == 0:
			// Without a bus and without leases, nobody can keep the other process from storing what it has read.
			if late && in.l2 && !in.leases && !in.bus {
				continue
			}
		case !in.bus && in.l1: // the other process has not heard of it
			continue
		case late && in.l2 && !in.leases && !in.bus:
			continue
		}
		for range 3 {
			if v := read(c, db.load); v != 2 {
				t.Errorf("process %d reads %d after the commit", i, v)
			}
			time.Sleep(time.Second)
		}
	}
}

func TestARollbackDropsWhatWasChanged(t *testing.T) {
	everyChangeWith(t, false, func(t *testing.T, c *runtime.Cache[int, int], change func(context.Context) error) {
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		ctx, collected := runtime.Collect(t.Context())
		err := errors.Join(change(ctx), c.Set(ctx, 7, 2), c.Set(ctx, 8, 2))
		if _, _, errPull := c.Pull(ctx, 7); err != nil || errPull != nil {
			t.Fatal(err, errPull)
		}
		collected.Rollback()
		collected.Rollback()
		fresh(t, c, 7, 1)
		fresh(t, c, 8, -1)
		if err := collected.Commit(ctx); !errors.Is(err, runtime.ErrCollectDone) {
			t.Error(err)
		}
		fresh(t, c, 7, 1)
	})
}

// Everything that a writer can call is held, also what generated code calls.
func TestEveryMethodThatChangesSomethingIsHeld(t *testing.T) {
	type call func(ctx context.Context, s *runtime.Store, c *runtime.Cache[int, int]) error
	for name, test := range map[string]struct {
		call call
		kept int // the value afterwards; -1 for none
	}{
		"DeleteMany": {func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error {
			return c.DeleteMany(ctx, 6, 7)
		}, -1},
		"Invalidate": {func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error {
			return c.Invalidate(ctx, []int{6}, []runtime.Tag{"team:1"})
		}, -1},
		"Set": {func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error { return c.Set(ctx, 7, 2) }, 2},
		"SetForever": {func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error {
			return c.SetForever(ctx, 7, 2)
		}, 2},
		"Pull": {func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error {
			v, ok, err := c.Pull(ctx, 7)
			if v != 1 || !ok {
				return fmt.Errorf("pulled %d, %v", v, ok)
			}
			if v, ok, _ := c.Pull(ctx, 7); ok {
				return fmt.Errorf("pulled %d again", v)
			}
			return err
		}, -1},
		"gen.Write": {func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error {
			return gen.Write(ctx, gen.Writer{Function: "app.Save"}, gen.Delete(c, 7))
		}, -1},
		"gen.Write of all targets": {func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error {
			return gen.Write(ctx, gen.Writer{Function: "app.Save"}, gen.Expire(c, 5), gen.ExpireByTag(c, "x"), gen.DeleteByTag(c, "team:1"),
				gen.Clear(c, "other"), gen.Set(c, 7, 3))
		}, 3},
		"gen.Call": {func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error {
			return gen.Write(ctx, gen.Writer{Function: "app.Save"}, gen.Call(func(ctx context.Context) error { return c.Delete(ctx, 7) }))
		}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				s := newStore(t, in.tiers())
				c := newCache[int, int](t, s)
				if err := c.Set(t.Context(), 7, 1, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
				ctx, collected := runtime.Collect(t.Context())
				defer collected.Rollback()
				if err := test.call(ctx, s, c); err != nil {
					t.Fatal(err)
				}
				fresh(t, c, 7, 1)
				if err := collected.Commit(ctx); err != nil {
					t.Fatal(err)
				}
				fresh(t, c, 7, test.kept)
			})
		})
	}
}

// What the transaction has changed it reads from its source, whatever the cache has, and nothing of
// that is kept.
func TestAReaderInsideATransactionLoadsWhatThatHasChanged(t *testing.T) {
	for _, result := range []bool{false, true} {
		everyChangeWith(t, result, func(t *testing.T, c *runtime.Cache[int, int], change func(context.Context) error) {
			var db row
			db.committed.Store(1)
			db.written.Store(2)
			v, err := c.GetOrSet(t.Context(), 7, db.load)
			want(t, v, err, 1)
			ctx, collected := runtime.Collect(t.Context())
			defer collected.Rollback()
			v, err = c.GetOrSet(ctx, 7, db.loadInside)
			want(t, v, err, 1) // nothing has changed yet
			if err := change(ctx); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				before := db.loads.Load()
				v, err = c.GetOrSet(ctx, 7, db.loadInside)
				if want(t, v, err, 2); db.loads.Load() != before+1 {
					t.Error("it was not loaded")
				}
			}
			many, err := c.GetOrSetMany(ctx, []int{7}, func(_ context.Context, keys []int) (map[int]int, error) {
				return map[int]int{7: 2}, nil
			})
			if err != nil || many[7] != 2 {
				t.Error(many, err)
			}
			if v, ok, err := c.Get(ctx, 7); ok || err != nil {
				t.Error("Get:", v, err)
			}
			if has, err := c.Has(ctx, 7); has || err != nil {
				t.Error("Has:", has, err)
			}
			if many, err := c.GetMany(ctx, []int{7}, runtime.AllowStale()); len(many) > 0 || err != nil {
				t.Error("GetMany:", many, err)
			}
			fresh(t, c, 7, 1)
		})
	}
}

// The fast path of generated code leaves it to the others.
func TestTheFastPathServesNothingInsideATransaction(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := benchCache(t, "user:")
		hitInt(t, c)
		hitText(t, c)
		var buf gen.KeyBuffer
		text, err := benchKey(77).AppendText(buf[:0])
		if err != nil {
			t.Fatal(err)
		}
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		if _, ok := gen.Hit(ctx, c, text); ok {
			t.Error("Hit")
		}
		if _, ok := gen.HitInt(ctx, c, 77); ok {
			t.Error("HitInt")
		}
		hitInt(t, c)
		hitText(t, c)
	})
}

// A value that was set in the transaction is not there before the commit, not even inside.
func TestAReaderInsideATransactionDoesNotGetWhatWasSet(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		if err := c.Set(ctx, 7, 2); err != nil {
			t.Fatal(err)
		}
		if v, ok, err := c.Get(ctx, 7); ok || err != nil {
			t.Error(v, err)
		}
		v, err := c.GetOrSet(ctx, 7, func(context.Context) (int, error) { return 3, nil })
		want(t, v, err, 3)
		if err := collected.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		fresh(t, c, 7, 2)
	})
}

// What the transaction has not changed it may have from the cache. What it loads is its own: nobody
// joins its load, it joins nobody's, and nothing is kept.
func TestAReaderInsideATransactionKeepsAndSharesNothing(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		join := in.team()
		c, elsewhere := newCache[int, int](t, newStore(t, join())), newCache[int, int](t, newStore(t, join()))
		ctx, collected := runtime.Collect(context.WithValue(t.Context(), contextKey{}, "mine"))
		defer collected.Rollback()
		if err := elsewhere.Set(t.Context(), 1, 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		v, err := c.GetOrSet(ctx, 1, func(context.Context) (int, error) { return 5, nil })
		if want := map[bool]int{true: 1, false: 5}[in.l2]; v != want || err != nil {
			t.Errorf("got %d, %v, want %d", v, err, want)
		}
		// An outside load is not waited for: it may wait for what the transaction holds.
		hold, outside := make(chan struct{}), make(chan int)
		go func() {
			v, _ := c.GetOrSet(context.Background(), 2, func(context.Context) (int, error) { <-hold; return 20, nil })
			outside <- v
		}()
		synctest.Wait()
		v, err = c.GetOrSet(ctx, 2, func(in context.Context) (int, error) {
			if in.Value(contextKey{}) != "mine" {
				t.Error("not called with the context of its caller")
			}
			return 21, nil
		})
		want(t, v, err, 21)
		close(hold)
		if v := <-outside; v != 20 {
			t.Error("outside:", v)
		}
		fresh(t, c, 2, 20)
		// An inside load is joined by nobody.
		hold = make(chan struct{})
		inside := make(chan int)
		go func() {
			v, _ := c.GetOrSet(ctx, 3, func(context.Context) (int, error) { <-hold; return 31, nil })
			inside <- v
		}()
		synctest.Wait()
		v, err = c.GetOrSet(t.Context(), 3, func(context.Context) (int, error) { return 30, nil })
		want(t, v, err, 30)
		close(hold)
		if v := <-inside; v != 31 {
			t.Error("inside:", v)
		}
		fresh(t, c, 3, 30)
		for _, options := range [][]runtime.CallOption{nil, {runtime.ForceFresh()}, {runtime.TTL(time.Hour)}} {
			v, err = c.GetOrSet(ctx, 4, func(context.Context) (int, error) { return 4, nil }, options...)
			want(t, v, err, 4)
			many, err := c.GetOrSetMany(ctx, []int{4, 5}, func(_ context.Context, keys []int) (map[int]int, error) {
				return map[int]int{4: 4, 5: 5}, nil
			}, options...)
			if len(many) != 2 || err != nil {
				t.Error(many, err)
			}
		}
		for _, key := range []int{4, 5} {
			if v, ok, err := c.Get(t.Context(), key); ok || err != nil {
				t.Error(key, v, err)
			}
		}
		// So it is when the transaction has ended: nobody knows what the loader reads.
		collected.Rollback()
		v, err = c.GetOrSet(ctx, 4, func(context.Context) (int, error) { return 4, nil })
		want(t, v, err, 4)
		fresh(t, c, 4, -1)
	})
}

type contextKey struct{}

// A stale value is not served inside, nor loaded in the background: that load would have the
// transaction in its context.
func TestAReaderInsideATransactionRefreshesNothing(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.RefreshAfter(30*time.Second))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		time.Sleep(40 * time.Second) // due
		var loads atomic.Int64
		load := func(context.Context) (int, error) { loads.Add(1); return 2, nil }
		v, err := c.GetOrSet(ctx, 7, load)
		want(t, v, err, 1)
		synctest.Wait()
		if loads.Load() != 0 {
			t.Error("loaded in the background")
		}
		time.Sleep(time.Minute) // stale
		v, err = c.GetOrSet(ctx, 7, load)
		want(t, v, err, 2)
		if _, err := c.GetOrSet(ctx, 7, func(context.Context) (int, error) { return 0, errSource }); !errors.Is(err, errSource) {
			t.Error(err)
		}
		if v, ok, err := c.Get(t.Context(), 7, runtime.AllowStale()); v != 1 || !ok || err != nil {
			t.Error(v, ok, err)
		}
	})
}

// One call is one hit or one miss (R41), inside as well.
func TestAReadInsideATransactionIsOneHitOrOneMiss(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var hits, misses atomic.Int64
		s := newStore(t, in.tiers(), runtime.NotFoundTTL(time.Hour), runtime.Hooks(event.Hooks{
			Hit: func(event.Hit) { hits.Add(1) }, Miss: func(event.Miss) { misses.Add(1) },
		}))
		c := newCache[int, int](t, s)
		err := c.Set(t.Context(), 1, 1)
		if _, notFound := c.GetOrSet(t.Context(), 2, func(context.Context) (int, error) { return 0, runtime.ErrNotFound }); err != nil || !errors.Is(notFound, runtime.ErrNotFound) {
			t.Fatal(err, notFound)
		}
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		if err := s.DeleteByTag(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(ctx, 4); err != nil {
			t.Fatal(err)
		}
		if err := c.Set(t.Context(), 5, 5, runtime.Tags("x")); err != nil {
			t.Fatal(err)
		}
		for key, hit := range map[int]int64{1: 1, 2: 0, 3: 0, 4: 0, 5: 0} {
			hits.Store(0)
			misses.Store(0)
			if _, err := c.GetOrSet(ctx, key, func(context.Context) (int, error) { return 1, nil }); err != nil {
				t.Fatal(err)
			}
			if hits.Load() != hit || misses.Load() != 1-hit {
				t.Errorf("key %d: %d hits, %d misses", key, hits.Load(), misses.Load())
			}
		}
	})
}

// BatchMax is what a source can take, with a cache or without.
func TestALoaderOfManyKeysInsideATransactionIsAskedForAFewAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache[int, int](t, newStore(t, memoryTier()), runtime.BatchMax(2))
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		var asked []int
		found, err := c.GetOrSetMany(ctx, []int{1, 2, 3, 4, 5}, func(_ context.Context, keys []int) (map[int]int, error) {
			asked = append(asked, len(keys))
			found := make(map[int]int)
			for _, key := range keys {
				found[key] = key
			}
			return found, nil
		})
		if err != nil || len(found) != 5 || !slices.Equal(asked, []int{2, 2, 1}) {
			t.Error(found, err, asked)
		}
	})
}

// The order of changes counts where a value is set: what is invalidated after it does not come back.
func TestAValueThatIsInvalidatedAfterItWasSetIsDeleted(t *testing.T) {
	set := func(ctx context.Context, _ *runtime.Store, c *runtime.Cache[int, int]) error { return c.Set(ctx, 7, 2) }
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				for _, order := range []string{"set last", "set first", "set twice"} {
					s := newNamed(t, order, in.tiers())
					stores, err := runtime.NewStores(s)
					if err != nil {
						t.Fatal(err)
					}
					c, err := open(stores, definition[int, int]{
						Name: "pkg.Find", Namespace: "users", ResultTags: func(int) []runtime.Tag { return []runtime.Tag{"team:1"} },
					})
					if err != nil {
						t.Fatal(err)
					}
					if err := c.Set(t.Context(), 7, 1); err != nil {
						t.Fatal(err)
					}
					ctx, collected := runtime.Collect(t.Context())
					defer collected.Rollback()
					wanted, calls := -1, []func(context.Context, *runtime.Store, *runtime.Cache[int, int]) error{set, change}
					switch order {
					case "set last":
						wanted, calls = 2, []func(context.Context, *runtime.Store, *runtime.Cache[int, int]) error{change, set}
					case "set twice":
						wanted, calls = 2, append(calls, set)
					}
					for _, call := range calls {
						if err := call(ctx, s, c); err != nil {
							t.Fatal(err)
						}
					}
					if err := s.DeleteByTag(ctx, "another"); err != nil {
						t.Fatal(err)
					}
					if err := collected.Commit(ctx); err != nil {
						t.Fatal(err)
					}
					if fresh(t, c, 7, wanted); t.Failed() {
						t.Fatal(order)
					}
				}
			})
		})
	}
}

// What somebody else has changed since a value was set in a transaction is newer than the value.
func TestAValueThatWasSetBeforeAnotherChangeIsNotStored(t *testing.T) {
	everyChangeWith(t, true, func(t *testing.T, c *runtime.Cache[int, int], change func(context.Context) error) {
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		if err := c.Set(ctx, 7, 2); err != nil {
			t.Fatal(err)
		}
		if err := change(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := collected.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		fresh(t, c, 7, -1)
	})
}

// The caller may go on with the value that it has given.
func TestAValueThatIsHeldIsACopy(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, []int](t, newStore(t, in.tiers()))
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		given := []int{1}
		if err := c.Set(ctx, 7, given); err != nil {
			t.Fatal(err)
		}
		given[0] = 9
		if err := collected.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		if v, ok, err := c.Get(t.Context(), 7); !ok || err != nil || v[0] != 1 {
			t.Error(v, ok, err)
		}
	})
}

func TestAnUnclearTransactionDeletesAndSetsNothing(t *testing.T) {
	everyChangeWith(t, false, func(t *testing.T, c *runtime.Cache[int, int], change func(context.Context) error) {
		for key := range 3 {
			if err := c.Set(t.Context(), 7+key, 1); err != nil {
				t.Fatal(err)
			}
		}
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		if err := errors.Join(change(ctx), c.Set(ctx, 8, 2)); err != nil {
			t.Fatal(err)
		}
		if err := collected.Unclear(ctx); err != nil {
			t.Fatal(err)
		}
		fresh(t, c, 7, -1)
		fresh(t, c, 8, -1)
		if err := collected.Unclear(ctx); !errors.Is(err, runtime.ErrCollectDone) {
			t.Error(err)
		}
	})
}

// A savepoint is a part of its transaction.
func TestATransactionInsideAnotherIsAPartOfIt(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		for key := 1; key <= 6; key++ {
			if err := c.Set(t.Context(), key, 1); err != nil {
				t.Fatal(err)
			}
		}
		ctx, outer := runtime.Collect(t.Context())
		defer outer.Rollback()
		var errs []error
		errs = append(errs, c.Delete(ctx, 1), c.Set(ctx, 2, 2))
		kept, inner := runtime.Collect(ctx)
		errs = append(errs, c.Delete(kept, 2), c.Delete(kept, 3), c.Set(kept, 4, 4))
		if v, err := c.GetOrSet(kept, 1, func(context.Context) (int, error) { return 100, nil }); v != 100 || err != nil {
			t.Error("what the outer one has changed was served:", v, err)
		}
		errs = append(errs, inner.Commit(kept))
		dropped, inner := runtime.Collect(ctx)
		errs = append(errs, c.Delete(dropped, 5), c.Set(dropped, 6, 6))
		inner.Rollback()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for key := 1; key <= 6; key++ {
			fresh(t, c, key, 1)
		}
		for key, wanted := range map[int]int{1: 100, 2: 100, 3: 100, 4: 100, 5: 1, 6: 1} {
			v, err := c.GetOrSet(ctx, key, func(context.Context) (int, error) { return 100, nil })
			want(t, v, err, wanted)
		}
		if err := outer.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		for key, wanted := range map[int]int{1: -1, 2: -1, 3: -1, 4: 4, 5: 1, 6: 1} {
			fresh(t, c, key, wanted)
		}
	})
}

func TestWhatATransactionHasTakenOverIsDroppedWithIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache[int, int](t, newStore(t, memoryTier()))
		if err := c.Set(t.Context(), 1, 1); err != nil {
			t.Fatal(err)
		}
		ctx, outer := runtime.Collect(t.Context())
		inside, inner := runtime.Collect(ctx)
		if err := errors.Join(c.Delete(inside, 1), inner.Commit(inside)); err != nil {
			t.Fatal(err)
		}
		outer.Rollback()
		fresh(t, c, 1, 1)
	})
}

// A change that comes when the transaction has ended is made at once, and is logged once: the data
// may have changed, and may not.
func TestAChangeThatComesLateIsMadeAtOnce(t *testing.T) {
	mayTell(t, "transaction that has ended")
	for name, end := range map[string]func(context.Context, *runtime.Collected) error{
		"commit":   func(ctx context.Context, c *runtime.Collected) error { return c.Commit(ctx) },
		"unclear":  func(ctx context.Context, c *runtime.Collected) error { return c.Unclear(ctx) },
		"rollback": func(_ context.Context, c *runtime.Collected) error { c.Rollback(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			everyChangeWith(t, false, func(t *testing.T, c *runtime.Cache[int, int], change func(context.Context) error) {
				for key := range 4 {
					if err := c.Set(t.Context(), 7+key, 1); err != nil {
						t.Fatal(err)
					}
				}
				ctx, collected := runtime.Collect(t.Context())
				inside, inner := runtime.Collect(ctx)
				if err := errors.Join(c.Delete(inside, 9), c.Set(inside, 10, 2), end(ctx, collected)); err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(change(ctx), c.Set(ctx, 8, 2), inner.Commit(inside)); err != nil {
					t.Fatal(err)
				}
				for key := range 4 {
					fresh(t, c, 7+key, -1)
				}
			})
		})
	}
}

func TestALateChangeIsLoggedOnce(t *testing.T) {
	mayTell(t, "transaction that has ended")
	bubble(t, func(t *testing.T) {
		var log logged
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.Logger(log.logger())))
		ctx, collected := runtime.Collect(t.Context())
		collected.Rollback()
		for range 3 {
			if err := c.Delete(ctx, 7); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // the log has its own limit
		}
		if n := log.count("a change came with the context of a transaction that has ended"); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}

// That nobody ends a transaction is found out when nobody can any more.
func TestATransactionThatIsForgottenIsLogged(t *testing.T) {
	mayTell(t, "collected in a transaction are lost")
	var log logged
	s := newStore(t, memoryTier(), runtime.Logger(log.logger()))
	c := newCache[int, int](t, s)
	func() {
		ctx, _ := runtime.Collect(t.Context())
		if err := c.Delete(ctx, 7); err != nil {
			t.Fatal(err)
		}
	}()
	for range 100 {
		goruntime.GC()
		time.Sleep(time.Millisecond)
		if log.count("changes that were collected in a transaction are lost") == 1 {
			return
		}
	}
	t.Error("not logged")
}

// The error is that of the methods that were called: which functions have done their work, what was
// not reached, and whether that is an error at all.
func TestTheErrorOfACommitIsThatOfADirectCall(t *testing.T) {
	mayTell(t, append(theSharedTierFails, "pending", "invalidation", "deleted", "expired", "cleared")...)
	write := func(function string, target func(c *runtime.Cache[int, int]) gen.Target) func(context.Context, *runtime.Cache[int, int]) error {
		return func(ctx context.Context, c *runtime.Cache[int, int]) error {
			return gen.Write(ctx, gen.Writer{Function: function}, target(c))
		}
	}
	remove := func(c *runtime.Cache[int, int]) gen.Target { return gen.Delete(c, 7) }
	tag := func(c *runtime.Cache[int, int]) gen.Target { return gen.DeleteByTag(c, "a") }
	logged := func(ctx context.Context, c *runtime.Cache[int, int]) error {
		return gen.Write(ctx, gen.Writer{Function: "app.Quiet", Errors: gen.LogErrors}, gen.Delete(c, 8))
	}
	type calls []func(context.Context, *runtime.Cache[int, int]) error
	for name, test := range map[string]struct {
		calls        calls
		function, op string
		targets      []string
	}{
		"one":            {calls{write("app.Save", remove)}, "app.Save", "delete", []string{adHocKeys + "7"}},
		"twice":          {calls{write("app.Save", remove), write("app.Save", remove)}, "app.Save", "delete", []string{adHocKeys + "7"}},
		"a tag":          {calls{write("app.Save", tag)}, "app.Save", "delete by tag", []string{"tag a"}},
		"two functions":  {calls{write("app.Save", remove), write("app.Move", tag)}, "app.Save, app.Move", "invalidate", []string{adHocKeys + "7", "tag a"}},
		"logged":         {calls{logged}, "", "", nil},
		"logged and not": {calls{logged, write("app.Save", remove)}, "app.Quiet, app.Save", "delete", []string{adHocKeys + "7", adHocKeys + "8"}},
		"a method": {calls{func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.Store().Clear(ctx) }},
			"", "clear", []string{"all entries"}},
		"a set": {calls{func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.Set(ctx, 7, 1) }},
			"", "set", []string{adHocKeys + "7"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
				if err := c.Set(t.Context(), 7, 7); err != nil {
					t.Fatal(err)
				}
				ctx, collected := runtime.Collect(t.Context())
				defer collected.Rollback()
				for _, call := range test.calls {
					if err := call(ctx, c); err != nil {
						t.Fatal(err)
					}
				}
				shared.Down(errors.New("down"))
				err := collected.Commit(ctx)
				shared.Down(nil)
				var failed *runtime.InvalidationError
				switch {
				case test.op == "" && err != nil:
					t.Error(err)
				case test.op == "":
				case !errors.As(err, &failed):
					t.Error(err)
				case failed.Function != test.function || failed.Op != test.op || !slices.Equal(failed.Targets, test.targets):
					t.Errorf("%q %q %q", failed.Function, failed.Op, failed.Targets)
				}
				if name != "a tag" && test.op != "" {
					fresh(t, c, 7, -1)
				}
			})
		})
	}
}

// However many stores and values there are, and whatever hangs, a commit takes the time of one write.
func TestACommitTakesOneTimeLimit(t *testing.T) {
	mayTell(t, append(theSharedTierFails, "pending", "invalidation", "deleted", "expired", "cleared", "refused")...)
	bubble(t, func(t *testing.T) {
		var all []*runtime.Cache[int, int]
		var sick []*atomic.Bool
		for i := range 3 {
			var shared faketier.Shared
			sick = append(sick, hangs(&shared))
			all = append(all, newCache[int, int](t, newNamed(t, fmt.Sprint("store", i), memoryTier(), runtime.L2(&shared))))
		}
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		for _, c := range all {
			for key := range 200 {
				if err := errors.Join(c.Set(ctx, key, 1), c.Delete(ctx, 1000+key), c.Expire(ctx, 2000+key)); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(c.Store().DeleteByTag(ctx, "a"), c.Store().Namespace("n").Clear(ctx)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range sick {
			sick[i].Store(true)
		}
		began := time.Now()
		err := collected.Commit(ctx)
		if took := time.Since(began); took != time.Second || err == nil {
			t.Errorf("after %v: %v", took, err)
		}
		for i := range sick {
			sick[i].Store(false)
		}
		time.Sleep(time.Minute)
		for _, c := range all {
			fresh(t, c, 7, -1)
		}
	})
}

// A key is one target, however often it is changed, and many of them are few operations.
func TestManyChangesAreFewOperations(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		var published atomic.Int64
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.Bus(&bus), runtime.Hooks(event.Hooks{
			Published: func(event.Message) { published.Add(1) },
		})))
		synctest.Wait()
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		for range 5 {
			for key := range 2000 {
				if err := c.Delete(ctx, key); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := shared.Calls("delete"); n != 0 {
			t.Errorf("%d operations before the commit", n)
		}
		if err := collected.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		if n, messages := shared.Calls("delete"), published.Load(); n > 20 || messages > 20 {
			t.Errorf("%d operations, %d messages", n, messages)
		}
	})
}

func TestTooManyChangesClearTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var cleared atomic.Int64
		s := newStore(t, memoryTier(), runtime.Hooks(event.Hooks{Cleared: func(event.Invalidation) { cleared.Add(1) }}))
		c := newCache[int, int](t, s)
		for _, key := range []int{1, -1, -2} {
			if err := c.Set(t.Context(), key, 1); err != nil {
				t.Fatal(err)
			}
		}
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		if err := c.Set(ctx, -2, 2); err != nil {
			t.Fatal(err)
		}
		for key := range 100_001 {
			if err := c.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
		if v, err := c.GetOrSet(ctx, -1, func(context.Context) (int, error) { return 5, nil }); v != 5 || err != nil {
			t.Error("inside:", v, err)
		}
		if err := c.Set(ctx, -3, 3); err != nil {
			t.Fatal(err)
		}
		if err := collected.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		for key, wanted := range map[int]int{1: -1, -1: -1, -2: -1, -3: 3} {
			fresh(t, c, key, wanted)
		}
		if cleared.Load() != 1 {
			t.Errorf("cleared %d times", cleared.Load())
		}
	})
}

// Values have their time anew whenever the tier has answered: there may be more than fit into one.
func TestManyValuesAreStoredAlthoughTheTierIsSlow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		shared.SetBefore(func(context.Context, string, []string) error { time.Sleep(100 * time.Millisecond); return nil })
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared)))
		ctx, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		for key := range 300 {
			if err := c.Set(ctx, key, key); err != nil {
				t.Fatal(err)
			}
		}
		for key := 300; key < 310; key++ {
			if err := c.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
		if err := collected.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		for _, key := range []int{0, 150, 299} {
			if v, ok, err := c.Get(t.Context(), key); v != key || !ok || err != nil {
				t.Error(key, v, ok, err)
			}
		}
	})
}

// A transaction may be used by several goroutines, and readers come and go.
func TestATransactionIsUsedByManyGoroutines(t *testing.T) {
	mayTell(t, "transaction that has ended")
	inEveryShapeOutside(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		for round := range 6 {
			ctx, collected := runtime.Collect(t.Context())
			var all sync.WaitGroup
			for g := range 8 {
				all.Go(func() {
					for i := range 20 {
						key := (g + i) % 10
						inside, inner := runtime.Collect(ctx)
						err := errors.Join(c.Delete(ctx, key), c.Set(inside, key+1, i), c.Store().DeleteByTag(inside, "t"))
						if i%2 == 0 {
							inner.Rollback()
						} else {
							err = errors.Join(err, inner.Commit(ctx))
						}
						_, errGet := c.GetOrSet(ctx, key, func(context.Context) (int, error) { return 1, nil })
						_, errOutside := c.GetOrSet(context.Background(), key, func(context.Context) (int, error) { return 1, nil })
						if err := errors.Join(err, errGet, errOutside); err != nil {
							t.Error(err)
						}
					}
				})
			}
			if round%2 == 0 {
				all.Wait()
			}
			if err := collected.Commit(ctx); err != nil {
				t.Error(err)
			}
			all.Wait()
		}
	})
}

func TestAStoreThatIsClosedMeanwhileSaysSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(t, memoryTier())
		c := newCache[int, int](t, s)
		ctx, collected := runtime.Collect(t.Context())
		if err := errors.Join(c.Delete(ctx, 1), c.Set(ctx, 2, 2)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := collected.Commit(ctx); !errors.Is(err, runtime.ErrClosed) {
			t.Error(err)
		}
		if _, err := c.GetOrSet(ctx, 1, func(context.Context) (int, error) { return 1, nil }); !errors.Is(err, runtime.ErrClosed) {
			t.Error(err)
		}
	})
}

// A key that cannot be written is an error at once, and the others are held.
func TestAKeyThatCannotBeWrittenIsAnErrorInsideATransaction(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache[string, int](t, newStore(t, memoryTier()))
		if err := c.Set(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
		ctx, collected := runtime.Collect(t.Context())
		if err := c.DeleteMany(ctx, "", "a"); err == nil || !strings.Contains(err.Error(), "write a key") {
			t.Error(err)
		}
		if err := collected.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		if has, err := c.Has(t.Context(), "a"); has || err != nil {
			t.Error(has, err)
		}
	})
}

// A logged remembers what a store logs.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(line))
	return len(line), nil
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// count returns how many lines contain text.
func (l *logged) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// A tag that the transaction itself invalidates before it sets a value with the tag may be
// invalidated by another process, too, of which this one has not heard.
func TestAValueIsNotStoredUnderATagThatSomebodyElseHasInvalidated(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		if !in.l2 {
			t.Skip("the processes share nothing")
		}
		join := in.team()
		here, there := newStore(t, join()), newStore(t, join())
		c := newCache[int, int](t, here)
		for _, elsewhere := range []bool{false, true} {
			ctx, collected := runtime.Collect(t.Context())
			defer collected.Rollback()
			if err := errors.Join(here.DeleteByTag(ctx, "a"), c.Set(ctx, 7, 2, runtime.Tags("a"))); err != nil {
				t.Fatal(err)
			}
			if elsewhere {
				time.Sleep(time.Minute) // what is known of the stamp is old, and not trusted any more
				if err := there.DeleteByTag(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
			}
			if err := collected.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			if v, ok, err := c.Get(t.Context(), 7); ok == elsewhere || err != nil {
				t.Errorf("invalidated elsewhere: %v; got %d, %v, %v", elsewhere, v, ok, err)
			}
		}
	})
}

// race R6: with the context of a savepoint that has ended, the data may be changed by the transaction
// around it. What is changed is made at once, and with that one's commit.
func TestAChangeAfterASavepointIsMadeWithTheCommit(t *testing.T) {
	mayTell(t, "transaction that has ended")
	for name, end := range map[string]func(ctx context.Context, inner *runtime.Collected) error{
		"committed":   func(ctx context.Context, inner *runtime.Collected) error { return inner.Commit(ctx) },
		"rolled back": func(_ context.Context, inner *runtime.Collected) error { inner.Rollback(); return nil },
	} {
		for what, change := range map[string]func(ctx context.Context, c *runtime.Cache[int, int]) error{
			"delete": func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.Delete(ctx, 7) },
			"set":    func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.Set(ctx, 7, 3) },
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				inEveryShape(t, func(t *testing.T, in shape) {
					c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Hour)))
					var src source
					src.value.Store(1)
					outer, transaction := runtime.Collect(t.Context())
					inside, savepoint := runtime.Collect(outer)
					if err := errors.Join(end(inside, savepoint), change(inside, c)); err != nil {
						t.Fatal(err)
					}
					got, err := c.GetOrSet(t.Context(), 7, src.load)
					want(t, got, err, 1) // the change is not committed
					src.value.Store(2)
					if err := transaction.Commit(outer); err != nil {
						t.Fatal(err)
					}
					got, err = c.GetOrSet(t.Context(), 7, src.load)
					want(t, got, err, 2)
				})
			})
		}
	}
}

// A program that has no context at the end of a transaction loses nothing.
func TestATransactionIsCommittedWithoutAContext(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Hour)))
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		ctx, collected := runtime.Collect(t.Context())
		//lint:ignore SA1012 what a program may do by mistake
		if err := errors.Join(c.Delete(ctx, 7), collected.Commit(nil)); err != nil {
			t.Fatal(err)
		}
		if ok, err := c.Has(t.Context(), 7); ok || err != nil {
			t.Error(ok, err)
		}
	})
}
