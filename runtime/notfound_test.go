package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

var errNoRow = errors.New("no row")

// A table is a source of rows that may be missing.
type table struct {
	source
	missing bool
}

func (r *table) load(ctx context.Context) (*int, error) {
	n, err := r.source.load(ctx)
	if r.missing && err == nil {
		return nil, fmt.Errorf("find: %w", errNoRow)
	}
	return &n, err
}

// orNil is load for those who say with a nil pointer that there is nothing.
func (r *table) orNil(ctx context.Context) (*int, error) {
	n, err := r.load(ctx)
	if errors.Is(err, errNoRow) {
		return nil, nil
	}
	return n, err
}

func rows(tags ...runtime.Tag) definition[int, *int] {
	return definition[int, *int]{
		Name: "rows", NotFound: errNoRow, Absent: func(n *int) bool { return n == nil },
		Tags:       func(int) []runtime.Tag { return tags },
		ResultTags: func(n *int) []runtime.Tag { return []runtime.Tag{runtime.Tag(fmt.Sprint("value:", *n))} },
	}
}

func wantNothing(t *testing.T, c *runtime.Cache[int, *int]) {
	t.Helper()
	if v, ok, err := c.Get(t.Context(), 7); v != nil || ok || err != nil {
		t.Errorf("Get: %v, %v, %v, want nothing", v, ok, err)
	}
	if has, err := c.Has(t.Context(), 7); has || err != nil {
		t.Errorf("Has: %v, %v, want false", has, err)
	}
	if v, ok, err := c.Pull(t.Context(), 7); v != nil || ok || err != nil {
		t.Errorf("Pull: %v, %v, %v, want nothing", v, ok, err)
	}
	if found, err := c.GetMany(t.Context(), []int{7}); len(found) != 0 || err != nil {
		t.Errorf("GetMany: %v, %v, want nothing", found, err)
	}
}

func TestThatThereIsNothingIsRemembered(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				src := table{missing: true}
				c := openIn(t, rows(), append(options(), runtime.TTL(time.Hour), runtime.NotFoundTTL(time.Minute))...)
				_, err := c.GetOrSet(t.Context(), 7, src.load)
				if err == errNoRow || !errors.Is(err, errNoRow) {
					t.Errorf("the caller that loaded got %v, want the loader's own error", err)
				}
				time.Sleep(time.Minute - time.Nanosecond)
				for range 3 {
					if v, err := c.GetOrSet(t.Context(), 7, src.load); v != nil || err != errNoRow {
						t.Errorf("got %v, %v, want NotFound itself", v, err)
					}
				}
				wantNothing(t, c)
				wantLoads(t, &src.source, 1)
				time.Sleep(time.Nanosecond)
				src.missing = false
				v, err := c.GetOrSet(t.Context(), 7, src.load)
				want(t, *v, err, 0)
			})
		})
	}
}

func TestThatAValueIsAbsentIsRemembered(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				src := table{missing: true}
				c := openIn(t, rows(), append(options(), runtime.TTL(time.Minute))...) // the TTL counts
				for range 3 {
					v, err := c.GetOrSet(t.Context(), 7, src.orNil)
					want(t, v, err, nil)
					time.Sleep(10 * time.Second)
				}
				wantNothing(t, c)
				wantLoads(t, &src.source, 1)
				time.Sleep(30 * time.Second)
				src.missing = false
				v, err := c.GetOrSet(t.Context(), 7, src.orNil)
				want(t, *v, err, 0)
			})
		})
	}
}

func TestWaitersOfALoadThatFindsNothingGetItsError(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		src := table{missing: true}
		src.delay.Store(int64(time.Second))
		c := openIn(t, rows(), in.tiers())
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := c.GetOrSet(t.Context(), 7, src.load); err == errNoRow || !errors.Is(err, errNoRow) {
					t.Errorf("got %v, want the loader's own error", err)
				}
			})
		}
		wg.Wait()
		wantLoads(t, &src.source, 1)
	})
}

func TestOtherProcessesKnowThatThereIsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		src := table{missing: true}
		a, b := openIn(t, rows("t"), runtime.L2(&shared)), openIn(t, rows("t"), memoryTier(), runtime.L2(&shared))
		a.GetOrSet(t.Context(), 7, src.load)
		a.GetOrSet(t.Context(), 8, src.orNil)
		for range 2 {
			if v, err := b.GetOrSet(t.Context(), 7, src.load); v != nil || err != errNoRow {
				t.Errorf("got %v, %v", v, err)
			}
			if v, err := b.GetOrSet(t.Context(), 8, src.load); v != nil || err != nil {
				t.Errorf("got %v, %v", v, err)
			}
		}
		wantNothing(t, b)
		wantLoads(t, &src.source, 2)
		src.missing = false
		if err := a.Store().DeleteByTag(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * runtime.DefaultStampTrust)
		for _, key := range []int{7, 8} {
			v, err := b.GetOrSet(t.Context(), key, src.load)
			want(t, *v, err, 0)
		}
	})
}

// Whoever made the entry knew a loader that could say so. This one does not.
func TestACacheWithoutNotFoundTakesNoSuchEntry(t *testing.T) {
	mayTell(t, "another shape")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		src := table{missing: true}
		a := openIn(t, rows(), runtime.L2(&shared))
		plain := rows()
		plain.NotFound, plain.Absent = nil, nil
		b := openIn(t, plain, memoryTier(), runtime.L2(&shared))
		for key, load := range map[int]func(context.Context) (*int, error){7: src.load, 8: src.orNil} {
			src.missing = true
			a.GetOrSet(t.Context(), key, load)
			src.missing = false
			v, err := b.GetOrSet(t.Context(), key, src.load)
			want(t, *v, err, 0)
		}
	})
}

func TestAnInvalidationForgetsThatThereIsNothing(t *testing.T) {
	for setup, options := range setups {
		for name, change := range changes {
			t.Run(setup+"/"+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := newStore(t, append(options(), runtime.Grace(time.Hour))...)
					stores, _ := runtime.NewStores("test", s)
					c, err := open(stores, definition[int, int]{
						Name: "n", Namespace: "users", NotFound: errNoRow,
						Tags: func(int) []runtime.Tag { return []runtime.Tag{"team:1"} },
					})
					if err != nil {
						t.Fatal(err)
					}
					c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 0, errNoRow })
					if err := change(t.Context(), s, c); err != nil {
						t.Fatal(err)
					}
					got, err := c.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 1, nil })
					want(t, got, err, 1)
				})
			})
		}
	}
}

func TestThatThereIsNothingReplacesAGraceValue(t *testing.T) {
	for setup, options := range setups {
		for _, ttl := range []time.Duration{time.Minute, 0} {
			t.Run(fmt.Sprint(setup, ttl), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var src table
					c := openIn(t, rows(), append(options(), runtime.TTL(time.Second), runtime.Grace(time.Hour), runtime.Timeout(time.Second), runtime.NotFoundTTL(ttl))...)
					if _, err := c.GetOrSet(t.Context(), 7, src.load); err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * time.Second)
					src.missing = true
					if _, err := c.GetOrSet(t.Context(), 7, src.load); !errors.Is(err, errNoRow) {
						t.Fatalf("got %v, want not found", err)
					}
					src.fail.Store(true)
					time.Sleep(time.Minute)
					if v, err := c.GetOrSet(t.Context(), 7, src.load); v != nil || err != errSource {
						t.Errorf("got %v, %v: what is gone stood in for a load", v, err)
					}
				})
			})
		}
	}
}

func TestARefreshThatFindsNothingReplacesTheValue(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var src table
				c := openIn(t, rows(), append(options(), runtime.TTL(time.Hour), runtime.Grace(time.Hour), runtime.RefreshAfter(time.Minute))...)
				c.GetOrSet(t.Context(), 7, src.load)
				time.Sleep(2 * time.Minute)
				src.missing = true
				v, err := c.GetOrSet(t.Context(), 7, src.load)
				want(t, *v, err, 0)
				synctest.Wait()
				if _, err := c.GetOrSet(t.Context(), 7, src.load); err != errNoRow {
					t.Errorf("got %v, want not found", err)
				}
				synctest.Wait()
				time.Sleep(10 * time.Minute) // nothing is not refreshed
				c.GetOrSet(t.Context(), 7, src.load)
				synctest.Wait()
				wantLoads(t, &src.source, 2)
			})
		})
	}
}

func TestNotFoundIsNotAFailureToRemember(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		src := table{missing: true}
		c := openIn(t, rows(), in.tiers(), runtime.ErrorTTL(time.Hour), runtime.NotFoundTTL(0))
		for range 3 {
			c.GetOrSet(t.Context(), 7, src.load)
		}
		wantLoads(t, &src.source, 3)
	})
}

func TestSetOfAnAbsentValue(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var src table
				c := openIn(t, rows(), append(options(), runtime.TTL(time.Hour), runtime.Grace(time.Hour), runtime.NotFoundTTL(time.Minute))...)
				one := 1
				for _, ttl := range []time.Duration{time.Minute, 0} {
					if err := c.Set(t.Context(), 7, &one); err != nil {
						t.Fatal(err)
					}
					if err := c.Set(t.Context(), 7, nil, runtime.NotFoundTTL(ttl)); err != nil {
						t.Fatal(err)
					}
					wantNothing(t, c)
				}
				v, err := c.GetOrSet(t.Context(), 7, src.load)
				want(t, *v, err, 0)
				c.Set(t.Context(), 7, nil)
				v, err = c.GetOrSet(t.Context(), 7, src.load)
				want(t, v, err, nil)
				time.Sleep(time.Minute)
				v, err = c.GetOrSet(t.Context(), 7, src.load)
				want(t, *v, err, 0)
				wantLoads(t, &src.source, 2)
			})
		})
	}
}

func TestFound(t *testing.T) {
	for _, in := range []struct {
		err, out error
		v        int
		ok       bool
	}{
		{nil, nil, 5, true},
		{fmt.Errorf("find: %w", runtime.ErrNotFound), nil, 0, false},
		{errSource, errSource, 5, false},
	} {
		if v, ok, err := gen.Found(5, in.err); v != in.v || ok != in.ok || err != in.out {
			t.Errorf("Found(5, %v) = %v, %v, %v", in.err, v, ok, err)
		}
	}
}
