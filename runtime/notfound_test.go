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
				c := openIn(t, rows(), append(options(), runtime.TTL(time.Hour), runtime.NotFoundTTL(time.Minute))...)
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
		remembered := runtime.NotFoundTTL(time.Hour)
		a, b := openIn(t, rows("t"), runtime.L2(&shared), remembered), openIn(t, rows("t"), memoryTier(), runtime.L2(&shared), remembered)
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
		knows := definition[int, []int]{Name: "lists", NotFound: errNoRow, Absent: func(v []int) bool { return v == nil }}
		a := openIn(t, knows, runtime.L2(&shared), runtime.NotFoundTTL(time.Hour))
		b := openIn(t, definition[int, []int]{Name: "lists"}, memoryTier(), runtime.L2(&shared))
		for key, none := range map[int]error{7: errNoRow, 8: nil} {
			a.GetOrSet(t.Context(), key, func(context.Context) ([]int, error) { return nil, none })
			v, err := b.GetOrSet(t.Context(), key, func(context.Context) ([]int, error) { return []int{1}, nil })
			want(t, len(v), err, 1)
		}
	})
}

func TestAnInvalidationForgetsThatThereIsNothing(t *testing.T) {
	for setup, options := range setups {
		for name, change := range changes {
			t.Run(setup+"/"+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := newStore(t, append(options(), runtime.Grace(time.Hour), runtime.NotFoundTTL(time.Hour))...)
					stores, _ := runtime.NewStores(s)
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
					if v, err := c.GetOrSet(t.Context(), 7, src.load); err != errSource {
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
				c := openIn(t, rows(), append(options(), runtime.TTL(time.Hour), runtime.Grace(time.Hour), runtime.RefreshAfter(time.Minute), runtime.NotFoundTTL(time.Hour))...)
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

// Kind: something is remembered although nobody has asked for that: no such user for five minutes. That there is no value, however a loader says it, is remembered only with a NotFoundTTL.
func TestThatThereIsNothingIsNotRememberedUnasked(t *testing.T) {
	for setup, options := range setups {
		for name, load := range map[string]func(*table, context.Context) (*int, error){
			"error": (*table).load, "nil": (*table).orNil,
		} {
			for kind, d := range map[string]definition[int, *int]{"declared": rows(), "nil alone": {Name: "rows"}} {
				t.Run(setup+"/"+name+"/"+kind, func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						src := table{missing: true}
						c := openIn(t, d, append(options(), runtime.TTL(time.Hour), runtime.Grace(time.Hour))...)
						for range 3 {
							if v, _ := c.GetOrSet(t.Context(), 7, func(ctx context.Context) (*int, error) { return load(&src, ctx) }); v != nil {
								t.Error(*v)
							}
							wantNothing(t, c)
						}
						wantLoads(t, &src.source, 3)
						src.missing = false
						v, err := c.GetOrSet(t.Context(), 7, src.load)
						want(t, *v, err, 0)
					})
				})
			}
		}
	}
}

// The same for ad-hoc caches, and for keys that a loader of many does not return, or for which it returns nil.
func TestWhatABatchDoesNotFindIsNotRememberedUnasked(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				adHoc, err := runtime.NewCache[int, *int](newStore(t, options()...), "values")
				if err != nil {
					t.Fatal(err)
				}
				for name, c := range map[string]*runtime.Cache[int, *int]{"ad-hoc": adHoc, "declared": openIn(t, rows(), options()...)} {
					loads, one := 0, 1
					for range 3 {
						got, err := c.GetOrSetMany(t.Context(), []int{1, 2, 3}, func(_ context.Context, missing []int) (map[int]*int, error) {
							loads += len(missing)
							return map[int]*int{1: &one, 2: nil}, nil
						})
						if _, listed := got[2]; err != nil || len(got) != 2 || *got[1] != 1 || !listed {
							t.Errorf("%s: %v, %v, want what the loader returned", name, got, err)
						}
					}
					if loads != 3+2+2 {
						t.Errorf("%s: %d loads, want 7", name, loads)
					}
				}
			})
		})
	}
}

// Kind: what a program got without the cache it does not get with it. A value beside an error, beside an error that
// means that there is none, and beside a false bool is for the callers of the load, those who share it, too.
func TestTheCallersOfALoadGetAllThatTheLoaderReturned(t *testing.T) {
	for setup, options := range setups {
		for name, fail := range map[string]error{"failure": errSource, "not found": fmt.Errorf("find: %w", errNoRow)} {
			t.Run(setup+"/"+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c := openIn(t, definition[int, []int]{Name: "lists", NotFound: errNoRow},
						append(options(), runtime.ErrorTTL(time.Hour), runtime.NotFoundTTL(time.Hour))...)
					var wg sync.WaitGroup
					for range 3 {
						wg.Go(func() {
							v, err := c.GetOrSet(t.Context(), 7, func(context.Context) ([]int, error) {
								time.Sleep(time.Second)
								return []int{1, 2}, fail
							})
							if len(v) != 2 || v[0] != 1 || err != fail {
								t.Errorf("got %v, %v, want the loader's results", v, err)
							}
							if len(v) > 0 {
								v[0]++ // each has its own
							}
						})
					}
					wg.Wait()
					v, err := c.GetOrSet(t.Context(), 7, func(context.Context) ([]int, error) { return []int{3}, nil })
					if v != nil || !errors.Is(err, fail) && err != errNoRow {
						t.Errorf("got %v, %v, want what is remembered, without a value", v, err)
					}
				})
			})
		}
	}
}

func TestABatchsCallerGetsWhatTheLoaderReturnedBesideAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := openIn(t, definition[int, int]{Name: "numbers"}, memoryTier())
		for range 2 {
			got, err := c.GetOrSetMany(t.Context(), []int{1, 2}, func(context.Context, []int) (map[int]int, error) {
				return map[int]int{1: 10}, errSource
			})
			if len(got) != 1 || got[1] != 10 || err != errSource {
				t.Errorf("got %v, %v, want the loader's results", got, err)
			}
		}
		if has, err := c.Has(t.Context(), 1); has || err != nil {
			t.Error("what came with an error was kept:", has, err)
		}
	})
}

func TestGetOrSetFound(t *testing.T) {
	for _, disabled := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			type results struct {
				v   string
				ok  bool
				err error
			}
			s := newStore(t, memoryTier(), runtime.TTL(time.Hour))
			stores, _ := runtime.NewStores(s)
			c, err := open(stores, definition[int, string]{Name: "found", NotFound: runtime.ErrNotFound})
			if err != nil {
				t.Fatal(err)
			}
			if disabled {
				if err := stores.Disable("found"); err != nil {
					t.Fatal(err)
				}
			}
			for key, r := range []results{
				{"v", true, nil},
				{"beside", false, nil},
				{"beside", false, errSource},
				{"beside", true, errSource},
				{"", true, errSource},
				{"", false, fmt.Errorf("find: %w", runtime.ErrNotFound)},
				{"", false, nil},
			} {
				var got results
				got.v, got.ok, got.err = gen.GetOrSetFound(t.Context(), c, key, func(context.Context) (string, bool, error) { return r.v, r.ok, r.err })
				if got != r {
					t.Errorf("got %v, want the loader's %v", got, r)
				}
			}
			if disabled {
				return
			}
			for range 2 { // remembered if that is asked for
				v, ok, err := gen.GetOrSetFound(t.Context(), c, 100, func(context.Context) (string, bool, error) {
					return "once", false, nil
				}, runtime.NotFoundTTL(time.Hour))
				if ok || err != nil {
					t.Error(v, ok, err)
				}
			}
			v, ok, err := gen.GetOrSetFound(t.Context(), c, 100, func(context.Context) (string, bool, error) { return "new", true, nil })
			if v != "" || ok || err != nil {
				t.Error(v, ok, err)
			}
		})
	}
}

// The loaders of an ad-hoc cache have no directive that names their error.
func TestAdHocCachesRememberErrNotFound(t *testing.T) {
	for setup, options := range setups {
		t.Run(setup, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCache[int, int](t, newStore(t, append(options(), runtime.Grace(time.Hour), runtime.NotFoundTTL(time.Minute))...))
				loads := 0
				none := func(context.Context) (int, error) {
					loads++
					return 0, fmt.Errorf("find: %w", runtime.ErrNotFound)
				}
				noneOfMany := func(context.Context, []int) (map[int]int, error) { loads++; return nil, nil }
				for range 2 {
					if _, err := c.GetOrSet(t.Context(), 1, none); !errors.Is(err, runtime.ErrNotFound) {
						t.Error(err)
					}
					if got, err := c.GetOrSetMany(t.Context(), []int{1, 2}, noneOfMany); len(got) > 0 || err != nil {
						t.Error(got, err)
					}
				}
				if _, err := c.GetOrSet(t.Context(), 2, none); err != runtime.ErrNotFound || loads != 2 {
					t.Errorf("%d loads, %v", loads, err)
				}
				time.Sleep(time.Minute)
				got, err := c.GetOrSet(t.Context(), 1, func(context.Context) (int, error) { return 1, nil })
				want(t, got, err, 1)
				if _, err := c.GetOrSet(t.Context(), 1, none, runtime.ForceFresh()); !errors.Is(err, runtime.ErrNotFound) {
					t.Error("a value is served, of which the loader says that it is no more:", err)
				}
			})
		})
	}
}
