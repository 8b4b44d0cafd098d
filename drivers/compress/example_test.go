package compress_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/compress"
	"github.com/cachegen/cachegen/drivers/memory"
)

func Example() {
	tier := memory.NewL2(memory.L2Options{})
	store := compress.New(tier, compress.Options{})
	defer store.Close()
	ctx := context.Background()

	page := strings.Repeat("<li>again and again</li>", 1000)
	if err := store.SetMany(ctx, []drivers.Item{{Key: "page", Value: []byte(page)}}); err != nil {
		fmt.Println(err)
		return
	}
	values, err := store.GetMany(ctx, []string{"page"})
	if err != nil {
		fmt.Println(err)
		return
	}
	stored, err := tier.GetMany(ctx, []string{"page"})
	fmt.Println(string(values[0]) == page, len(page), len(stored[0]) < 1000, err)
	// Output: true 24000 true <nil>
}
