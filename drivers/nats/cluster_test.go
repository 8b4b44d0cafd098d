package nats

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	gonats "github.com/nats-io/nats.go"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// cluster starts three servers that hold streams together.
func cluster(t *testing.T) []*servers.NATSServer {
	t.Helper()
	// The ports are free for a moment, as they are when package servers chooses one.
	var routes []string
	var held []net.Listener
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
		routes = append(routes, "nats://"+l.Addr().String())
	}
	for _, l := range held {
		l.Close()
	}
	var all []*servers.NATSServer
	for i, route := range routes {
		all = append(all, servers.NATS(t, "--cluster_name", "c", "--server_name", fmt.Sprint("s", i),
			"--cluster", route, "--routes", strings.Join(routes, ",")))
	}
	return all
}

func TestThreeReplicas(t *testing.T) {
	all := cluster(t)
	var urls []string
	for _, server := range all {
		urls = append(urls, server.URL())
	}
	connect := func() *gonats.Conn {
		return dial(t, all[0], func(o *gonats.Options) error { o.Servers, o.Url = urls, ""; return nil })
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, other := New(connect(), Options{Replicas: 3}), New(connect(), Options{Replicas: 3})
	eventually(ctx, t, "the cluster has a leader", func(ctx context.Context) error {
		return d.SetMany(ctx, []drivers.Item{{Key: "counter", Value: []byte("0")}})
	})
	// Each process sees what the other has written, and swaps it.
	for i := range 50 {
		store := []*Driver{d, other}[i%2]
		old, err := store.GetMany(ctx, []string{"counter"})
		if err != nil || string(old[0]) != fmt.Sprint(i) {
			t.Fatalf("read %q, want %d; %v", old, i, err)
		}
		swaps := []drivers.Swap{{Key: "counter", Old: old[0], New: fmt.Append(nil, i+1)}, {Key: "counter", Old: old[0], New: []byte("lost")}}
		if done, err := store.SwapMany(ctx, swaps); err != nil || !done[0] || done[1] {
			t.Fatalf("swap %d: %v, %v", i, done, err)
		}
	}
	// A stale expectation is refused in the replicated stream's own words.
	if done, err := d.replace(ctx, "counter", 1, entry{}); err != nil || done {
		t.Errorf("replaced what had changed: %v, %v", done, err)
	}
	all[0].Stop()
	eventually(ctx, t, "two of three servers go on", func(ctx context.Context) error {
		return d.SetMany(ctx, []drivers.Item{{Key: "after", Value: []byte("x")}})
	})
	eventually(ctx, t, "and have lost nothing", func(ctx context.Context) error {
		values, err := other.GetMany(ctx, []string{"counter", "after"})
		if err == nil && (string(values[0]) != "50" || string(values[1]) != "x") {
			t.Fatalf("read %q", values)
		}
		return err
	})
}

// eventually tries until f succeeds.
func eventually(ctx context.Context, t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := f(limited)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}
