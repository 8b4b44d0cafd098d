package runtime_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

type benchUser struct {
	ID   int64
	Name string
}

func BenchmarkHitInt(b *testing.B) {
	c := benchCache(b, "user:")
	for b.Loop() {
		hitInt(b, c)
	}
}

// With a bus, what is good is good for as long as the process is known to hear.
func BenchmarkHitIntWithABus(b *testing.B) {
	c := benchCache(b, "user:", runtime.Bus(&faketier.Bus{}))
	for b.Loop() {
		if _, ok := gen.HitInt(context.Background(), c, 77); !ok { // a machine that is busy has let no heartbeat through
			_ = c.Set(context.Background(), 77, &benchUser{ID: 77})
		}
	}
}

// A transaction somewhere in the process costs each hit a look into its context.
func BenchmarkHitIntBesideATransaction(b *testing.B) {
	c := benchCache(b, "user:")
	_, collected := runtime.Collect(context.Background())
	defer collected.Rollback()
	for b.Loop() {
		hitInt(b, c)
	}
}

func BenchmarkHitText(b *testing.B) {
	c := benchCache(b, "user:")
	for b.Loop() {
		hitText(b, c)
	}
}

// benchContext is that of a request, with some values.
var benchContext = func() context.Context {
	type key int
	ctx := context.Background()
	for i := range 5 {
		ctx = context.WithValue(ctx, key(i), i)
	}
	return ctx
}()

func hitInt(b testing.TB, c *runtime.Cache[benchKey, *benchUser]) {
	if _, ok := gen.HitInt(benchContext, c, 77); !ok {
		b.Fatal("miss")
	}
}

func hitText(b testing.TB, c *runtime.Cache[benchKey, *benchUser]) {
	var buf gen.KeyBuffer
	text := strconv.AppendInt(append(buf[:0], "user:"...), 77, 10)
	if _, ok := gen.Hit(benchContext, c, text); !ok {
		b.Fatal("miss")
	}
}

type benchKey int64

func (k benchKey) AppendText(b []byte) ([]byte, error) {
	return strconv.AppendInt(append(b, "user:"...), int64(k), 10), nil
}

func benchCache(b testing.TB, prefix string, options ...runtime.StoreOption) *runtime.Cache[benchKey, *benchUser] {
	stores, err := runtime.NewStores(newStore(b, append(options, memoryTier(), runtime.TTL(time.Hour))...))
	if err != nil {
		b.Fatal(err)
	}
	c, err := open(stores, definition[benchKey, *benchUser]{Name: "bench", Namespace: "users", IntPrefix: prefix, Shared: true})
	if err != nil {
		b.Fatal(err)
	}
	for i := range benchKey(1000) {
		if err := c.Set(context.Background(), i, &benchUser{ID: int64(i)}); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

// The hit path of generated code allocates nothing.
func TestAHitAllocatesNothing(t *testing.T) {
	c := benchCache(t, "user:")
	for name, hit := range map[string]func(testing.TB, *runtime.Cache[benchKey, *benchUser]){"int": hitInt, "text": hitText} {
		if n := testing.AllocsPerRun(1000, func() { hit(t, c) }); n != 0 {
			t.Errorf("%s key: %v allocations a hit, want none", name, n)
		}
	}
}

// BenchmarkL2Hit is a read by a store without memory, from a tier in the memory of the process
// that tells its history, or does not.
func BenchmarkL2Hit(b *testing.B) {
	for name, tier := range map[string]func(*faketier.Shared) drivers.L2{
		"told": func(shared *faketier.Shared) drivers.L2 { return shared }, "untold": faketier.Untold,
	} {
		b.Run(name, func(b *testing.B) {
			c := newCache[int, *benchUser](b, newStore(b, runtime.L2(tier(new(faketier.Shared))), runtime.TTL(time.Hour), runtime.StampTrust(time.Hour)))
			if err := c.Set(b.Context(), 7, &benchUser{7, "Ada"}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, ok, err := c.Get(b.Context(), 7); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
