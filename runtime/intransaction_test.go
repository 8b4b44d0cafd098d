package runtime_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
)

// openNumbers opens a cached function whose entries have an integer at the end of their keys, so that the
// fast path of generated code has them.
func openNumbers(t *testing.T, in shape) *runtime.Cache[int, int] {
	t.Helper()
	return openIn(t, definition[int, int]{
		Name: "Number", Pattern: "number:{id}", IntPrefix: "number:",
		Tags: func(int) []runtime.Tag { return []runtime.Tag{"numbers"} },
	}, in.tiers())
}

// race R6: what a handle for a transaction reads comes from its loader, whatever the cache has and
// whether or not its context collects, and stays out of the cache.
func TestAHandleForATransactionNeitherServesNorFillsTheCache(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		outside := openNumbers(t, in)
		inside := gen.InTransaction(outside, true)
		var db row
		db.committed.Store(1)
		db.written.Store(2)
		collecting, collected := runtime.Collect(t.Context())
		defer collected.Rollback()
		for _, ctx := range []context.Context{t.Context(), collecting} {
			for _, cached := range []bool{false, true} {
				if cached {
					v, err := outside.GetOrSet(t.Context(), 7, db.load)
					want(t, v, err, 1)
				}
				for range 2 {
					v, err := inside.GetOrSet(ctx, 7, db.loadInside)
					want(t, v, err, 2)
				}
				if v, ok := gen.HitInt(t.Context(), inside, 7); ok {
					t.Errorf("the fast path has found %d", v)
				}
				many, err := inside.GetOrSetMany(ctx, []int{7, 8}, func(ctx context.Context, keys []int) (map[int]int, error) {
					found := map[int]int{}
					for _, key := range keys {
						found[key] = 10 * key
					}
					return found, nil
				})
				if err != nil || len(many) != 2 || many[7] != 70 || many[8] != 80 {
					t.Error(many, err)
				}
				if v, ok, err := inside.Get(ctx, 7, runtime.AllowStale()); ok || err != nil {
					t.Error(v, ok, err)
				}
				if many, err := inside.GetMany(ctx, []int{7, 8}); len(many) > 0 || err != nil {
					t.Error(many, err)
				}
				if has, err := inside.Has(ctx, 7); has || err != nil {
					t.Error(has, err)
				}
				if missing, err := inside.Missing(ctx, 7); !missing || err != nil {
					t.Error(missing, err)
				}
				has, err := outside.Has(t.Context(), 7)
				want(t, has, err, cached)
				has, err = outside.Has(t.Context(), 8)
				want(t, has, err, false)
			}
			if err := outside.Delete(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := inside.GetOrSet(t.Context(), 7, nil); err == nil {
			t.Error("a nil loader is no error")
		}
		if _, err := inside.GetOrSet(t.Context(), 7, db.load, runtime.AllowStale()); err == nil {
			t.Error("an option without meaning is no error")
		}
	})
}

// race R6: what a handle for a transaction changes happens at the commit, or not at all; without
// anything that holds it, it is refused.
func TestAHandleForATransactionChangesNothingBeforeTheCommit(t *testing.T) {
	for name, change := range map[string]func(context.Context, *runtime.Cache[int, int]) error{
		"delete":      func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.Delete(ctx, 7) },
		"delete many": func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.DeleteMany(ctx, 6, 7) },
		"expire":      func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.Expire(ctx, 7) },
		"clear":       func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.Clear(ctx) },
		"invalidate": func(ctx context.Context, c *runtime.Cache[int, int]) error {
			return c.Invalidate(ctx, nil, []runtime.Tag{"numbers"})
		},
		"pull": func(ctx context.Context, c *runtime.Cache[int, int]) error {
			v, ok, err := c.Pull(ctx, 7)
			if ok {
				err = errors.Join(err, errors.New("it has pulled a value"))
			}
			_ = v
			return err
		},
		"set":     func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.Set(ctx, 7, 2) },
		"forever": func(ctx context.Context, c *runtime.Cache[int, int]) error { return c.SetForever(ctx, 7, 2) },
		"writer": func(ctx context.Context, c *runtime.Cache[int, int]) error {
			return gen.Write(ctx, gen.Writer{Function: "Save", InTransaction: true}, gen.Delete(c, 7))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				outside := openNumbers(t, in)
				inside := gen.InTransaction(outside, true)
				var db row
				db.committed.Store(1)
				reads := func(wanted int) {
					t.Helper()
					v, err := outside.GetOrSet(t.Context(), 7, db.load)
					want(t, v, err, wanted)
				}
				reads(1)
				db.committed.Store(2) // seen as soon as the entry is gone
				if err := change(t.Context(), inside); !errors.Is(err, runtime.ErrNotCollected) {
					t.Errorf("without anything that holds it: %v", err)
				}
				reads(1)
				rolledBack, collected := runtime.Collect(t.Context())
				if err := change(rolledBack, inside); err != nil {
					t.Fatal(err)
				}
				reads(1)
				collected.Rollback()
				reads(1)
				ctx, collected := runtime.Collect(t.Context())
				if err := change(ctx, inside); err != nil {
					t.Fatal(err)
				}
				reads(1)
				if err := collected.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				reads(2)
			})
		})
	}
}

func TestThereIsOneHandleForTransactions(t *testing.T) {
	c := openNumbers(t, shape{l1: true})
	inside := gen.InTransaction(c, true)
	if gen.InTransaction(c, false) != c || inside == c {
		t.Error("a handle for no transaction is another one")
	}
	if gen.InTransaction(c, true) != inside || gen.InTransaction(inside, true) != inside || gen.InTransaction(inside, false) != inside {
		t.Error("there are several handles for transactions")
	}
	if allocs := testing.AllocsPerRun(100, func() { gen.InTransaction(c, true) }); allocs > 0 {
		t.Errorf("a handle for a transaction allocates %v times", allocs)
	}
	if none := gen.InTransaction[int, int](nil, true); none != nil {
		t.Error("of no cache there is one")
	}
	if inside.Store() != c.Store() {
		t.Error("it is in another store")
	}
}

// What is in a namespace of a handle for a transaction is of the transaction, too.
func TestANamespaceInsideATransactionIsInsideOfIt(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := openNumbers(t, in)
		outside, err := c.Namespace("a")
		if err != nil {
			t.Fatal(err)
		}
		inside, err := gen.InTransaction(c, true).Namespace("a")
		if err != nil {
			t.Fatal(err)
		}
		if err := outside.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		v, err := inside.GetOrSet(t.Context(), 7, func(context.Context) (int, error) { return 2, nil })
		want(t, v, err, 2)
		if err := inside.Delete(t.Context(), 7); !errors.Is(err, runtime.ErrNotCollected) {
			t.Error(err)
		}
		ctx, collected := runtime.Collect(t.Context())
		if err := inside.Delete(ctx, 7); err != nil {
			t.Fatal(err)
		}
		has, err := outside.Has(t.Context(), 7)
		want(t, has, err, true)
		if err := collected.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		has, err = outside.Has(t.Context(), 7)
		want(t, has, err, false)
		if err := inside.Delete(ctx, 7); !errors.Is(err, runtime.ErrNotCollected) {
			t.Error("of a transaction that has ended:", err)
		}
	})
}
