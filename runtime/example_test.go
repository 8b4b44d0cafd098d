package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
)

type article struct {
	ID    int64
	Title string
}

func Example() {
	ctx := context.Background()
	store, err := runtime.NewStore("main",
		runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})),
		runtime.TTL(5*time.Minute), runtime.Grace(6*time.Hour))
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	articles, err := runtime.NewCache[int64, article](store, "articles")
	if err != nil {
		panic(err)
	}
	load := func(ctx context.Context) (article, error) {
		fmt.Println("loading")
		return article{ID: 1, Title: "On caches"}, nil
	}
	for range 2 {
		a, err := articles.GetOrSet(ctx, 1, load)
		fmt.Println(a.Title, err)
	}
	// Output:
	// loading
	// On caches <nil>
	// On caches <nil>
}

func ExampleStore_DeleteByTag() {
	ctx := context.Background()
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})))
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	titles, err := runtime.NewCache[string, string](store, "titles")
	if err != nil {
		panic(err)
	}
	for _, key := range []string{"a", "b"} {
		if err := titles.Set(ctx, key, "title of "+key, runtime.Tags("front-page")); err != nil {
			panic(err)
		}
	}
	if err := store.DeleteByTag(ctx, "front-page"); err != nil {
		panic(err)
	}
	fmt.Println(titles.Has(ctx, "a"))
	fmt.Println(titles.Has(ctx, "b"))
	// Output:
	// false <nil>
	// false <nil>
}

func ExampleCache_Expire() {
	ctx := context.Background()
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})), runtime.Grace(time.Hour))
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	rates, err := runtime.NewCache[string, float64](store, "rates")
	if err != nil {
		panic(err)
	}
	if err := rates.Set(ctx, "EUR", 1.08); err != nil {
		panic(err)
	}
	if err := rates.Expire(ctx, "EUR"); err != nil { // stale, but there
		panic(err)
	}
	rate, err := rates.GetOrSet(ctx, "EUR", func(context.Context) (float64, error) {
		return 0, errors.New("the bank does not answer")
	}, runtime.Timeout(time.Second))
	fmt.Println(rate, err)
	// Output: 1.08 <nil>
}

func ExampleNewStores() {
	ctx := context.Background()
	fast, err := runtime.NewStore("fast", runtime.L1(memory.New(memory.Options{MaxItems: 1000})), runtime.TTL(time.Second))
	if err != nil {
		panic(err)
	}
	large, err := runtime.NewStore("large", runtime.L1(memory.New(memory.Options{MaxSize: "1gb"})))
	if err != nil {
		panic(err)
	}
	stores, err := runtime.NewStores(large, fast) // large is the default
	if err != nil {
		panic(err)
	}
	defer stores.Close(ctx)
	if err := stores.SetDefaults(runtime.Grace(time.Hour)); err != nil { // for both
		panic(err)
	}
	fmt.Println(stores.Default().Name())
	_, err = stores.Use("huge")
	fmt.Println(err)
	// Output:
	// large
	// cachegen: unknown store "huge": there are [fast large]
}
