package memory_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
)

func Example() {
	tier := memory.New(memory.Options{MaxSize: "64mb", MaxEntrySize: "1mb"})
	defer tier.Close()

	tier.Set(42, "the answer", len("the answer"))
	fmt.Println(tier.Get(42), tier.Get(43))
	// Output: the answer <nil>
}

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
