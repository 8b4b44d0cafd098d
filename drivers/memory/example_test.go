package memory_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
)

func Example() {
	ctx := context.Background()
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{MaxSize: "64mb", MaxEntrySize: "1mb"})), runtime.TTL(time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close(ctx)
	names, err := runtime.NewCache[int, string](store, "names")
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		fmt.Println(names.GetOrSet(ctx, 1, func(context.Context) (string, error) {
			fmt.Println("the name is loaded")
			return "Ada", nil
		}))
	}
	// Output:
	// the name is loaded
	// Ada <nil>
	// Ada <nil>
}

// A constructor returns no error. A store that is given such a tier is not made, and says why.
func ExampleNew_unusableOptions() {
	tier := memory.New(memory.Options{MaxSize: "plenty"})
	fmt.Println(tier.Err())
	// Output: memory: MaxSize "plenty": want a positive integer followed by b, kb, mb, gb or tb, such as "100mb"
}

// A program that starts with what its last run had.
func ExampleL2_Snapshot() {
	var file bytes.Buffer // in place of a file
	ctx := context.Background()

	last := memory.NewL2(memory.L2Options{MaxSize: "10mb"})
	err := last.SetMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte("Ada"), TTL: time.Hour}})
	if err != nil {
		fmt.Println(err)
		return
	}
	last.Close() // the store does it
	if err := last.Snapshot(&file); err != nil {
		fmt.Println(err)
		return
	}

	next := memory.NewL2(memory.L2Options{MaxSize: "10mb"})
	n, err := next.Restore(&file)
	fmt.Println(n, err)
	values, err := next.GetMany(ctx, []string{"user:1"})
	fmt.Printf("%q %v\n", values, err)
	// Output:
	// 1 <nil>
	// ["Ada"] <nil>
}
