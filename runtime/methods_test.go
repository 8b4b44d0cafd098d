package runtime_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// The method table of the document that this package answers to: get set
// setForever has missing pull delete deleteMany deleteByTags clear namespace use.
func TestTheMethodTable(t *testing.T) {
	for name, options := range setups {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx := t.Context()
				s := newStore(t, append(options(), runtime.TTL(time.Minute))...)
				c := newCache[string, string](t, s)
				check := func(err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				there := func(c *runtime.Cache[string, string], key string) bool {
					t.Helper()
					v, ok, err := c.Get(ctx, key)
					check(err)
					if ok && v != "v" {
						t.Fatalf("got %q", v)
					}
					return ok
				}
				check(c.Set(ctx, "short", "v"))
				check(c.SetForever(ctx, "long", "v"))
				time.Sleep(time.Hour)
				if there(c, "short") || !there(c, "long") {
					t.Error("Set and SetForever: want the second alone after the TTL")
				}

				users, err := c.Namespace("users")
				check(err)
				check(users.Set(ctx, "1", "v", runtime.Tags("a", "b")))
				check(users.Set(ctx, "2", "v", runtime.Tags("b", "c")))
				check(c.Store().ExpireByTag(ctx, "a"))
				if there(users, "1") || !there(users, "2") {
					t.Error("ExpireByTag(a): want only 1 gone")
				}
				check(c.Store().DeleteByTag(ctx, "a", "c"))
				if there(users, "2") || !there(c, "long") {
					t.Error("DeleteByTag(a, c): want 2 gone")
				}
				check(users.Set(ctx, "3", "v"))
				check(users.Clear(ctx))
				if there(users, "3") || !there(c, "long") {
					t.Error("Clear of a namespace: want it alone empty")
				}
				v, ok, err := c.Pull(ctx, "long")
				if v != "v" || !ok || err != nil || there(c, "long") {
					t.Errorf("Pull: %q, %v, %v", v, ok, err)
				}
				check(c.DeleteMany(ctx))
				check(c.Store().DeleteByTag(ctx))
				check(c.Expire(ctx))
				check(s.Ready(ctx))
			})
		})
	}
}

// A tier without extra abilities has to do as well.
type plainTier struct{ drivers.L2 }

func TestATierThatCannotAdd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var src source
		s := newStore(t, memoryTier(), runtime.L2(plainTier{&shared}))
		c := newCache[int, int](t, s)
		for i := range 3 {
			for range 2 {
				if _, err := c.GetOrSet(t.Context(), 1, src.load, runtime.Tags("t")); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.DeleteByTag(t.Context(), "t"); err != nil {
				t.Fatal(err)
			}
			wantLoads(t, &src, int64(i+1))
		}
		if n, err := s.Prune(t.Context()); n != 0 || err != nil {
			t.Errorf("Prune of a tier that needs none: %d, %v", n, err)
		}
	})
}

type pruned struct {
	drivers.L2
	n   int64
	err error
}

func (p pruned) Prune(context.Context) (int64, error) { return p.n, p.err }

func TestPrune(t *testing.T) {
	for _, p := range []pruned{{n: 5}, {err: errSource}} {
		p.L2 = &faketier.Shared{}
		s := newStore(t, runtime.L2(p))
		if n, err := s.Prune(t.Context()); n != p.n || !errors.Is(err, p.err) {
			t.Errorf("got %d, %v, want %d, %v", n, err, p.n, p.err)
		}
	}
}

func TestErrorsSayWhatHappened(t *testing.T) {
	failed := &runtime.InvalidationError{Op: "delete", Store: "main", Targets: []string{"a", "b", "c", "d", "e"}, Err: errSource}
	for err, wanted := range map[error]string{
		failed:             "cachegen: delete a, b, c and 2 more in store main: source is down",
		runtime.ErrTimeout: "cachegen: load timed out",
		&runtime.PanicError{Value: "boom", Stack: []byte("goroutine 1")}: "cachegen: loader panicked: boom",
	} {
		if !strings.HasPrefix(err.Error(), wanted) {
			t.Errorf("got %q, want %q", err, wanted)
		}
	}
	if !errors.Is(failed, errSource) || !errors.Is(&runtime.PanicError{Value: errSource}, errSource) || errors.Unwrap(&runtime.PanicError{Value: 1}) != nil {
		t.Error("a cause cannot be found")
	}
	var timeout interface{ Timeout() bool }
	if !errors.As(runtime.ErrTimeout, &timeout) || !timeout.Timeout() {
		t.Error("ErrTimeout is no timeout")
	}
}

func TestNoRefreshBehindWhereNoneIsAllowed(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var src source
		c := newCache[int, int](t, newStore(t, in.tiers(), runtime.TTL(time.Second), runtime.Grace(time.Hour), runtime.MaxBackground(0)))
		if err := c.Set(t.Context(), 1, 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		got, err := c.GetOrSet(t.Context(), 1, src.load)
		want(t, got, err, 7)
		wantLoads(t, &src, 0)
	})
}
