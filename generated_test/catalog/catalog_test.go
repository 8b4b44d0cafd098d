package catalog

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/quick"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, stores runtime.Stores) (*Products, *CachedProducts) {
	t.Helper()
	table := NewProducts("eu")
	table.rows[1] = Product{ID: 1, Name: "Lamp", Category: "light", Cents: 1000, Brand: &Brand{ID: 9, Name: "Lux"}}
	table.rows[2] = Product{ID: 2, Name: "Bulb", Category: "light", Cents: 200} // without a brand
	cached, err := NewCachedProducts(table, stores)
	if err != nil {
		t.Fatal(err)
	}
	return table, cached
}

// queries reports how many queries f made.
func (p *Products) queries(f func()) int64 {
	before := p.Queries.Load()
	f()
	return p.Queries.Load() - before
}

// A Repository is what the shop asks of the catalogue; the wrapper satisfies it
// as the table does.
type Repository interface {
	FindProduct(ctx context.Context, id ProductID) (*Product, error)
	GetPrice(ctx context.Context, id ProductID, locale Locale) (int64, error)
	Save(ctx context.Context, product Product) (*Product, error)
	DeleteProduct(ctx context.Context, id ProductID) error
	Fail(err error)
}

var (
	_ Repository = (*Products)(nil)
	_ Repository = (*CachedProducts)(nil)
)

func TestTheWrapperLoadsOnce(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		table, cached := open(t, stores)
		n := table.queries(func() {
			for range 3 {
				p, err := cached.FindProduct(t.Context(), 1)
				if err != nil || p.Name != "Lamp" {
					t.Fatal(p, err)
				}
			}
		})
		if n != 1 {
			t.Errorf("%d queries, want 1", n)
		}
	})
}

func TestALoadersErrorIsNotCached(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		_, cached := open(t, stores)
		for range 2 {
			if _, err := cached.FindProduct(t.Context(), 99); !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
		}
		if ok, err := cached.HasCachedProduct(t.Context(), 99); ok || err != nil {
			t.Fatal(ok, err)
		}
	})
}

func TestAWriteDeletesAndSetsWhatItNames(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		table, cached := open(t, stores)
		ctx := t.Context()
		read := func() (product, byName *Product, listing []string) {
			t.Helper()
			product, err := cached.FindProduct(ctx, 1)
			if err != nil {
				t.Fatal(err)
			}
			if byName, err = cached.FindProductByName(ctx, "Lamp"); err != nil {
				t.Fatal(err)
			}
			if listing, err = cached.Search(ctx, Filter{Category: "light", Trace: "x"}); err != nil {
				t.Fatal(err)
			}
			return product, byName, listing
		}
		read()
		changed := table.rows[1]
		changed.Cents = 5
		if _, err := cached.Save(ctx, changed); err != nil {
			t.Fatal(err)
		}
		n := table.queries(func() {
			product, byName, _ := read()
			if product.Cents != 5 || byName.Cents != 5 {
				t.Errorf("after Save: %d and %d cents, want 5", product.Cents, byName.Cents)
			}
		})
		if n != 2 { // the product itself has been set, after its tag was deleted
			t.Errorf("%d queries after Save, want 2", n)
		}
	})
}

func TestTheMethodOfTheTableWinsOverAHelperOfThatName(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		table, cached := open(t, stores)
		if _, err := cached.FindProduct(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if err := cached.DeleteCachedProduct(t.Context(), 1); err != nil { // only the entry
			t.Fatal(err)
		}
		if p, err := cached.FindProduct(t.Context(), 1); err != nil || p == nil {
			t.Fatal(p, err)
		}
		if err := cached.DeleteProduct(t.Context(), 1); err != nil { // the row, then the entry
			t.Fatal(err)
		}
		if _, err := cached.FindProduct(t.Context(), 1); !errors.Is(err, ErrNotFound) {
			t.Fatalf("got %v, want ErrNotFound", err)
		}
		if len(table.rows) != 1 {
			t.Error("the row is still there")
		}
	})
}

func TestResultTags(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		table, cached := open(t, stores)
		ctx := t.Context()
		find := func() {
			for id := ProductID(1); id <= 2; id++ {
				if _, err := cached.FindProduct(ctx, id); err != nil {
					t.Fatal(err)
				}
			}
		}
		find()
		if err := cached.Product.Store().DeleteByTag(ctx, BrandTag(9)); err != nil { // only product 1 has a brand
			t.Fatal(err)
		}
		if n := table.queries(find); n != 1 {
			t.Errorf("%d queries after deleting brand:9, want 1", n)
		}
		if err := cached.Product.Store().DeleteByTag(ctx, CategoryTag("light")); err != nil {
			t.Fatal(err)
		}
		if n := table.queries(find); n != 2 {
			t.Errorf("%d queries after deleting category:light, want 2", n)
		}
	})
}

func TestExpireByTagKeepsGrace(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		table, cached := open(t, stores)
		ctx := t.Context()
		if _, err := cached.GetPrice(ctx, 1, "en"); err != nil {
			t.Fatal(err)
		}
		if err := cached.Reprice(ctx, 10); err != nil {
			t.Fatal(err)
		}
		table.mu.Lock() // a load that ends at once may be served as well as what is stale
		cents, err := cached.GetPrice(ctx, 1, "en")
		table.mu.Unlock()
		if err != nil || cents != 1000 {
			t.Fatalf("got %d, %v, want the stale price while the new one is loaded", cents, err)
		}
		synctest.Wait()
		cents, err = cached.GetPrice(ctx, 1, "en")
		if err != nil || cents != 1100 {
			t.Fatalf("got %d, %v, want the new price", cents, err)
		}
		table.Fail(errors.New("down"))
		time.Sleep(time.Minute) // ttl=1m; grace=1h comes from the type
		if cents, err = cached.GetPrice(ctx, 1, "en"); err != nil || cents != 1100 {
			t.Fatalf("got %d, %v, want the grace value", cents, err)
		}
	})
}

func TestTheKeyHoldsWhatItNames(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		table, cached := open(t, stores)
		ctx := t.Context()
		other := NewProducts("us")
		us := &CachedProducts{Products: other, Listing: cached.Listing} // the constructor refuses: FindProduct has no region in its key
		search := func(c *CachedProducts, f Filter) {
			if _, err := c.Search(ctx, f); err != nil {
				t.Fatal(err)
			}
		}
		n := table.queries(func() {
			search(cached, Filter{Category: "light"})
			search(cached, Filter{Category: "light", Trace: "not in the key"})
			search(cached, Filter{Category: "light", Page: 1})
			search(cached, Filter{Category: "dark"})
		})
		if n != 3 {
			t.Errorf("%d queries, want 3", n)
		}
		if n := other.queries(func() { search(us, Filter{Category: "light"}) }); n != 1 {
			t.Error("two regions share an entry")
		}
	})
}

func TestAPlainFunction(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		open(t, stores)
		addr := netip.MustParseAddr("2001:db8::1")
		if err := BindCaches(stores); err != nil {
			t.Fatal(err)
		}
		before := countryQueries.Load()
		for _, trace := range []string{"a", "b"} {
			c, err := getOrSetCountry(ctx, addr, trace)
			if err != nil || c.Code != "ZZ" {
				t.Fatal(c, err)
			}
		}
		if n := countryQueries.Load() - before; n != 1 {
			t.Errorf("%d loads, want 1", n)
		}
		if err := cachedMoveCountry(ctx, addr); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := getCachedCountry(ctx, addr); ok || err != nil {
			t.Errorf("after the move: %v, %v", ok, err)
		}
	})
}

func TestKeysReadBack(t *testing.T) {
	check := func(key, back any, text string, err error) bool {
		if err != nil || key != back {
			t.Errorf("%q was read back as %v, %v, want %v", text, back, err, key)
			return false
		}
		return true
	}
	if err := quick.Check(func(region, category string, page uint8) bool {
		k := ListingKey{Region: region, FilterCategory: category, FilterPage: page}
		back, err := ParseListingKey(k.String())
		return check(k, back, k.String(), err)
	}, nil); err != nil {
		t.Error(err)
	}
	if err := quick.Check(func(id int64, locale string) bool {
		k := PriceKey{Locale: Locale(locale), ID: ProductID(id)}
		back, err := ParsePriceKey(k.String())
		return check(k, back, k.String(), err)
	}, nil); err != nil {
		t.Error(err)
	}
	if err := quick.Check(func(a [16]byte) bool {
		k := countryKey{Addr: netip.AddrFrom16(a)}
		back, err := parseCountryKey(k.String())
		return check(k, back, k.String(), err)
	}, nil); err != nil {
		t.Error(err)
	}
}

func FuzzListingKeysAreInjective(f *testing.F) {
	f.Add("eu", "a:b", uint8(1), "eu:a", "b", uint8(1))
	f.Add("", ":", uint8(0), ":", "", uint8(0))
	f.Fuzz(func(t *testing.T, r1, c1 string, p1 uint8, r2, c2 string, p2 uint8) {
		one, two := ListingKey{r1, c1, p1}, ListingKey{r2, c2, p2}
		if (one == two) != (one.String() == two.String()) {
			t.Fatalf("%+v and %+v have the texts %q and %q", one, two, one, two)
		}
	})
}

const longName = "a product name of 32 characters." // as long as the promise goes

func BenchmarkHitByIntKey(b *testing.B) {
	_, cached := open(b, process.Alone(b))
	ctx := context.Background()
	for b.Loop() {
		if p, err := cached.GetOrSetProduct(ctx, 1); err != nil || p == nil {
			b.Fatal(p, err)
		}
	}
}

func BenchmarkHitByStringKey(b *testing.B) {
	table, cached := open(b, process.Alone(b))
	table.rows[3] = Product{ID: 3, Name: longName}
	ctx := context.Background()
	for b.Loop() {
		if p, err := cached.FindProductByName(ctx, longName); err != nil || p == nil {
			b.Fatal(p, err)
		}
	}
}

// A hit through a generated wrapper allocates nothing.
func TestAHitAllocatesNothing(t *testing.T) {
	if len(longName) != 32 || strings.Contains(longName, ":") {
		t.Fatal("the benchmark's name is not what it says")
	}
	for name, bench := range map[string]func(*testing.B){"int key": BenchmarkHitByIntKey, "string key of 32 bytes": BenchmarkHitByStringKey} {
		if r := testing.Benchmark(bench); r.N == 0 || r.AllocsPerOp() != 0 {
			t.Errorf("%s: %d allocations a hit in %d runs, want none", name, r.AllocsPerOp(), r.N)
		}
	}
}
