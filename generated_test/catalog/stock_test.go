package catalog

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/quick"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

var north = Place{Warehouse: "north", Shelf: 7}

func wrapStock(t *testing.T, table *Warehouses, stores runtime.Stores) *CachedWarehouses {
	t.Helper()
	cached, err := NewCachedWarehouses(table, stores)
	if err != nil {
		t.Fatal(err)
	}
	return cached
}

// stocked runs f on a table with some lamps, behind the memory of one process.
func stocked(t *testing.T, f func(t *testing.T, table *Warehouses, cached *CachedWarehouses)) {
	t.Helper()
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		table := NewWarehouses()
		for i, sku := range []SKU{"lamp", "bulb", "wire"} {
			if err := table.Put(t.Context(), north, sku, i+1); err != nil {
				t.Fatal(err)
			}
		}
		f(t, table, wrapStock(t, table, stores))
	})
}

func (w *Warehouses) wantQueries(t *testing.T, want int64, f func()) {
	t.Helper()
	before := w.Queries.Load()
	f()
	if n := w.Queries.Load() - before; n != want {
		t.Errorf("%d queries, want %d", n, want)
	}
}

func (c *CachedWarehouses) wantPieces(t *testing.T, sku SKU, want int) {
	t.Helper()
	s, err := c.FindStock(t.Context(), "north", sku)
	if err != nil {
		t.Fatal(err)
	}
	if s == nil || s.Pieces != want || s.Place != north {
		t.Fatalf("%s: %+v, want %d pieces", sku, s, want)
	}
}

func TestABatchByAFieldReturnsTheOrderOfTheCaller(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		ctx := t.Context()
		cached.wantPieces(t, "bulb", 2)
		for range 2 {
			stocks, err := cached.FindStocks(ctx, "north", "wire", "none", "bulb", "lamp", "wire")
			if err != nil {
				t.Fatal(err)
			}
			var got []SKU
			for _, s := range stocks {
				got = append(got, s.SKU)
			}
			if want := []SKU{"wire", "bulb", "lamp"}; !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		if want := [][]SKU{{"wire", "none", "lamp"}}; !reflect.DeepEqual(table.asked, want) {
			t.Errorf("the loader was asked for %v, want %v", table.asked, want)
		}
	})
}

func TestABatchFillsTheEntriesOfOneWarehouseOnly(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		ctx := t.Context()
		if _, err := cached.FindStocks(ctx, "north", "lamp", "none"); err != nil {
			t.Fatal(err)
		}
		table.wantQueries(t, 0, func() {
			cached.wantPieces(t, "lamp", 1)
			if s, err := cached.FindStock(ctx, "north", "none"); s != nil || err != nil {
				t.Errorf("what the batch did not return is found: %v, %v", s, err)
			}
		})
		table.wantQueries(t, 1, func() {
			if s, err := cached.FindStock(ctx, "south", "lamp"); s != nil || err != nil {
				t.Errorf("in the south: %v, %v", s, err)
			}
		})
	})
}

func TestEntriesOfABatchHaveTheirTagsAndAreDeletedOneByOne(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		ctx := t.Context()
		all := []SKU{"lamp", "bulb", "wire"}
		if _, err := cached.FindStocks(ctx, "north", all...); err != nil {
			t.Fatal(err)
		}
		if err := cached.Put(ctx, north, "lamp", 50); err != nil {
			t.Fatal(err)
		}
		if err := cached.Stock.Store().DeleteByTag(ctx, SkuTag("wire")); err != nil {
			t.Fatal(err)
		}
		stocks, err := cached.FindStocks(ctx, "north", all...)
		if err != nil || len(stocks) != 3 || stocks[0].Pieces != 50 {
			t.Fatal(stocks, err)
		}
		if want := [][]SKU{all, {"lamp", "wire"}}; !reflect.DeepEqual(table.asked, want) {
			t.Errorf("the loader was asked for %v, want %v", table.asked, want)
		}
	})
}

func TestABatchOfAMapHasOneKeyForEachElementAndTheRest(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		ctx := t.Context()
		for c, rate := range map[Currency]int64{"EUR": 900, "USD": 1000} {
			if err := table.SetRate(c, rate); err != nil {
				t.Fatal(err)
			}
		}
		want := map[Currency]int64{"EUR": 900, "USD": 1000}
		table.wantQueries(t, 2, func() {
			for range 2 {
				for _, list := range []string{"fixed", "daily"} {
					rates, err := cached.FindRates(ctx, []Currency{"EUR", "USD", "EUR"}, list, "who")
					if err != nil || !reflect.DeepEqual(rates, want) {
						t.Fatal(rates, err)
					}
				}
			}
			if rate, err := cached.FindRate(ctx, "fixed", "EUR"); rate != 900 || err != nil {
				t.Error(rate, err)
			}
		})
		if err := cached.SetRate("EUR", 950); err != nil { // expires fixed:EUR alone
			t.Fatal(err)
		}
		rates, err := cached.FindRates(ctx, []Currency{"EUR", "USD"}, "daily", "")
		if err != nil || rates["EUR"] != 900 {
			t.Errorf("another list: %v, %v", rates, err)
		}
		if ok, err := cached.HasCachedRate(ctx, "fixed", "EUR"); ok || err != nil {
			t.Errorf("the rate is still fresh: %v, %v", ok, err)
		}
	})
}

func TestWhatABatchLeavesOutIsAskedForAgain(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		ctx := t.Context()
		// Nothing says when a rate is not found: the next one asks again.
		table.wantQueries(t, 2, func() {
			for range 2 {
				if rates, err := cached.FindRates(ctx, []Currency{"XXX"}, "fixed", ""); len(rates) != 0 || err != nil {
					t.Fatal(rates, err)
				}
			}
		})
	})
}

func TestABatchByAFieldOfAField(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		ctx := t.Context()
		labels, err := cached.LoadLabels(ctx, []ProductID{3, 1, 2})
		if err != nil || len(labels) != 3 {
			t.Fatal(labels, err)
		}
		for i, id := range []ProductID{3, 1, 2} {
			if labels[i].Of.ID != id {
				t.Errorf("label %d is of product %d, want %d", i, labels[i].Of.ID, id)
			}
		}
		if l, err := cached.LoadLabel(ctx, 2); err != nil || l.Text != "batch" || l.Of.ID != 2 {
			t.Errorf("the batch did not fill the entry: %+v, %v", l, err)
		}
	})
}

func TestAValueIsRefreshedBeforeItsTimeIsOver(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		ctx := t.Context()
		label := func() string {
			l, err := cached.LoadLabel(ctx, 1)
			if err != nil {
				t.Fatal(err)
			}
			return l.Text
		}
		first := label()
		table.wantQueries(t, 0, func() {
			time.Sleep(7 * time.Minute) // refresh=80% of ttl=10m
			label()
			synctest.Wait()
		})
		time.Sleep(90 * time.Second)
		table.wantQueries(t, 1, func() {
			if got := label(); got != first {
				t.Errorf("who causes the refresh gets %s, want %s", got, first)
			}
			synctest.Wait()
			if got := label(); got == first {
				t.Error("the refresh has changed nothing")
			}
		})
		time.Sleep(7 * time.Minute) // counts from the refresh
		table.wantQueries(t, 0, func() { label(); synctest.Wait() })
	})
}

func TestARefreshThatFailsKeepsTheValue(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		ctx := t.Context()
		first, err := cached.LoadLabel(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		table.Fail(ErrPartner)
		time.Sleep(9 * time.Minute)
		table.wantQueries(t, 1, func() {
			for range 3 { // the loader is not called during the back-off
				if l, err := cached.LoadLabel(ctx, 1); l != first || err != nil {
					t.Fatal(l, err)
				}
				synctest.Wait()
			}
		})
	})
}

func TestJitterSpreadsTheEndsOfEntriesBelowTheTTL(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		const n = 200
		ctx := t.Context()
		for i := range n {
			if _, err := cached.FindRate(ctx, fmt.Sprint("list", i), "EUR"); err != nil {
				t.Fatal(err)
			}
		}
		fresh := func() (count int) {
			for i := range n {
				ok, err := cached.HasCachedRate(ctx, fmt.Sprint("list", i), "EUR")
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					count++
				}
			}
			return count
		}
		time.Sleep(9*time.Minute - time.Second) // jitter=10% of ttl=10m
		if got := fresh(); got != n {
			t.Errorf("%d of %d are fresh before the first may end", got, n)
		}
		time.Sleep(31 * time.Second)
		if got := fresh(); got == 0 || got == n {
			t.Errorf("%d of %d are fresh in the midst of the jitter", got, n)
		}
		time.Sleep(30 * time.Second)
		if got := fresh(); got != 0 {
			t.Errorf("%d are fresh after their ttl", got)
		}
	})
}

func TestAnErrorIsRememberedForAWhile(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		ctx := t.Context()
		ask := func(want error) {
			t.Helper()
			if _, err := cached.QueryPartner(ctx, "acme"); !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
		}
		table.Fail(ErrPartner)
		table.wantQueries(t, 1, func() { ask(ErrPartner); ask(ErrPartner) })
		table.Fail(nil)
		table.wantQueries(t, 0, func() { ask(ErrPartner) })
		time.Sleep(3 * time.Second) // errorttl=2s
		table.wantQueries(t, 1, func() { ask(nil) })
	})
}

func TestADeleteForgetsAnError(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		ctx := t.Context()
		table.Fail(ErrPartner)
		if _, err := cached.QueryPartner(ctx, "acme"); !errors.Is(err, ErrPartner) {
			t.Fatal(err)
		}
		table.Fail(nil)
		if err := cached.DeleteCachedPartner(ctx, "acme"); err != nil {
			t.Fatal(err)
		}
		if n, err := cached.QueryPartner(ctx, "acme"); n != 4 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
	})
}

func TestWhoWaitsForLongForAnothersLoadLoads(t *testing.T) {
	stocked(t, func(t *testing.T, table *Warehouses, cached *CachedWarehouses) {
		ctx := t.Context()
		release := make(chan struct{})
		held := false // the first query alone
		table.Hold = func(ctx context.Context) error {
			if held {
				return nil
			}
			held = true
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		first := make(chan error)
		go func() {
			n, err := cached.LoadReport(ctx, "north")
			if err == nil && n != 6 {
				err = fmt.Errorf("got %d pieces, want 6", n)
			}
			first <- err
		}()
		synctest.Wait()
		// If this waited for the first, which waits for it, nothing would ever go on.
		if n, err := cached.LoadReport(ctx, "north"); n != 6 || err != nil {
			t.Errorf("got %d, %v, want 6", n, err)
		}
		close(release)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if n := table.Queries.Load(); n != 2 {
			t.Errorf("%d queries, want 2", n)
		}
	})
}

func TestMemoryLooksAtTheSharedTierWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		table := NewWarehouses()
		if err := table.Put(ctx, north, "lamp", 1); err != nil {
			t.Fatal(err)
		}
		one, other := process.Two(t)
		a, b := wrapStock(t, table, one), wrapStock(t, table, other)
		a.wantPieces(t, "lamp", 1)
		b.wantPieces(t, "lamp", 1)
		if err := a.Put(ctx, north, "lamp", 2); err != nil {
			t.Fatal(err)
		}
		a.wantPieces(t, "lamp", 2)
		time.Sleep(61 * time.Second) // l1ttl=1m, ttl=10m
		table.wantQueries(t, 0, func() { b.wantPieces(t, "lamp", 2) })
	})
}

func TestABatchOfPlainFunctions(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		if err := BindCaches(stores); err != nil {
			t.Fatal(err)
		}
		weights, err := GetOrSetWeights(ctx, []SKU{"lamp", "", "tv"})
		if want := map[SKU]int{"lamp": 4, "tv": 2}; err != nil || !reflect.DeepEqual(weights, want) {
			t.Fatalf("got %v, %v, want %v", weights, err, want)
		}
		if n, ok, err := GetCachedWeight(ctx, "tv"); n != 2 || !ok || err != nil {
			t.Errorf("the batch did not fill the entry: %d, %v, %v", n, ok, err)
		}
		if _, err := GetOrSetWeight(ctx, ""); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestStockKeysReadBack(t *testing.T) {
	if err := quick.Check(func(warehouse string, sku SKU) bool {
		k := StockKey{Warehouse: warehouse, Sku: sku}
		back, err := ParseStockKey(k.String())
		return err == nil && back == k
	}, nil); err != nil {
		t.Error(err)
	}
}

func FuzzStockKeysAreInjective(f *testing.F) {
	f.Add("a:b", "c", "a", "b:c")
	f.Add("", ":", ":", "")
	f.Add("%", "3A", "%3", "A")
	f.Add("@", "!", "%40", "%21")
	f.Fuzz(func(t *testing.T, w1, s1, w2, s2 string) {
		one, two := StockKey{w1, SKU(s1)}, StockKey{w2, SKU(s2)}
		if (one == two) != (one.String() == two.String()) {
			t.Fatalf("%+v and %+v have the texts %q and %q", one, two, one, two)
		}
	})
}
