package memory

import (
	"testing"

	"github.com/maypok86/otter/v2"

	"github.com/cachegen/cachegen/drivers"
)

// The two differ only by the driver, whose cost must not be seen.
func BenchmarkGet(b *testing.B) {
	const n = 1 << 14
	value := any(new(int))
	b.Run("driver", func(b *testing.B) {
		var l1 drivers.L1 = New(Options{})
		for i := range uint64(n) {
			l1.Set(i, value, 8)
		}
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			l1.Get(i & (n - 1))
		}
	})
	b.Run("otter", func(b *testing.B) {
		c := otter.Must(&otter.Options[uint64, any]{MaximumSize: 100 << 20})
		for i := range uint64(n) {
			c.Set(i, value)
		}
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			c.GetIfPresent(i & (n - 1))
		}
	})
}
