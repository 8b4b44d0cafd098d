package file_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/cachegen/cachegen/drivers/file"
	"github.com/cachegen/cachegen/runtime"
)

// The next run of a program finds what the last one has loaded.
func Example() {
	dir, err := os.MkdirTemp("", "cache")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	load := func(context.Context) (string, error) {
		fmt.Println("the name is loaded")
		return "Ada", nil
	}
	for range 2 { // as if the program was started twice
		store, err := runtime.NewStore("main", runtime.L2(file.New(dir, file.Options{MaxSize: "1gb"})), runtime.TTL(time.Hour))
		if err != nil {
			fmt.Println(err)
			return
		}
		names, err := runtime.NewCache[int, string](store, "names")
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(names.GetOrSet(ctx, 1, load))
		if err := store.Close(ctx); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// the name is loaded
	// Ada <nil>
	// Ada <nil>
}
