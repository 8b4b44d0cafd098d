package redis

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
)

// Kind: something that Close waits for without looking at the clock. A connection that is
// being made to a server that hangs does not keep a subscription from ending.
func TestCloseDoesNotWaitForAServerThatHangs(t *testing.T) {
	for name, tracking := range map[string]bool{"plain": false, "with tracking": true} {
		t.Run(name, func(t *testing.T) {
			server := servers.Redis(t)
			var paused atomic.Bool
			greeted := make(chan struct{}, 100)
			client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err == nil && paused.Load() {
					conn = greeting{conn, greeted}
				}
				return conn, err
			}})
			defer client.Close()
			store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})), runtime.L2(New(client, Options{})),
				runtime.Bus(NewBus(client, BusOptions{Tracking: tracking, PingInterval: 100 * time.Millisecond})), runtime.Logger(slog.New(slog.DiscardHandler)))
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			server.Pause(t)
			defer server.Resume(t)
			paused.Store(true)
			<-greeted
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			if err := store.Close(ctx); err != nil || time.Since(began) > time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	}
}

// A greeting is a connection that has been made, and whose server is greeted.
type greeting struct {
	net.Conn
	sent chan struct{}
}

func (g greeting) Write(b []byte) (int, error) {
	defer func() { g.sent <- struct{}{} }()
	return g.Conn.Write(b)
}

func TestCloseDoesNotWaitForAClosedClient(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: servers.Redis(t).Addr()})
	store, err := runtime.NewStore("main", runtime.L2(New(client, Options{})), runtime.Bus(NewBus(client, BusOptions{})))
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := store.DeleteByTag(t.Context(), "x"); err == nil {
		t.Fatal("deleted with a closed client")
	}
	began := time.Now()
	if err := store.Close(t.Context()); err == nil {
		t.Error("nothing is lost")
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("closed after %v", took)
	}
}
