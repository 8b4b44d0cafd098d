package runtime_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// cachedRepo is what generated code makes of a repository of names.
type cachedRepo struct {
	names map[int]string
	name  *runtime.Cache[int, string]
}

// Rename has the directive //cache:delete FindName(id).
func (r *cachedRepo) Rename(ctx context.Context, id int, name string) error {
	r.names[id] = name
	return gen.Write(ctx, gen.Writer{Function: "example.com/app.Repo.Rename"}, gen.Delete(r.name, id))
}

// openRepo returns a repository whose shared tier does not answer before it is closed.
func openRepo() (repo *cachedRepo, closeStore func()) {
	shared := new(faketier.Shared)
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})), runtime.L2(shared))
	if err != nil {
		panic(err)
	}
	names, err := runtime.NewCache[int, string](store, "names")
	if err != nil {
		panic(err)
	}
	shared.Down(errors.New("connection refused"))
	return &cachedRepo{map[int]string{1: "Ada"}, names}, func() {
		shared.Down(nil)
		store.Close(context.Background())
	}
}

// The database has changed, and the cache could not be told. The store keeps trying, so that a
// program usually goes on; runtime.InvalidationErrors(runtime.Log) does so by itself.
func ExampleInvalidationError() {
	ctx := context.Background()
	repo, closeStore := openRepo()
	defer closeStore()

	err := repo.Rename(ctx, 1, "Ada Lovelace")
	var failed *runtime.InvalidationError
	if errors.As(err, &failed) {
		fmt.Println("done:", failed.Function)
		fmt.Println("later:", failed.Op, "in store", failed.Store)
		fmt.Println("because:", failed.Err)
		err = nil
	}
	fmt.Println(repo.names[1], err)
	// Output:
	// done: example.com/app.Repo.Rename
	// later: delete in store main
	// because: shared tier of store main: delete: connection refused
	// Ada Lovelace <nil>
}
