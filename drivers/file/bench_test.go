package file

import (
	"fmt"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

func Benchmark(b *testing.B) {
	value := make([]byte, 1<<10)
	for name, options := range map[string]Options{"sync": {}, "nosync": {NoSync: true}} {
		for _, n := range []int{1, 100} {
			d := open(b, b.TempDir(), options)
			var items []drivers.Item
			var keys []string
			for i := range n {
				keys = append(keys, fmt.Sprint("key", i))
				items = append(items, drivers.Item{Key: keys[i], Value: value, TTL: time.Hour})
			}
			b.Run(fmt.Sprintf("set/%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					if err := d.SetMany(b.Context(), items); err != nil {
						b.Fatal(err)
					}
				}
			})
			if options.NoSync {
				b.Run(fmt.Sprintf("get/%d", n), func(b *testing.B) {
					for b.Loop() {
						if _, err := d.GetMany(b.Context(), keys); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
