package runtime_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errSource = errors.New("source is down")

var silent = slog.New(slog.DiscardHandler)

func memoryTier() runtime.StoreOption {
	return runtime.L1(memory.New(memory.Options{MaxSize: "10mb"}))
}

// newStore makes a store that is closed with the test. What it complains of fails the test,
// unless the test has asked for it: see mayTell.
func newStore(t testing.TB, options ...runtime.StoreOption) *runtime.Store {
	t.Helper()
	return newNamed(t, "test", options...)
}

func newNamed(t testing.TB, name string, options ...runtime.StoreOption) *runtime.Store {
	t.Helper()
	var told complaints
	s, err := runtime.NewStore(name, append([]runtime.StoreOption{told.options()}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer told.check(t)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// adHocKeys begins the full keys of what newCache makes in a store without a prefix.
const adHocKeys = "@!values:"

// newCache returns a cache in a *runtime.Store or a *runtime.Namespace.
func newCache[K comparable, V any](t testing.TB, in any, options ...runtime.Option) (c *runtime.Cache[K, V]) {
	t.Helper()
	return newCacheNamed[K, V](t, in, "values", options...)
}

func newCacheNamed[K comparable, V any](t testing.TB, in any, name string, options ...runtime.Option) (c *runtime.Cache[K, V]) {
	t.Helper()
	var err error
	if n, ok := in.(*runtime.Namespace); ok {
		c, err = runtime.NewCache[K, V](n, name, options...)
	} else {
		c, err = runtime.NewCache[K, V](in.(*runtime.Store), name, options...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	clock.Set(0)() // forget that a busy machine's clocks once seemed to differ: in virtual time they are the same
	synctest.Test(t, f)
}

// A source counts its loads and returns what it holds now.
type source struct {
	value atomic.Int64
	loads atomic.Int64
	fail  atomic.Bool
	delay atomic.Int64
}

func (s *source) load(ctx context.Context) (int, error) {
	s.loads.Add(1)
	v := int(s.value.Load())
	if d := s.delay.Load(); d > 0 {
		select {
		case <-time.After(time.Duration(d)):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if s.fail.Load() {
		return 0, errSource
	}
	return v, nil
}

func want[T comparable](t *testing.T, got T, err error, wanted T) {
	t.Helper()
	if err != nil {
		t.Fatalf("got error %v, want %v", err, wanted)
	}
	if got != wanted {
		t.Fatalf("got %v, want %v", got, wanted)
	}
}

func wantLoads(t *testing.T, s *source, n int64) {
	t.Helper()
	if got := s.loads.Load(); got != n {
		t.Fatalf("%d loads, want %d", got, n)
	}
}

// openIn opens a definition in a store of its own.
func openIn[K comparable, V any](t testing.TB, d definition[K, V], options ...runtime.StoreOption) *runtime.Cache[K, V] {
	t.Helper()
	stores, err := runtime.NewStores(newStore(t, options...))
	if err != nil {
		t.Fatal(err)
	}
	c, err := open(stores, d)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newCacheIn makes a handle as a caller would that does not keep one.
func newCacheIn(in *runtime.Store) *runtime.Cache[string, int] {
	c, err := runtime.NewCache[string, int](in, "values")
	if err != nil {
		panic(err)
	}
	return c
}
