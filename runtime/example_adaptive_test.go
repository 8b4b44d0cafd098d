package runtime_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
)

// A token says itself how long it holds.
func ExampleEntryOf() {
	ctx := context.Background()
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})), runtime.TTL(time.Hour))
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	tokens, err := runtime.NewCache[string, string](store, "tokens")
	if err != nil {
		panic(err)
	}
	fetch := func(ctx context.Context) (string, error) {
		token, expiresIn := "secret", 10*time.Minute
		runtime.EntryOf(ctx).SetTTL(expiresIn - time.Minute)
		return token, nil
	}
	token, err := tokens.GetOrSet(ctx, "bank", fetch)
	fmt.Println(token, err)

	token, err = fetch(ctx) // outside of a cache it is a plain function
	fmt.Println(token, err)
	// Output:
	// secret <nil>
	// secret <nil>
}

// A source that can tell whether something has changed is asked for that first.
func ExampleEntry_NotModified() {
	ctx := context.Background()
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})),
		runtime.TTL(time.Millisecond), runtime.Grace(time.Hour), runtime.Timeout(time.Second))
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	type page struct{ ETag, Body string }
	pages, err := runtime.NewCache[string, page](store, "pages")
	if err != nil {
		panic(err)
	}
	fetch := func(etag string) (p page, modified bool) { return page{"v1", "hello"}, etag != "v1" }
	load := func(ctx context.Context) (page, error) {
		stale, _, _ := runtime.StaleValue[page](ctx)
		p, modified := fetch(stale.ETag)
		if !modified && runtime.EntryOf(ctx).NotModified() {
			fmt.Println("304 Not Modified")
			return page{}, nil // the stale value is fresh again
		}
		if !modified { // it was invalidated: ask without the tag
			p, _ = fetch("")
		}
		fmt.Println("200 OK")
		return p, nil
	}
	for range 2 {
		p, err := pages.GetOrSet(ctx, "/", load)
		fmt.Println(p.Body, err)
		<-time.After(2 * time.Millisecond)
	}
	// Output:
	// 200 OK
	// hello <nil>
	// 304 Not Modified
	// hello <nil>
}

func ExampleHooks() {
	ctx := context.Background()
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})), runtime.Hooks(event.Hooks{
		Hit:  func(e event.Hit) { fmt.Println("hit", e.Key, e.Tier) },
		Miss: func(e event.Miss) { fmt.Println("miss", e.Key) },
	}))
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	names, err := runtime.NewCache[int, string](store, "names")
	if err != nil {
		panic(err)
	}
	for range 2 {
		if _, err := names.GetOrSet(ctx, 7, func(context.Context) (string, error) { return "Ada", nil }); err != nil {
			panic(err)
		}
	}
	// Output:
	// miss @!names:7
	// hit @!names:7 L1
}

// An operator gives one function another ttl without generating again, and switches
// its caching off while the program runs.
func ExampleStores_SetOptions() {
	stores, err := runtime.OpenStore("main", runtime.L1(memory.New(memory.Options{})))
	if err != nil {
		panic(err)
	}
	defer stores.Close(context.Background())
	if err := stores.SetOptions("users.Repo.FindUser", runtime.TTL(time.Minute)); err != nil {
		panic(err)
	}
	_, err = open(stores, definition[int64, string]{
		Name: "example.com/shop/users.Repo.FindUser", Pattern: "user:{id}", // generated code does this
		Options: []runtime.Option{runtime.TTL(5 * time.Minute)},
	})
	fmt.Println(err, stores.Check())
	fmt.Println(stores.Disable("users.Repo.FindUser"))
	fmt.Println(stores.Disable("users.Repo.FindUsr"))
	// Output:
	// <nil> <nil>
	// <nil>
	// cachegen: unknown function "users.Repo.FindUsr": Stores.Functions lists those that are open
}
