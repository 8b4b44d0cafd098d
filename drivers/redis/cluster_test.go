package redis

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

func dialCluster(t *testing.T, server *servers.RedisClusterServers) *goredis.ClusterClient {
	t.Helper()
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: server.Addrs(), ReadTimeout: slow, WriteTimeout: slow})
	t.Cleanup(func() { client.Close() })
	return client
}

func TestClusterConformance(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t)
	drivertest.L2(t, func(t *testing.T) drivers.L2 { return New(dialCluster(t, server), Options{}) }, all)
	t.Run("NoAutoPipeline", func(t *testing.T) {
		drivertest.L2(t, func(t *testing.T) drivers.L2 {
			return New(dialCluster(t, server), Options{NoAutoPipeline: true})
		}, all, quick)
	})
	t.Run("Bus", func(t *testing.T) {
		drivertest.Bus(t, func(t *testing.T) drivers.Bus { return openBus(t, dialCluster(t, server), BusOptions{}) })
	})
}

// race R45, for the keys of one node of a Cluster.
func TestClusterWritesAreSentOnce(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t)
	node := server.Addrs()[0]
	drivertest.L2LostAnswers(t, node, func(t *testing.T, address string) drivers.L2 {
		client := goredis.NewClusterClient(&goredis.ClusterOptions{
			Addrs: server.Addrs(),
			Dialer: func(ctx context.Context, network, to string) (net.Conn, error) {
				if to == node {
					to = address
				}
				return new(net.Dialer).DialContext(ctx, network, to)
			},
		})
		t.Cleanup(func() { client.Close() })
		return New(client, Options{})
	})
}

func TestClusterFaults(t *testing.T) {
	server := servers.RedisCluster(t)
	drivertest.L2Faults(t, func(t *testing.T) drivers.L2 {
		client := goredis.NewClusterClient(&goredis.ClusterOptions{
			// Commands that a test leaves behind end before the test does.
			Addrs: server.Addrs(), ReadTimeout: 500 * time.Millisecond, MaxRedirects: 1, DialerRetries: 1,
		})
		t.Cleanup(func() { client.Close() })
		return New(client, Options{})
	}, drivertest.Faults{
		Stop:    server.Stop,
		Restart: func() { server.Restart(t) },
		Pause:   func() { server.Pause(t) },
		Resume:  func() { server.Resume(t) },
	})
}

// Each operation on keys of all slots, leases among them, costs each node one
// round trip, or two where the client's automatic pipeline does not wait for all.
func TestAClusterBatchIsOneRoundTripForEachNode(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	client := dialCluster(t, servers.RedisCluster(t))
	trips := new(countingHook)
	client.OnNewNode(func(node *goredis.Client) { node.AddHook(trips) })
	d := New(client, Options{})
	ctx := t.Context()
	var keys []string
	var items []drivers.Item
	for i := range 1000 {
		keys = append(keys, fmt.Sprint(i))
		items = append(items, drivers.Item{Key: keys[i], TTL: time.Hour})
	}
	for operation, do := range map[string]func() error{
		"set":      func() error { return d.SetMany(ctx, items) },
		"get":      func() error { _, err := d.GetMany(ctx, keys); return err },
		"get some": func() error { _, err := d.GetMany(ctx, keys[:8]); return err },
		"add":      func() error { _, err := d.AddMany(ctx, items); return err },
		"lease": func() error {
			_, err := d.LeaseMany(ctx, keys, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
			return err
		},
		"delete": func() error { return d.DeleteMany(ctx, keys) },
	} {
		for range 2 { // opens connections, and tells the servers the scripts
			if err := do(); err != nil {
				t.Fatalf("%s: %v", operation, err)
			}
		}
		before := trips.commands.Load() + trips.pipelines.Load()
		if err := do(); err != nil {
			t.Fatal(err)
		}
		most := int64(3)
		if operation == "get some" {
			most = 6
		}
		if n := trips.commands.Load() + trips.pipelines.Load() - before; n > most {
			t.Errorf("%s took %d round trips", operation, n)
		}
	}
}

// A Cluster that has lost a master refuses the slots of that one, or all; the error
// names the operation, and the rest of the time it works.
func TestAClusterThatLacksAMaster(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t)
	d := New(dialCluster(t, server), Options{})
	ctx := t.Context()
	var items []drivers.Item
	for i := range 100 {
		items = append(items, drivers.Item{Key: fmt.Sprint("key", i), Value: []byte("x")})
	}
	if err := d.SetMany(ctx, items); err != nil {
		t.Fatal(err)
	}
	lost := server.Masters[1]
	lost.Stop()
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := d.SetMany(limited, items)
	if err == nil || !strings.HasPrefix(err.Error(), "redis: set 100 keys: ") {
		t.Errorf("with a master gone: %v", err)
	}
	if _, err := d.DeletePrefix(limited, "key"); err == nil {
		t.Error("a prefix was deleted although a master is gone")
	}
	if err := d.Ready(limited); err == nil || !strings.Contains(err.Error(), lost.Addr()) && limited.Err() == nil {
		t.Errorf("ready: %v", err)
	}
	lost.Restart(t)
	server.Await(t)
	if err := d.SetMany(ctx, items); err != nil {
		t.Fatal(err)
	}
	if got, err := d.GetMany(ctx, []string{"key7"}); err != nil || string(got[0]) != "x" {
		t.Errorf("after the restart: %q, %v", got, err)
	}
	if err := d.Ready(ctx); err != nil {
		t.Error(err)
	}
}

// A slot that moves from one master to another takes its entries and leases along,
// and a client that knows the old place finds the new one.
func TestASlotMovesWithItsLeases(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t)
	client := dialCluster(t, server)
	d := New(client, Options{})
	ctx := t.Context()
	key := "user:1"
	if err := d.SetMany(ctx, []drivers.Item{{Key: key, Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	if lent, err := d.LeaseMany(ctx, []string{key}, drivers.LeaseRequest{Token: "t", TTL: time.Hour}); err != nil || !lent[0].Taken {
		t.Fatal(lent, err)
	}
	slot := int(client.ClusterKeySlot(ctx, key).Val())
	var from, to *goredis.Client
	for _, s := range server.Masters {
		node := goredis.NewClient(&goredis.Options{Addr: s.Addr()})
		defer node.Close()
		if n := node.ClusterCountKeysInSlot(ctx, slot).Val(); n == 2 {
			from = node
		} else {
			to = node
		}
	}
	if from == nil {
		t.Fatal("no master has both the entry and its lease")
	}
	host, port, _ := strings.Cut(to.Options().Addr, ":")
	id := func(node *goredis.Client) string { return node.Do(ctx, "cluster", "myid").Val().(string) }
	do := func(steps ...func() error) {
		t.Helper()
		for _, step := range steps {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
	}
	do(
		func() error { return to.Do(ctx, "cluster", "setslot", slot, "importing", id(from)).Err() },
		func() error { return from.Do(ctx, "cluster", "setslot", slot, "migrating", id(to)).Err() },
	)
	// One that is in neither place yet: the server wants to be asked again.
	written := make(chan error, 1)
	go func() {
		written <- d.SetMany(ctx, []drivers.Item{{Key: "{" + key + "}other", Value: []byte("y")}})
	}()
	select {
	case err := <-written:
		t.Fatalf("written while the slot moves: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	do(
		func() error {
			return from.Do(ctx, "migrate", host, port, "", 0, 5000, "keys", key, leaseKey(key)).Err()
		},
		func() error { return to.Do(ctx, "cluster", "setslot", slot, "node", id(to)).Err() },
		func() error { return from.Do(ctx, "cluster", "setslot", slot, "node", id(to)).Err() },
		func() error { return <-written },
	)
	filled, err := d.FillMany(ctx, []drivers.Item{{Key: key, Value: []byte("loaded")}}, "t")
	if err != nil || !filled[0].Stored {
		t.Fatalf("after the slot has moved: %v, %v", filled, err)
	}
	if got, err := d.GetMany(ctx, []string{key, "{" + key + "}other"}); err != nil || string(got[0]) != "loaded" || string(got[1]) != "y" {
		t.Errorf("%q, %v", got, err)
	}
}
