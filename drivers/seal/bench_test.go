package seal

import (
	"fmt"
	"testing"
)

func Benchmark(b *testing.B) {
	c, err := newCoding([][]byte{secretKey(1)})
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{100, 1 << 10, 64 << 10} {
		value := make([]byte, size)
		stored, err := c.Encode("user:1", value)
		if err != nil {
			b.Fatal(err)
		}
		for name, f := range map[string]func() ([]byte, error){
			"encode": func() ([]byte, error) { return c.Encode("user:1", value) },
			"decode": func() ([]byte, error) { return c.Decode("user:1", stored) },
		} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
