package redis

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// BenchmarkGet64 reads one of many keys from 64 goroutines.
func BenchmarkGet64(b *testing.B) {
	server := servers.Redis(b)
	client := dial(b, server)
	value := bytes.Repeat([]byte("v"), 200)
	shared := New(client, Options{})
	if err := shared.SetMany(b.Context(), []drivers.Item{{Key: "k", Value: value}}); err != nil {
		b.Fatal(err)
	}
	ctx, keys := b.Context(), []string{"k"}
	run := func(name string, parallelism int, get func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(parallelism)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := get(); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
	alone := New(client, Options{NoAutoPipeline: true})
	for name, d := range map[string]*Driver{"shared": shared, "alone": alone} {
		run(name, 32, func() error { _, err := d.GetMany(ctx, keys); return err })
	}
	run("go-redis", 32, func() error { return client.Get(ctx, "k").Err() })
}

// BenchmarkGet1 has nobody to share a round trip with.
func BenchmarkGet1(b *testing.B) {
	client := dial(b, servers.Redis(b))
	ctx, keys := b.Context(), []string{"k"}
	for name, options := range map[string]Options{"shared": {}, "alone": {NoAutoPipeline: true}} {
		d := New(client, options)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := d.GetMany(ctx, keys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("go-redis", func(b *testing.B) {
		for b.Loop() {
			client.Get(ctx, "k")
		}
	})
}

// BenchmarkSet100 shows what it costs that a write ends leases in the same step.
func BenchmarkSet100(b *testing.B) {
	client := dial(b, servers.Redis(b))
	ctx := b.Context()
	d := New(client, Options{})
	var items []drivers.Item
	for i := range 100 {
		items = append(items, drivers.Item{Key: fmt.Sprint("user:", i), Value: bytes.Repeat([]byte("v"), 200), TTL: time.Hour})
	}
	b.Run("driver", func(b *testing.B) {
		for b.Loop() {
			if err := d.SetMany(ctx, items); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go-redis", func(b *testing.B) {
		for b.Loop() {
			pipe := client.Pipeline()
			for _, item := range items {
				pipe.Set(ctx, item.Key, item.Value, item.TTL)
			}
			if _, err := pipe.Exec(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkHistory is what a read pays for the question whether its answer can be believed.
func BenchmarkHistory(b *testing.B) {
	d := New(dial(b, servers.Redis(b)), Options{})
	ctx := b.Context()
	if _, err := d.History(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.History(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
