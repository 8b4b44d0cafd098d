package redis_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/redis"
	"github.com/cachegen/cachegen/runtime"
)

// race R45: the answer to an invalidation is lost, another process loads under the stamps
// that it has written and invalidates them, and nothing brings the first stamps back.
func TestAnInvalidationIsSentOnce(t *testing.T) {
	server := servers.Redis(t)
	proxy := servers.NewProxy(t, server.Addr())
	var source atomic.Int64
	type process struct {
		store *runtime.Store
		get   func() int64
	}
	open := func(address string) process {
		client := goredis.NewClient(&goredis.Options{Addr: address})
		t.Cleanup(func() { client.Close() })
		store, err := runtime.NewStore("main", runtime.L2(redis.New(client, redis.Options{})), runtime.TTL(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close(context.Background()) })
		cache, err := runtime.NewCache[string, int64](store, "values")
		if err != nil {
			t.Fatal(err)
		}
		return process{store, func() int64 {
			value, err := cache.GetOrSet(t.Context(), "k", func(context.Context) (int64, error) { return source.Load(), nil }, runtime.Tags("a", "b"))
			if err != nil {
				t.Error(err)
			}
			return value
		}}
	}
	for n := 0; ; n++ {
		first := open(proxy.Addr())
		first.get()
		var old int64
		proxy.LoseAnswer(n, func() {
			second := open(server.Addr())
			old = second.get()
			source.Add(1)
			if err := second.store.DeleteByTag(t.Context(), "a", "b"); err != nil {
				t.Error("by another process:", err)
			}
		})
		err := first.store.DeleteByTag(t.Context(), "a", "b")
		if !proxy.Lost() {
			if err != nil || n < 2 {
				t.Errorf("without a loss: %v, after %d answers", err, n)
			}
			return
		}
		if got := open(server.Addr()).get(); got == old {
			t.Errorf("answer %d was lost (error %v): %d is valid again", n, err, got)
		}
	}
}
