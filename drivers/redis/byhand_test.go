package redis_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/redis"
	"github.com/cachegen/cachegen/runtime"
)

// A DEL from outside the library reaches the memory of a store.
func TestADeletionByHandReachesMemory(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: servers.Redis(t).Addr()})
	defer client.Close()
	bus := redis.NewBus(client, redis.BusOptions{Tracking: true})
	defer bus.Close()
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})), runtime.L2(redis.New(client, redis.Options{})),
		runtime.Bus(bus), runtime.Prefix("app"), runtime.TTL(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close(context.Background())
	ctx := t.Context()
	if err := store.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	cache, err := runtime.NewCache[string, string](store, "values")
	if err != nil {
		t.Fatal(err)
	}
	var loads atomic.Int64
	get := func() string {
		t.Helper()
		value, err := cache.GetOrSet(ctx, "k", func(context.Context) (string, error) { return strconv.FormatInt(loads.Add(1), 10), nil })
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	if got := get(); got != "1" {
		t.Fatalf("got %q", got)
	}
	for range 100 { // from memory
		if got := get(); got != "1" {
			t.Fatalf("got %q", got)
		}
	}
	if n := client.Del(ctx, "app:@!values:k").Val(); n != 1 {
		t.Fatalf("%d keys deleted", n)
	}
	for deadline := time.Now().Add(20 * time.Second); get() != "2"; {
		if time.Now().After(deadline) {
			t.Fatal("memory still has what was deleted by hand")
		}
	}
}
