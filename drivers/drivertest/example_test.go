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

// Checked is a complete driver of a third party. It stands in front of any other tier, and
// treats values that were damaged there as absent. It declares no Unwrap and no methods of a
// capability, so it has none; [drivers.Wrapper] shows how to have those of the tier behind.
type Checked struct{ drivers.L2 }

func (c Checked) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	values, err := c.L2.GetMany(ctx, keys)
	for i, v := range values {
		values[i] = nil // absent, unless the checksum is right
		if n := len(v) - crc32.Size; n >= 0 && crc32.ChecksumIEEE(v[:n]) == binary.BigEndian.Uint32(v[n:]) {
			values[i] = v[:n]
		}
	}
	return values, err
}

func (c Checked) SetMany(ctx context.Context, items []drivers.Item) error {
	items = slices.Clone(items) // the caller owns items and their values
	for i, it := range items {
		items[i].Value = binary.BigEndian.AppendUint32(slices.Clip(it.Value), crc32.ChecksumIEEE(it.Value))
	}
	return c.L2.SetMany(ctx, items)
}

// The test of the driver is one call:
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
