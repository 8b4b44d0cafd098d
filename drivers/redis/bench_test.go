package redis

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

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

// BenchmarkFanOut is what a message costs the server, for each of a thousand subscribers: in a
// large fleet that is what comes to an end first.
func BenchmarkFanOut(b *testing.B) {
	const subscribers = 1000
	server := servers.Redis(b)
	client := dial(b, server)
	for range subscribers {
		conn, err := net.Dial("tcp", server.Addr())
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "SUBSCRIBE cachegen:app:!bus\r\n")
		go func() { _, _ = io.Copy(io.Discard, conn) }()
	}
	ctx, message := b.Context(), bytes.Repeat([]byte("m"), 55)
	for client.Publish(ctx, "cachegen:app:!bus", message).Val() < subscribers {
		time.Sleep(10 * time.Millisecond)
	}
	before := cpuOf(b, client)
	for b.Loop() {
		client.Publish(ctx, "cachegen:app:!bus", message)
	}
	b.ReportMetric((cpuOf(b, client)-before)*1e6/float64(b.N*subscribers), "us-of-server/delivery")
}

// cpuOf returns how many seconds a server has worked.
func cpuOf(b *testing.B, client goredis.UniversalClient) (seconds float64) {
	b.Helper()
	for line := range strings.Lines(client.Info(b.Context(), "cpu").Val()) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name == "used_cpu_user" || name == "used_cpu_sys" {
			part, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			seconds += part
		}
	}
	return seconds
}
