package memory_test

import (
	"fmt"

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
