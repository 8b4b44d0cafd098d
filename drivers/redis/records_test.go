package redis_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/redis"
	"github.com/cachegen/cachegen/runtime"
)

func openStore(t *testing.T, client *goredis.Client) *runtime.Store {
	t.Helper()
	store, err := runtime.NewStore("main", runtime.L2(redis.New(client, redis.Options{})), runtime.Prefix("app"), runtime.TTL(time.Hour), runtime.L2Timeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close(context.Background()) })
	return store
}

// Kind: a record of ours that somebody else has written over. Whichever it is, and of whatever
// type, the store goes on, and replaces it.
func TestAStoreGoesOnWithRecordsOfAnotherType(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: servers.Redis(t).Addr()})
	defer client.Close()
	ctx := t.Context()
	for _, key := range []string{"app:!s:s", "app:!s:t:call", "app:!s:t:said", "app:!t", "app:k"} {
		t.Run(key, func(t *testing.T) {
			client.FlushAll(ctx)
			loads := 0
			get := func(times int) {
				t.Helper()
				cache, err := runtime.NewCache[string, int](openStore(t, client), "values")
				if err != nil {
					t.Fatal(err)
				}
				load := func(ctx context.Context) (int, error) {
					loads++
					runtime.EntryOf(ctx).SetTags("said")
					return loads, nil
				}
				for range times {
					if _, err := cache.GetOrSet(ctx, "k", load, runtime.Tags("call"), runtime.SuppressL2Errors(false)); err != nil {
						t.Fatal(err)
					}
				}
			}
			get(3)
			client.Del(ctx, key)
			client.HSet(ctx, key, "field", "value")
			before := loads
			get(6)
			if loads > before+3 {
				t.Errorf("%d loads", loads-before)
			}
			store := openStore(t, client)
			client.Del(ctx, key)
			client.HSet(ctx, key, "field", "value")
			if err := store.ExpireByTag(ctx, "call", "said"); err != nil {
				t.Error(err)
			}
			if err := store.DeleteByTag(ctx, "call", "said"); err != nil {
				t.Error(err)
			}
			if err := store.Clear(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is written beside entries is written by those who need it, and ends with the entries.
func TestTheServerKeepsNothingThatNobodyCanRead(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: servers.Redis(t).Addr()})
	defer client.Close()
	ctx := t.Context()
	client.FlushAll(ctx)
	store := openStore(t, client)
	for i := range 1000 {
		cache, err := runtime.NewCache[int, int](store.Namespace(fmt.Sprint("ns", i)), "values")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := cache.Get(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := client.DBSize(ctx).Val(); n != 0 {
		t.Errorf("1,000 reads of what is not there left %d keys", n)
	}
	cache, err := runtime.NewCache[int, int](store, "values")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := cache.Set(ctx, i, i, runtime.TTL(time.Second), runtime.Tags(runtime.Tag(fmt.Sprint("tag", i)))); err != nil {
			t.Fatal(err)
		}
	}
	keys := client.Keys(ctx, "*").Val()
	for _, key := range keys {
		if ttl := client.PTTL(ctx, key).Val(); ttl <= 0 || ttl > 2*time.Minute {
			t.Errorf("%s is kept for %v, beside entries of a second", key, ttl)
		}
	}
	if len(keys) > 2*200+2 {
		t.Errorf("%d keys", len(keys))
	}
}

// What has no end and nobody can read any more is removed: by Prune, and behind a Clear.
func TestTheServerIsRidOfWhatWasInvalidated(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: servers.Redis(t).Addr()})
	defer client.Close()
	ctx := t.Context()
	client.FlushAll(ctx)
	store := openStore(t, client)
	cache, err := runtime.NewCache[int, int](store, "values")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := cache.Set(ctx, i, i, runtime.TTL(runtime.Forever), runtime.Tags(runtime.Tag(fmt.Sprint("tag", i%2)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.DeleteByTag(ctx, "tag0"); err != nil {
		t.Fatal(err)
	}
	if n, err := store.Prune(ctx); n != 100 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	if err := store.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		keys := client.Keys(ctx, "*").Val()
		slices.Sort(keys)
		if slices.Equal(keys, []string{"app:!s:a::values", "app:!s:t:tag1"}) { // the stamps of entries that had no end
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d keys are left after a clear", len(keys))
		}
	}
}
