package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/redis"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
)

// race R28: a store whose bus reports every change of a key, its own too, keeps what it has written,
// and hears of every change that others make, also right before or after its own, when the
// server reports both at once.
func TestAStoreTellsItsOwnWritesFromThoseOfOthers(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: servers.Redis(t).Addr()})
	t.Cleanup(func() { client.Close() })
	bus := redis.NewBus(client, redis.BusOptions{Tracking: true})
	t.Cleanup(func() { bus.Close() })
	var heard atomic.Int64 // changes of others
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})), runtime.L2(redis.New(client, redis.Options{})),
		runtime.Bus(bus), runtime.Prefix("app"), runtime.TTL(time.Hour), runtime.Logger(slog.New(slog.DiscardHandler)),
		runtime.Hooks(event.Hooks{Received: func(m event.Message) {
			if m.Kind == "changed" {
				heard.Add(int64(len(m.Targets)))
			}
		}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close(context.Background()) })
	ctx := t.Context()
	if err := store.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	cache, err := runtime.NewCache[string, int](store, "values")
	if err != nil {
		t.Fatal(err)
	}
	// A report of this key, which nobody else has written, comes after all that were made
	// before it.
	settle := func(i int) {
		t.Helper()
		before := heard.Load()
		client.Set(ctx, fmt.Sprint("app:settled", i), "x", time.Minute)
		await(t, func() bool { return heard.Load() > before })
	}
	const rounds = 300
	for i := range rounds {
		key := fmt.Sprint("own", i%10)
		if err := cache.Set(ctx, key, i); err != nil {
			t.Fatal(err)
		}
		if _, err := cache.GetOrSet(ctx, fmt.Sprint("loaded", i), func(context.Context) (int, error) { return i, nil }); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			if err := store.DeleteByTag(ctx, "tag"); err != nil {
				t.Fatal(err)
			}
		}
	}
	settle(0)
	if n := heard.Load(); n != 1 {
		t.Errorf("%d of its own writes were taken for changes of others", n-1)
	}
	for i := range rounds {
		key := fmt.Sprint("contended", i%10)
		var both sync.WaitGroup
		both.Go(func() {
			if err := cache.Set(ctx, key, i); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			if i%3 == 0 {
				client.Del(ctx, "app:@!values:"+key)
			} else {
				client.Set(ctx, "app:@!values:"+key, "by hand", 0)
			}
		})
		both.Wait()
		held, err := client.Get(ctx, "app:@!values:"+key).Result()
		own := err == nil && !strings.HasPrefix(held, "by hand")
		await(t, func() bool {
			got, ok, err := cache.Get(ctx, key)
			if err != nil {
				t.Fatal(err)
			}
			return ok == own && (!ok || got == i)
		})
	}
}

// await waits until done.
func await(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("memory does not follow")
		}
	}
}
