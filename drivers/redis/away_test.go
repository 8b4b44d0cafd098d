package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
)

// What a server does that is full, away or hangs, as a store sees it. The rules are tested in
// runtime/internal/remote and runtime/internal/bus; these tests have a server that does it.

func storeOn(t *testing.T, server *servers.RedisServer, options ...runtime.StoreOption) *runtime.Store {
	t.Helper()
	client := dial(t, server)
	store, err := runtime.NewStore("main", append([]runtime.StoreOption{runtime.L2(New(client, Options{})), runtime.Logger(slog.New(slog.DiscardHandler))}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = store.Close(ctx)
	})
	return store
}

func cacheOn(t *testing.T, store *runtime.Store) *runtime.Cache[string, int] {
	t.Helper()
	c, err := runtime.NewCache[string, int](store, "values", runtime.TTL(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAFullServerServesWhatItHas(t *testing.T) {
	server := servers.Redis(t, "--maxmemory-policy", "noeviction")
	store := storeOn(t, server)
	c, ctx := cacheOn(t, store), t.Context()
	load := func(context.Context) (int, error) { return 1, nil }
	for i := range 300 {
		if _, err := c.GetOrSet(ctx, fmt.Sprint("warm", i), load); err != nil {
			t.Fatal(err)
		}
	}
	if err := dial(t, server).ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	var loads sync.WaitGroup
	for i := range 16 { // at once: their writes fail one after the other
		loads.Go(func() {
			if _, err := c.GetOrSet(ctx, fmt.Sprint("new", i), load); err != nil {
				t.Error(err)
			}
		})
	}
	loads.Wait()
	served, deleted := 0, 0
	for i := range 300 {
		loaded := false
		_, err := c.GetOrSet(ctx, fmt.Sprint("warm", i), func(context.Context) (int, error) { loaded = true; return 1, nil })
		if err == nil && !loaded {
			served++
		}
	}
	for i := range 300 {
		if c.Delete(ctx, fmt.Sprint("warm", i)) == nil {
			deleted++
		}
	}
	t.Logf("served %d of 300, deleted %d of 300", served, deleted)
	if served != 300 || deleted != 300 {
		t.Errorf("served %d of 300, deleted %d of 300", served, deleted)
	}
	if err := store.DeleteByTag(ctx, "x"); err != nil {
		t.Error(err)
	}
}

func TestDeletionsDoNotWaitForAServerThatHangs(t *testing.T) {
	server := servers.Redis(t)
	client := dial(t, server)
	store := storeOn(t, server, runtime.L1(memory.New(memory.Options{})), runtime.Bus(NewBus(client, BusOptions{})), runtime.L2Timeout(100*time.Millisecond))
	if err := store.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := cacheOn(t, store)
	server.Pause(t)
	defer server.Resume(t)
	began := time.Now()
	for i := range 15 {
		var lost *runtime.InvalidationError
		if err := c.Delete(t.Context(), fmt.Sprint(i)); !errors.As(err, &lost) {
			t.Error(err)
		}
	}
	took := time.Since(began)
	t.Log("15 deletions took", took)
	if took > 1500*time.Millisecond { // less than half of what each would wait by itself, for the tier and for the bus
		t.Error("15 deletions took", took)
	}
}

// A write of many targets waits for a server that hangs once, and those after it do not wait,
// although they are of the same keys, which are tried again meanwhile.
func TestAWriteOfManyTargetsWaitsOnceForAServerThatHangs(t *testing.T) {
	const timeout = 400 * time.Millisecond
	server := servers.Redis(t)
	store := storeOn(t, server, runtime.L1(memory.New(memory.Options{})), runtime.Bus(NewBus(dial(t, server), BusOptions{})), runtime.L2Timeout(timeout))
	if err := store.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, ctx := cacheOn(t, store), t.Context()
	for i := range 25 {
		if err := c.Set(ctx, fmt.Sprint(i), 1, runtime.Tags(runtime.Tag(fmt.Sprint("t", i)))); err != nil {
			t.Fatal(err)
		}
	}
	server.Pause(t)
	defer server.Resume(t)
	write := func() error {
		var targets []gen.Target
		for i := range 5 {
			targets = append(targets,
				gen.Delete(c, fmt.Sprint(i)), gen.Expire(c, fmt.Sprint(5+i)), gen.Set(c, fmt.Sprint(10+i), 2),
				gen.DeleteByTag(c, runtime.Tag(fmt.Sprint("t", 15+i))), gen.ExpireByTag(c, runtime.Tag(fmt.Sprint("t", 20+i))))
		}
		return gen.Write(ctx, gen.Writer{Function: "app.Save"}, targets...)
	}
	for i, most := range []time.Duration{timeout + timeout/2, 3 * timeout} { // one write, and ten
		began := time.Now()
		for range 1 + 9*i {
			var lost *runtime.InvalidationError
			if err := write(); !errors.As(err, &lost) || lost.Function != "app.Save" {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > most {
			t.Errorf("%d writes took %v", 1+9*i, took)
		} else {
			t.Log(took)
		}
	}
	for i := range 25 {
		if v, ok, err := c.Get(ctx, fmt.Sprint(i)); ok || err != nil {
			t.Error(i, v, err)
		}
	}
}
