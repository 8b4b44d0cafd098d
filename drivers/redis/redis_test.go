package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

func TestMain(m *testing.M) {
	goredis.SetLogger(silent{}) // refused connections are what some tests are about
	// It looks once a second whether its client was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// dial returns a client that the test closes.
func dial(t testing.TB, server *servers.RedisServer) *goredis.Client {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), ReadTimeout: slow, WriteTimeout: slow})
	t.Cleanup(func() { client.Close() })
	return client
}

// slow is for machines that take seconds for a value of 64 MB.
const slow = 20 * time.Second

// all is what the driver can do with every kind of client.
const all = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans | drivertest.DeletesPrefixes | drivertest.ReadyChecks | drivertest.TellsHistory

// quick leaves the largest values to one kind of client.
var quick = drivertest.Limits{LargestValue: 1 << 20}

func TestConformance(t *testing.T) {
	server := servers.Redis(t)
	drivertest.L2(t, func(t *testing.T) drivers.L2 { return New(dial(t, server), Options{}) }, all)
	// A server that knows neither RESP3 nor UNLINK, without the automatic pipeline.
	t.Run("OldServer", func(t *testing.T) {
		drivertest.L2(t, func(t *testing.T) drivers.L2 {
			client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Protocol: 2})
			t.Cleanup(func() { client.Close() })
			d := New(client, Options{NoAutoPipeline: true})
			d.noUnlink.Store(true)
			return d
		}, all, quick)
	})
	// No command names two keys here, as in a Cluster.
	t.Run("Ring", func(t *testing.T) {
		other := servers.Redis(t)
		drivertest.L2(t, func(t *testing.T) drivers.L2 {
			ring := goredis.NewRing(&goredis.RingOptions{Addrs: map[string]string{"a": server.Addr(), "b": other.Addr()}})
			t.Cleanup(func() { ring.Close() })
			return New(ring, Options{})
		}, drivertest.Limits{NoEmptyKey: true, LargestValue: 1 << 20}, all)
	})
}

// go-redis sends an empty key to any node of a Ring: a write would be lost to the
// next read.
func TestRingRefusesAnEmptyKey(t *testing.T) {
	ring := goredis.NewRing(&goredis.RingOptions{Addrs: map[string]string{"a": servers.Redis(t).Addr()}})
	defer ring.Close()
	d := New(ring, Options{})
	ctx := t.Context()
	_, get := d.GetMany(ctx, []string{"a", ""})
	_, add := d.AddMany(ctx, []drivers.Item{{Key: ""}})
	for _, err := range []error{get, add, d.SetMany(ctx, []drivers.Item{{Key: ""}}), d.DeleteMany(ctx, []string{""})} {
		if !errors.Is(err, errEmptyKey) {
			t.Errorf("error %v, want %v", err, errEmptyKey)
		}
	}
}

func TestFaults(t *testing.T) {
	server := servers.Redis(t)
	drivertest.L2Faults(t, func(t *testing.T) drivers.L2 {
		client := goredis.NewClient(&goredis.Options{
			// Commands that a test leaves behind end before the test does.
			Addr: server.Addr(), ReadTimeout: 500 * time.Millisecond, MaxRetries: 1, DialerRetries: 1,
		})
		t.Cleanup(func() { client.Close() })
		return New(client, Options{})
	}, faults(t, server))
}

func faults(t *testing.T, server *servers.RedisServer) drivertest.Faults {
	return drivertest.Faults{
		Stop:    server.Stop,
		Restart: func() { server.Restart(t) },
		Pause:   func() { server.Pause(t) },
		Resume:  func() { server.Resume(t) },
	}
}

// What such a client has read once it answers from its memory, until it hears of the write.
func TestAClientWithACacheOfItsOwnIsRefused(t *testing.T) {
	for protocol, want := range map[int]error{0: errOwnCache, 3: errOwnCache, 2: nil} { // 2 cannot
		client := goredis.NewClient(&goredis.Options{
			Addr: "127.0.0.1:1", Protocol: protocol, ClientSideCacheConfig: &goredis.ClientSideCacheConfig{},
		})
		defer client.Close()
		if err := New(client, Options{}).Err(); err != want {
			t.Errorf("protocol %d: %v, want %v", protocol, err, want)
		}
	}
}

func TestNilClientIsReported(t *testing.T) {
	var none *goredis.Client
	for _, d := range []*Driver{New(nil, Options{}), New(none, Options{})} {
		if d.Err() == nil {
			t.Error("no error")
		}
		if _, err := d.GetMany(t.Context(), []string{"a"}); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("use of it: %v", err)
		}
	}
}

// Kind: a record of ours that somebody else has written over. It is absent, and the next write
// of whatever kind heals it.
func TestForeignTypeReadsAsAbsentAndCanBeReplaced(t *testing.T) {
	server := servers.Redis(t)
	client := dial(t, server)
	ctx := t.Context()
	client.LPush(ctx, "list", "x")
	for _, oneNode := range []bool{true, false} {
		d := New(client, Options{})
		d.oneNode = oneNode
		for _, keys := range [][]string{{"list"}, {"list", "absent"}} {
			got, err := d.GetMany(ctx, keys)
			if err != nil || got[0] != nil {
				t.Errorf("oneNode %v, %q: %q, %v", oneNode, keys, got, err)
			}
		}
	}
	d := New(client, Options{})
	swaps := []drivers.Swap{{Key: "list", Old: []byte{}}, {Key: "list", Old: []byte("x")}}
	if swapped, err := d.SwapMany(ctx, swaps); err != nil || slices.Contains(swapped, true) {
		t.Errorf("swapped a list: %v, %v", swapped, err)
	}
	spoil := func(key string) {
		client.Del(ctx, key)
		client.HSet(ctx, key, "field", "value")
	}
	spoil("list")
	if added, err := d.AddMany(ctx, []drivers.Item{{Key: "list", Value: []byte("x")}}); err != nil || string(added[0]) != "x" {
		t.Errorf("added %q, %v", added, err)
	}
	spoil("list")
	if swapped, err := d.SwapMany(ctx, []drivers.Swap{{Key: "list", New: []byte("x")}}); err != nil || !swapped[0] {
		t.Errorf("swapped %v, %v", swapped, err)
	}
	// A lease of another type is none.
	spoil(leaseKey("list"))
	if filled, err := d.FillMany(ctx, []drivers.Item{{Key: "list", Value: []byte("y")}}, "token"); err != nil || filled[0].Stored {
		t.Errorf("filled %v, %v", filled, err)
	}
	if released, err := d.ReleaseMany(ctx, []string{"list"}, "token"); err != nil || released[0] {
		t.Errorf("released %v, %v", released, err)
	}
	if renewed, err := d.RenewMany(ctx, []string{"list"}, "token", time.Minute); err != nil || renewed[0] {
		t.Errorf("renewed %v, %v", renewed, err)
	}
	if taken, err := d.LeaseMany(ctx, []string{"list"}, drivers.LeaseRequest{Token: "token", TTL: time.Minute}); err != nil || !taken[0].Taken {
		t.Errorf("taken %v, %v", taken, err)
	}
	if taken, err := d.LeaseMany(ctx, []string{"list"}, drivers.LeaseRequest{Token: "other", TTL: time.Minute}); err != nil || taken[0].Taken {
		t.Errorf("taken twice %v, %v", taken, err)
	}
	spoil("list")
	if err := d.SetMany(ctx, []drivers.Item{{Key: "list", Value: []byte("x")}}); err != nil {
		t.Error(err)
	}
}

// The fallbacks are taken when the server says that it does not know a command.
func TestCommandsThatTheServerLacks(t *testing.T) {
	server := servers.Redis(t, "--rename-command", "unlink", "")
	d := New(dial(t, server), Options{})
	ctx := t.Context()
	set := []drivers.Item{{Key: "a", Value: []byte("x")}}
	if err := d.SetMany(ctx, set); err != nil {
		t.Fatal(err)
	}
	if err := d.DeleteMany(ctx, []string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	if got, err := d.GetMany(ctx, []string{"a"}); err != nil || got[0] != nil {
		t.Errorf("after delete: %q, %v", got, err)
	}
	if !d.noUnlink.Load() {
		t.Error("UNLINK was not missed")
	}
}

// A server forgets its scripts when it restarts, and may be told to.
func TestScriptsThatTheServerForgets(t *testing.T) {
	client := dial(t, servers.Redis(t))
	d := New(client, Options{})
	ctx := t.Context()
	for range 2 {
		if err := client.ScriptFlush(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		stored, err := d.AddMany(ctx, []drivers.Item{{Key: "a", Value: []byte("x")}, {Key: "b", Value: []byte("y")}})
		if err != nil || string(stored[0]) != "x" || string(stored[1]) != "y" {
			t.Errorf("%q, %v", stored, err)
		}
	}
	evals, err := client.Info(ctx, "commandstats").Result()
	if err != nil || !strings.Contains(evals, "cmdstat_eval:calls=4,") {
		t.Errorf("want 4 scripts sent whole: %s, %v", evals, err)
	}
}

// The automatic pipeline is the client's; somebody else may close it.
func TestReadsSurviveAClosedPipeline(t *testing.T) {
	client := dial(t, servers.Redis(t))
	d := New(client, Options{})
	if _, err := d.GetMany(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	pipeline, err := client.AsyncAutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	pipeline.Close()
	if _, err := d.GetMany(t.Context(), []string{"a"}); err != nil {
		t.Errorf("after another user closed the pipeline: %v", err)
	}
}

// The race detector sees a driver that still reads what its caller has back.
func TestMemoryIsTheCallersAfterItsContextEnded(t *testing.T) {
	server := servers.Redis(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), ReadTimeout: 300 * time.Millisecond, MaxRetries: -1})
	defer client.Close()
	d := New(client, Options{})
	server.Pause(t)
	value, keys := []byte("value"), []string{"a", "b"}
	items := []drivers.Item{{Key: "a", Value: value}}
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan struct{})
	go func() { cancel(); close(cancelled) }()
	err := d.SetMany(ctx, items)
	_, _ = d.AddMany(ctx, items)
	_, _ = d.GetMany(ctx, keys)
	_ = d.DeleteMany(ctx, keys)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	<-cancelled
	value[0], keys[0], items[0].Key = 'X', "x", "x"
	server.Resume(t)
	if _, err := d.GetMany(t.Context(), []string{"a"}); err != nil {
		t.Error(err)
	}
}

// countingHook counts round trips.
type countingHook struct{ commands, pipelines atomic.Int64 }

func (h *countingHook) DialHook(next goredis.DialHook) goredis.DialHook { return next }
func (h *countingHook) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		h.commands.Add(1)
		return next(ctx, cmd)
	}
}
func (h *countingHook) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		h.pipelines.Add(1)
		return next(ctx, cmds)
	}
}

func TestConcurrentReadsShareRoundTrips(t *testing.T) {
	const readers, rounds = 64, 50
	client := dial(t, servers.Redis(t))
	trips := new(countingHook)
	client.AddHook(trips)
	d := New(client, Options{})
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for range rounds {
				if _, err := d.GetMany(t.Context(), []string{"a"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := trips.commands.Load() + trips.pipelines.Load(); n > readers*rounds/4 {
		t.Errorf("%d reads took %d round trips", readers*rounds, n)
	}
}

func TestABatchIsOneRoundTrip(t *testing.T) {
	client := dial(t, servers.Redis(t))
	trips := new(countingHook)
	client.AddHook(trips)
	d := New(client, Options{})
	ctx := t.Context()
	var keys []string
	var items []drivers.Item
	for i := range 5000 {
		keys = append(keys, fmt.Sprint(i))
		items = append(items, drivers.Item{Key: keys[i], TTL: time.Hour})
	}
	for operation, do := range map[string]func() error{
		"set":      func() error { return d.SetMany(ctx, items) },
		"get":      func() error { _, err := d.GetMany(ctx, keys); return err },
		"get some": func() error { _, err := d.GetMany(ctx, keys[:5]); return err },
		"add":      func() error { _, err := d.AddMany(ctx, items); return err },
		"swap": func() error {
			var swaps []drivers.Swap
			for _, key := range keys {
				swaps = append(swaps, drivers.Swap{Key: key, New: []byte("x")})
			}
			_, err := d.SwapMany(ctx, swaps)
			return err
		},
		"lease": func() error {
			_, err := d.LeaseMany(ctx, keys, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
			return err
		},
		"fill":    func() error { _, err := d.FillMany(ctx, items, "t"); return err },
		"renew":   func() error { _, err := d.RenewMany(ctx, keys, "t", time.Hour); return err },
		"release": func() error { _, err := d.ReleaseMany(ctx, keys, "t"); return err },
		"delete":  func() error { return d.DeleteMany(ctx, keys) },
	} {
		// Opens connections, whose greeting is counted too, and tells the server the script.
		if err := do(); err != nil {
			t.Fatal(err)
		}
		before := trips.commands.Load() + trips.pipelines.Load()
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if n := trips.commands.Load() + trips.pipelines.Load() - before; n != 1 {
			t.Errorf("%s took %d round trips", operation, n)
		}
	}
}

// What is under the name of a lease, and is none of this driver, is in nobody's way.
func TestAForeignLeaseIsNone(t *testing.T) {
	client := dial(t, servers.Redis(t))
	d := New(client, Options{})
	ctx := t.Context()
	for what, spoil := range map[string]func(lease string) error{
		"without an end":  func(lease string) error { return client.Set(ctx, lease, "0foreign", 0).Err() },
		"without a flag":  func(lease string) error { return client.Set(ctx, lease, "foreign", time.Hour).Err() },
		"empty":           func(lease string) error { return client.Set(ctx, lease, "", time.Hour).Err() },
		"of another type": func(lease string) error { return client.RPush(ctx, lease, "0foreign").Err() },
	} {
		key := []string{what}
		if err := spoil(leaseKey(what)); err != nil {
			t.Fatal(err)
		}
		if filled, err := d.FillMany(ctx, []drivers.Item{{Key: what}}, "oreign"); err != nil || filled[0].Stored {
			t.Errorf("%s: filled %v, %v", what, filled, err)
		}
		if lent, err := d.LeaseMany(ctx, key, drivers.LeaseRequest{Token: "t", TTL: time.Hour}); err != nil || !lent[0].Taken {
			t.Errorf("%s: %+v, %v", what, lent, err)
		}
		if filled, err := d.FillMany(ctx, []drivers.Item{{Key: what}}, "t"); err != nil || !filled[0].Stored {
			t.Errorf("%s: filled after a lease: %v, %v", what, filled, err)
		}
	}
}

// Who waits for a lease does not make it longer or shorter.
func TestToAwaitALeaseKeepsItsEnd(t *testing.T) {
	client := dial(t, servers.Redis(t))
	d := New(client, Options{})
	ctx, key := t.Context(), []string{"a"}
	if lent, err := d.LeaseMany(ctx, key, drivers.LeaseRequest{Token: "t", TTL: time.Hour}); err != nil || !lent[0].Taken {
		t.Fatal(lent, err)
	}
	client.PExpire(ctx, leaseKey("a"), 30*time.Minute)
	for range 3 {
		lent, err := d.LeaseMany(ctx, key, drivers.LeaseRequest{Token: "t2", TTL: time.Hour, Await: true})
		if err != nil || lent[0].Holder != "t" || lent[0].Left > 30*time.Minute || lent[0].Left < 29*time.Minute {
			t.Errorf("%+v, %v", lent, err)
		}
		if left := client.PTTL(ctx, leaseKey("a")).Val(); left > 30*time.Minute || left < 29*time.Minute {
			t.Errorf("the lease ends in %s", left)
		}
	}
}
