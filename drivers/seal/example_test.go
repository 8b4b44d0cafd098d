package seal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/seal"
)

func Example() {
	key := make([]byte, 32) // from where the program keeps its secrets
	rand.Read(key)

	tier := memory.NewL2(memory.L2Options{})
	store := seal.New(tier, seal.Options{Keys: [][]byte{key}})
	defer store.Close()
	ctx := context.Background()

	if err := store.SetMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte("Ada")}}); err != nil {
		fmt.Println(err)
		return
	}
	values, err := store.GetMany(ctx, []string{"user:1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	stored, err := tier.GetMany(ctx, []string{"user:1"})
	fmt.Printf("%s %v %v\n", values[0], bytes.Contains(stored[0], []byte("Ada")), err)
	// Output: Ada false <nil>
}
