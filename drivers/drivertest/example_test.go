package drivertest_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
)

// Checked is a third party's driver, all of it: in front of any other tier, it notices
// values that were damaged there.
type Checked struct{ drivers.L2 }

func (c Checked) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	values, err := c.L2.GetMany(ctx, keys)
	for i, v := range values {
		values[i] = nil // absent, or as good as absent
		if n := len(v) - crc32.Size; n >= 0 && crc32.ChecksumIEEE(v[:n]) == binary.BigEndian.Uint32(v[n:]) {
			values[i] = v[:n]
		}
	}
	return values, err
}

func (c Checked) SetMany(ctx context.Context, items []drivers.Item) error {
	items = slices.Clone(items) // which are the caller's, as their values are
	for i, it := range items {
		items[i].Value = binary.BigEndian.AppendUint32(slices.Clip(it.Value), crc32.ChecksumIEEE(it.Value))
	}
	return c.L2.SetMany(ctx, items)
}

// The driver's test is one call:
//
//	func TestConformance(t *testing.T) {
//		drivertest.L2(t, func(t *testing.T) drivers.L2 {
//			return Checked{memory.NewL2(memory.L2Options{})}
//		})
//	}
func Example() {
	ctx := context.Background()
	tier := memory.NewL2(memory.L2Options{})
	defer tier.Close()
	store := Checked{tier}
	if err := store.SetMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte("Ada")}}); err != nil {
		fmt.Println(err)
	}
	values, err := store.GetMany(ctx, []string{"user:1", "user:2"})
	fmt.Printf("%q %v %v\n", values[0], values[1] == nil, err)
	if err := tier.SetMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte("damaged")}}); err != nil {
		fmt.Println(err)
	}
	values, err = store.GetMany(ctx, []string{"user:1"})
	fmt.Println(values[0] == nil, err)
	// Output:
	// "Ada" true <nil>
	// true <nil>
}
