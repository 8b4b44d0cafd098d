package compress

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// A record is what programs cache: names, numbers, times.
type record struct {
	ID      int64
	Name    string
	Email   string
	Team    string
	Active  bool
	Score   float64
	Created time.Time
	Tags    []string
}

var words = []string{
	"ada", "grace", "edsger", "barbara", "donald", "alan", "margaret", "dennis", "frances", "niklaus", "radia", "leslie",
	"engine", "orbit", "lambda", "kernel", "router", "vector", "matrix", "signal", "packet", "cipher", "thread", "ledger",
}

// records returns about size bytes of records as JSON.
func records(size int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(size)))
	word := func() string { return words[r.IntN(len(words))] }
	var all []record
	for {
		name := word() + " " + word()
		all = append(all, record{
			ID: r.Int64N(1e9), Name: name, Email: fmt.Sprintf("%s.%d@example.com", word(), r.IntN(1000)), Team: word(), Active: r.IntN(3) > 0,
			Score: r.Float64() * 100, Created: time.Unix(1.6e9+r.Int64N(1e8), 0).UTC(), Tags: []string{word(), word(), word()},
		})
		b, err := json.Marshal(all)
		if err != nil {
			panic(err)
		}
		if len(b) >= size {
			return b[:size]
		}
	}
}

// Figures to choose a threshold by: what is saved on the way to the tier, and what time
// that takes. "stored" is the part that is left.
func Benchmark(b *testing.B) {
	c, err := Options{Threshold: 1}.coding()
	if err != nil {
		b.Fatal(err)
	}
	better, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		b.Fatal(err)
	}
	methods := []struct {
		name   string
		encode func([]byte) ([]byte, error)
		decode func([]byte) ([]byte, error)
	}{
		{"this", func(v []byte) ([]byte, error) { return c.Encode("", v) }, func(s []byte) ([]byte, error) { return c.Decode("", s) }},
		{"zstd-default", func(v []byte) ([]byte, error) { return better.EncodeAll(v, nil), nil }, func(s []byte) ([]byte, error) { return c.decoder.DecodeAll(s, nil) }},
		{"s2", func(v []byte) ([]byte, error) { return s2.Encode(nil, v), nil }, func(s []byte) ([]byte, error) { return s2.Decode(nil, s) }},
	}
	for _, size := range []int{256, 512, 1 << 10, 2 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20} {
		value := records(size)
		for _, m := range methods {
			stored, err := m.encode(value)
			if err != nil {
				b.Fatal(err)
			}
			measure := func(b *testing.B, f func([]byte) ([]byte, error), in []byte) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := f(in); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(stored))/float64(size), "stored")
			}
			b.Run(fmt.Sprintf("encode/%s/%d", m.name, size), func(b *testing.B) { measure(b, m.encode, value) })
			b.Run(fmt.Sprintf("decode/%s/%d", m.name, size), func(b *testing.B) { measure(b, m.decode, stored) })
		}
	}
}
