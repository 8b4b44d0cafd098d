package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// What the documentation of AdonisJS Cache and of Bentocache promises, page by page.
// The tests are named after what a statement is about. Where this package promises
// something else, the test says so.

func statement(t *testing.T, about string, f func(t *testing.T)) {
	t.Helper()
	t.Run(about, func(t *testing.T) { bubble(t, f) })
}

func statementInEveryShape(t *testing.T, about string, f func(t *testing.T, in shape)) {
	t.Helper()
	t.Run(about, func(t *testing.T) { inEveryShape(t, f) })
}

func TestStatementsAboutTheCacheService(t *testing.T) {
	open := func(t *testing.T) runtime.Stores {
		var shared faketier.Shared // two stores on one server need two prefixes
		stores, err := runtime.NewStores(newNamed(t, "redis", memoryTier(), runtime.L2(&shared), runtime.Prefix("redis")), newNamed(t, "dynamodb", runtime.L2(&shared), runtime.Prefix("dynamodb")))
		if err != nil {
			t.Fatal(err)
		}
		return stores
	}
	statement(t, "without use the methods use the default store", func(t *testing.T) {
		stores := open(t)
		if got := stores.Default().Name(); got != "redis" {
			t.Error(got)
		}
		if s, err := stores.Use("dynamodb"); err != nil || s.Name() != "dynamodb" {
			t.Error(err)
		}
	})
	statement(t, "separation of stores on one server, and their clear", func(t *testing.T) {
		stores := open(t)
		other, _ := stores.Use("dynamodb")
		a, b := newCache[string, int](t, stores.Default()), newCache[string, int](t, other)
		_ = a.Set(t.Context(), "foo", 2)
		if ok, _ := b.Has(t.Context(), "foo"); ok {
			t.Error("one store has the other's entry")
		}
		_ = b.Set(t.Context(), "foo", 1)
		if err := stores.Default().Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ok, _ := a.Has(t.Context(), "foo"); ok {
			t.Error("clear left it")
		}
		got, _, err := b.Get(t.Context(), "foo")
		want(t, got, err, 1)
	})
	statement(t, "the methods", func(t *testing.T) {
		s := open(t).Default()
		c := newCache[string, string](t, s)
		users := newCache[string, string](t, s.Namespace("users"))
		ctx := t.Context()
		_ = users.Set(ctx, "username", "jul")
		got, _, err := users.Get(ctx, "username")
		want(t, got, err, "jul")
		if ok, _ := c.Has(ctx, "username"); ok {
			t.Error("a key of a namespace is one of the store")
		}
		_ = c.SetForever(ctx, "username", "jul")
		time.Sleep(100 * 365 * 24 * time.Hour)
		if ok, _ := c.Has(ctx, "username"); !ok {
			t.Error("it was not set for ever")
		}
		got, err = c.GetOrSetForever(ctx, "other", func(context.Context) (string, error) { return "fetched", nil })
		want(t, got, err, "fetched")
		if missing, _ := c.Missing(ctx, "nobody"); !missing {
			t.Error("what is not there is not missing")
		}
		got, ok, err := c.Pull(ctx, "username")
		want(t, got, err, "jul")
		if _, again, _ := c.Pull(ctx, "username"); !ok || again {
			t.Error("pulled twice")
		}
		_ = c.DeleteMany(ctx, "products", "users", "other")
		if ok, _ := c.Has(ctx, "other"); ok {
			t.Error("deleteMany left it")
		}
		if n, err := s.Prune(ctx); n != 0 || err != nil {
			t.Error(n, err) // a tier with native TTLs has nothing to prune
		}
	})
}

func TestStatementsAboutTags(t *testing.T) {
	statement(t, "deleteByTags invalidates all entries linked to a tag", func(t *testing.T) {
		s := newStore(t, memoryTier())
		c := newCache[string, int](t, s)
		_ = c.Set(t.Context(), "foo", 1, runtime.Tags("tag-1", "tag-2"))
		_ = c.Set(t.Context(), "bar", 1, runtime.Tags("tag-2"))
		_ = c.Set(t.Context(), "baz", 1)
		if err := s.DeleteByTag(t.Context(), "tag-1"); err != nil {
			t.Fatal(err)
		}
		for key, wanted := range map[string]bool{"foo": false, "bar": true, "baz": true} {
			if ok, _ := c.Has(t.Context(), key); ok != wanted {
				t.Errorf("%s: %v", key, ok)
			}
		}
	})
	statement(t, "tags that depend on the cached value itself", func(t *testing.T) {
		s := newStore(t, memoryTier())
		c := newCache[string, int](t, s)
		var loads int
		load := says(&loads, 1, func(e *runtime.Entry) { e.SetTags("on-sale") })
		for range 3 {
			_, _ = c.GetOrSet(t.Context(), "product", load)
		}
		before := loads
		_ = s.DeleteByTag(t.Context(), "on-sale")
		_, _ = c.GetOrSet(t.Context(), "product", load)
		if loads != before+1 {
			t.Error(loads, before)
		}
	})
	statement(t, "tagging works with any driver", func(t *testing.T) {
		s := newStore(t, runtime.L2(plainTier{&faketier.Shared{}}))
		c := newCache[string, int](t, s)
		_ = c.Set(t.Context(), "foo", 1, runtime.Tags("tag-1"))
		_ = s.DeleteByTag(t.Context(), "tag-1")
		if ok, _ := c.Has(t.Context(), "foo"); ok {
			t.Error("it is there still")
		}
	})
}

func TestStatementsAboutNamespaces(t *testing.T) {
	statement(t, "clear of a namespace clears its keys only", func(t *testing.T) {
		s := newStore(t, memoryTier(), runtime.L2(&faketier.Shared{}))
		root, users, similar := newCache[string, int](t, s), newCache[string, int](t, s.Namespace("users")), newCache[string, int](t, s.Namespace("usersAbc"))
		for _, c := range []*runtime.Cache[string, int]{root, users, similar} {
			_ = c.Set(t.Context(), "1", 1)
		}
		_ = s.Namespace("users").Clear(t.Context())
		for i, c := range []*runtime.Cache[string, int]{root, users, similar} {
			if ok, _ := c.Has(t.Context(), "1"); ok != (i != 1) {
				t.Errorf("%d: %v", i, ok)
			}
		}
	})
	statement(t, "namespaces are nested, and clear of the root clears all", func(t *testing.T) {
		s := newStore(t, memoryTier())
		users, admins := newCache[string, int](t, s.Namespace("users")), newCache[string, int](t, s.Namespace("users").Namespace("admins"))
		fill := func() { _ = users.Set(t.Context(), "1", 1); _ = admins.Set(t.Context(), "1", 1) }
		has := func(c *runtime.Cache[string, int]) bool { ok, _ := c.Has(t.Context(), "1"); return ok }
		fill()
		_ = s.Namespace("users").Namespace("admins").Clear(t.Context())
		if !has(users) || has(admins) {
			t.Error("clear of the inner one")
		}
		fill()
		_ = s.Namespace("users").Clear(t.Context())
		if has(users) || has(admins) {
			t.Error("clear of the outer one")
		}
		fill()
		_ = s.Clear(t.Context())
		if has(users) || has(admins) {
			t.Error("clear of the root")
		}
	})
}

func TestStatementsAboutGracePeriods(t *testing.T) {
	mayTell(t, "load failed")
	statementInEveryShape(t, "stale data is served while the database is down", func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, in.tiers(), runtime.TTL(10*time.Minute), runtime.Grace(6*time.Hour), runtime.Timeout(time.Second)))
		var src source
		src.value.Store(1)
		_, _ = c.GetOrSet(t.Context(), "users:1", src.load)
		time.Sleep(11 * time.Minute)
		src.fail.Store(true)
		got, err := c.GetOrSet(t.Context(), "users:1", src.load)
		want(t, got, err, 1)
		time.Sleep(6 * time.Hour)
		if _, err := c.GetOrSet(t.Context(), "users:1", src.load); !errors.Is(err, errSource) {
			t.Error("beyond the grace:", err)
		}
	})
	statementInEveryShape(t, "graceBackoff: the factory is tried again only after a while", func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, in.tiers(), runtime.TTL(10*time.Minute), runtime.Grace(6*time.Hour), runtime.Timeout(time.Second), runtime.GraceBackoff(5*time.Minute)))
		var src source
		_ = c.Set(t.Context(), "users:1", 1)
		time.Sleep(time.Hour)
		src.fail.Store(true)
		for range 30 {
			got, err := c.GetOrSet(t.Context(), "users:1", src.load)
			want(t, got, err, 1)
			time.Sleep(30 * time.Second)
		}
		wantLoads(t, &src, 3) // in 15 minutes
	})
	statementInEveryShape(t, "SWR: the next request gets stale data while it is fetched anew", func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, in.tiers(), runtime.TTL(time.Hour), runtime.Grace(6*time.Hour)))
		var src source
		src.delay.Store(int64(5 * time.Second))
		_ = c.Set(t.Context(), "slow-api", 1)
		src.value.Store(2)
		time.Sleep(2 * time.Hour)
		got, err := c.GetOrSet(t.Context(), "slow-api", src.load)
		want(t, got, err, 1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		got, err = c.GetOrSet(t.Context(), "slow-api", src.load)
		want(t, got, err, 2)
		wantLoads(t, &src, 1)
	})
	statementInEveryShape(t, "expire keeps the value for the grace, delete does not", func(t *testing.T, in shape) {
		c := newCache[string, string](t, newStore(t, in.tiers()))
		_ = c.Set(t.Context(), "hello", "world", runtime.Grace(6*time.Minute))
		_ = c.Expire(t.Context(), "hello")
		// Bentocache's get returns such a value unless it is told not to; here it has to be asked for.
		if _, ok, _ := c.Get(t.Context(), "hello"); ok {
			t.Error("it is fresh")
		}
		got, _, err := c.Get(t.Context(), "hello", runtime.AllowStale())
		want(t, got, err, "world")
		_ = c.Delete(t.Context(), "hello")
		if _, ok, _ := c.Get(t.Context(), "hello", runtime.AllowStale()); ok {
			t.Error("deleted, and there")
		}
	})
}

func TestStatementsAboutTimeouts(t *testing.T) {
	options := []runtime.StoreOption{runtime.TTL(10 * time.Minute), runtime.Grace(6 * time.Hour), runtime.Timeout(200 * time.Millisecond)}
	statementInEveryShape(t, "soft timeout: the stale entry is returned, and the factory goes on in the background", func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, append(options, in.tiers())...))
		var src source
		_ = c.Set(t.Context(), "products", 1)
		src.value.Store(2)
		src.delay.Store(int64(time.Second))
		time.Sleep(time.Hour)
		began := time.Now()
		got, err := c.GetOrSet(t.Context(), "products", src.load)
		want(t, got, err, 1)
		if took := time.Since(began); took != 200*time.Millisecond {
			t.Error(took)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		got, err = c.GetOrSet(t.Context(), "products", src.load)
		want(t, got, err, 2)
	})
	statementInEveryShape(t, "soft timeout: a factory that is quick enough is waited for", func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, append(options, in.tiers())...))
		var src source
		_ = c.Set(t.Context(), "products", 1)
		src.value.Store(2)
		src.delay.Store(int64(100 * time.Millisecond))
		time.Sleep(time.Hour)
		got, err := c.GetOrSet(t.Context(), "products", src.load)
		want(t, got, err, 2)
	})
	statementInEveryShape(t, "soft timeout: without a grace value it is not used", func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, append(options, in.tiers())...))
		var src source
		src.delay.Store(int64(time.Minute))
		began := time.Now()
		_, err := c.GetOrSet(t.Context(), "products", src.load)
		want(t, time.Since(began), err, time.Minute)
	})
	statementInEveryShape(t, "hard timeout: an error that can be told", func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, in.tiers(), runtime.HardTimeout(time.Second)))
		var src source
		src.delay.Store(int64(time.Minute))
		began := time.Now()
		// Bentocache lets the factory go on; here its context is cancelled.
		if _, err := c.GetOrSet(t.Context(), "products", src.load); !errors.Is(err, runtime.ErrTimeout) || time.Since(began) != time.Second {
			t.Error(err, time.Since(began))
		}
	})
	statementInEveryShape(t, "hard timeout has to be greater than the soft timeout", func(t *testing.T, in shape) {
		if _, err := runtime.NewStore("test", in.tiers(), runtime.Timeout(2), runtime.HardTimeout(1)); err == nil {
			t.Error("it was taken")
		}
	})
}

func TestStatementsAboutStampedeProtection(t *testing.T) {
	statementInEveryShape(t, "10k clients, one execution of the factory", func(t *testing.T, in shape) {
		s := newStore(t, in.tiers())
		var src source
		src.delay.Store(int64(time.Second))
		var all sync.WaitGroup
		for range 10_000 {
			all.Go(func() {
				if _, err := newCacheIn(s).GetOrSet(context.Background(), "post:1", src.load); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		wantLoads(t, &src, 1)
	})
	statementInEveryShape(t, "lockTimeout", func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, in.tiers(), runtime.LockTimeout(time.Second)))
		var loads atomic.Int64
		load := func(context.Context) (int, error) { loads.Add(1); time.Sleep(10 * time.Second); return 1, nil }
		go func() { _, _ = c.GetOrSet(context.Background(), "post:1", load) }()
		synctest.Wait()
		began := time.Now()
		_, err := c.GetOrSet(t.Context(), "post:1", func(context.Context) (int, error) { loads.Add(1); return 2, nil })
		want(t, time.Since(began), err, time.Second)
		time.Sleep(time.Minute)
		if loads.Load() != 2 {
			t.Error(loads.Load())
		}
	})
}

func TestStatementsAboutAdaptiveCaching(t *testing.T) {
	mayTell(t, "load failed")
	statementInEveryShape(t, "setOptions: a token is cached until it expires", func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, in.tiers(), runtime.TTL(10*time.Minute)))
		var loads int
		load := says(&loads, 1, func(e *runtime.Entry) { e.SetOptions(runtime.TTL(2*time.Minute), runtime.Tags("auth", "token")) })
		for range 10 {
			_, _ = c.GetOrSet(t.Context(), "token", load)
			time.Sleep(time.Minute)
		}
		if loads != 5 {
			t.Error(loads)
		}
	})
	statementInEveryShape(t, "ctx.skip: the value is not cached", func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, in.tiers()))
		var loads int
		for range 2 {
			// Bentocache returns undefined; here callers get what the loader returns.
			got, err := c.GetOrSet(t.Context(), "foo", says(&loads, 5, (*runtime.Entry).Skip))
			want(t, got, err, 5)
		}
		if loads != 2 {
			t.Error(loads)
		}
	})
	statementInEveryShape(t, "ctx.fail: an error, or the stale item", func(t *testing.T, in shape) {
		c := newCache[string, int](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second)))
		var loads int
		fail := says(&loads, 0, func(e *runtime.Entry) { e.Fail(errSource) })
		if _, err := c.GetOrSet(t.Context(), "foo", fail); !errors.Is(err, errSource) {
			t.Error(err)
		}
		_ = c.Set(t.Context(), "foo", 1)
		time.Sleep(2 * time.Minute)
		got, err := c.GetOrSet(t.Context(), "foo", fail)
		want(t, got, err, 1)
	})
	statementInEveryShape(t, "ctx.gracedEntry: the stale value", func(t *testing.T, in shape) {
		c := newCache[string, string](t, newStore(t, in.tiers(), runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second)))
		load := func(ctx context.Context) (string, error) {
			if v, _, _ := runtime.StaleValue[string](ctx); v == "bar" {
				return "foo", nil
			}
			return "bar", nil
		}
		for _, wanted := range []string{"bar", "foo", "bar"} {
			got, err := c.GetOrSet(t.Context(), "products", load)
			want(t, got, err, wanted)
			time.Sleep(2 * time.Minute)
		}
	})
}

func TestStatementsAboutOptions(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	mayTell(t, "load failed")
	statement(t, "prefix: a clear reaches no other application", func(t *testing.T) {
		var shared faketier.Shared
		mine, theirs := newStore(t, runtime.L2(&shared), runtime.Prefix("mine")), newStore(t, runtime.L2(&shared), runtime.Prefix("theirs"))
		_ = newCache[string, int](t, theirs).Set(t.Context(), "foo", 1)
		_ = mine.Clear(t.Context())
		if ok, _ := newCache[string, int](t, theirs).Has(t.Context(), "foo"); !ok {
			t.Error("it is gone")
		}
	})
	statement(t, "suppressL2Errors: errors of L2 are logged, or thrown unless there is a grace value", func(t *testing.T) {
		var log bytes.Buffer
		var shared faketier.Shared
		s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.Logger(slog.New(slog.NewTextHandler(&log, nil))),
			runtime.TTL(time.Minute), runtime.Grace(time.Hour), runtime.Timeout(time.Second))
		c := newCache[string, int](t, s)
		var src source
		_ = c.Set(t.Context(), "graced", 7)
		time.Sleep(2 * time.Minute)
		shared.Down(errDown)
		if _, err := c.GetOrSet(t.Context(), "foo", src.load); err != nil || !strings.Contains(log.String(), errDown.Error()) {
			t.Error(err, log.String())
		}
		if _, err := c.GetOrSet(t.Context(), "bar", src.load, runtime.SuppressL2Errors(false)); !errors.Is(err, errDown) {
			t.Error(err)
		}
		got, err := c.GetOrSet(t.Context(), "graced", src.load, runtime.SuppressL2Errors(false))
		want(t, got, err, 7)
	})
	statement(t, "forceFresh: the factory runs although there is a value, and a graced value stands in for it", func(t *testing.T) {
		for _, options := range setups {
			c := newCache[string, int](t, newStore(t, append(options(), runtime.TTL(time.Hour), runtime.Grace(time.Hour))...))
			var src source
			src.value.Store(1)
			_, _ = c.GetOrSet(t.Context(), "foo", src.load)
			src.value.Store(2)
			got, err := c.GetOrSet(t.Context(), "foo", src.load, runtime.ForceFresh())
			want(t, got, err, 2)
			got, err = c.GetOrSet(t.Context(), "foo", src.load)
			want(t, got, err, 2)
			wantLoads(t, &src, 2)
			src.fail.Store(true)
			for range 2 { // fresh, and stale
				got, err = c.GetOrSet(t.Context(), "foo", src.load, runtime.ForceFresh())
				want(t, got, err, 2)
				time.Sleep(90 * time.Minute)
			}
			if _, err := c.GetOrSet(t.Context(), "foo", src.load, runtime.ForceFresh()); !errors.Is(err, errSource) {
				t.Error("beyond the grace:", err)
			}
		}
	})
	statement(t, "onFactoryError: called for foreground and background", func(t *testing.T) {
		var background []bool
		c := newCache[string, int](t, newStore(t, memoryTier(), runtime.TTL(time.Minute), runtime.Grace(time.Hour),
			runtime.OnLoadError(func(e *event.LoadError) { background = append(background, e.Background) })))
		var src source
		src.fail.Store(true)
		_, _ = c.GetOrSet(t.Context(), "foo", src.load)
		_ = c.Set(t.Context(), "foo", 1)
		time.Sleep(2 * time.Minute)
		_, _ = c.GetOrSet(t.Context(), "foo", src.load)
		synctest.Wait()
		if len(background) != 2 || background[0] || !background[1] {
			t.Error(background)
		}
	})
	statement(t, "l2CircuitBreakerDuration: L2 is not asked while the breaker is open", func(t *testing.T) {
		var shared faketier.Shared
		c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.L2CircuitBreakerDuration(time.Minute)))
		var asked int
		shared.SetBefore(func(context.Context, string, []string) error { asked++; return errDown })
		for k := range 50 {
			_, _ = c.GetOrSet(t.Context(), k, func(context.Context) (int, error) { return k, nil })
		}
		if asked != 6 { // three times, and once more each; Bentocache's opens with the first failure
			t.Error(asked)
		}
		shared.SetBefore(nil)
		time.Sleep(time.Minute)
		_ = c.Set(t.Context(), 99, 1)
		if shared.Keys()[adHocKeys+"99"] == nil {
			t.Error("it is not asked any more")
		}
	})
	statement(t, "skipL2Write, skipBusNotify", func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		messages := 0
		bus.Hold = func([]byte) bool { messages++; return false }
		c := newCache[string, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.Bus(&bus)))
		_ = c.Set(t.Context(), "foo", 1, runtime.SkipL2Write(true), runtime.SkipBusNotify(true))
		if shared.Keys()[adHocKeys+"foo"] != nil || messages != 0 {
			t.Error(shared.Keys(), messages)
		}
	})
	statement(t, "ttl null: the item never expires", func(t *testing.T) {
		c := newCache[string, int](t, newStore(t, memoryTier(), runtime.TTL(runtime.Forever)))
		_ = c.Set(t.Context(), "foo", 1)
		time.Sleep(200 * 365 * 24 * time.Hour)
		if ok, _ := c.Has(t.Context(), "foo"); !ok {
			t.Error("it has")
		}
	})
}

func TestStatementsAboutTheBus(t *testing.T) {
	mayTell(t, theBusFails...)
	statement(t, "N2 does not go on to serve what N1 has invalidated", func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		_, n1 := process(t, &shared, &bus)
		_, n2 := process(t, &shared, &bus)
		var src source
		src.value.Store(1)
		_, _ = n1.GetOrSet(t.Context(), 1, src.load)
		_, _ = n2.GetOrSet(t.Context(), 1, src.load)
		wantLoads(t, &src, 1) // n2 had it from L2
		src.value.Store(2)
		_ = n1.Delete(t.Context(), 1)
		got, err := n2.GetOrSet(t.Context(), 1, src.load)
		want(t, got, err, 2)
	})
	statement(t, "retry queue: what could not be published is published later", func(t *testing.T) {
		var shared faketier.Shared
		var bus lossyBus
		_, n1 := process(t, &shared, &bus)
		_, n2 := process(t, &shared, &bus)
		_ = n1.Set(t.Context(), 1, 1)
		_, _, _ = n2.Get(t.Context(), 1)
		bus.fail.Store(true)
		_ = n1.Delete(t.Context(), 1)
		bus.fail.Store(false)
		time.Sleep(time.Second)
		if ok, _ := n2.Has(t.Context(), 1); ok {
			t.Error("n2 has not heard of it")
		}
	})
}
