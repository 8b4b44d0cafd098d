package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

func dialSentinel(t *testing.T, s *servers.RedisSentinelServers) *goredis.Client {
	t.Helper()
	client := goredis.NewFailoverClient(&goredis.FailoverOptions{
		MasterName: servers.SentinelMaster, SentinelAddrs: []string{s.Sentinel.Addr()}, ReadTimeout: slow, WriteTimeout: slow,
	})
	t.Cleanup(func() { client.Close() })
	return client
}

// A store and a bus go on after the master has died, and again after its successor
// has; a store opened then conforms as before.
func TestSentinelFailover(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisSentinel(t)
	client := dialSentinel(t, server)
	d := New(client, Options{})
	bus := NewBus(client, BusOptions{PingInterval: 200 * time.Millisecond})
	t.Cleanup(func() { bus.Close() })
	e := make(events, 1000)
	if _, err := bus.Subscribe("c", e); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "up")

	ctx := t.Context()
	var items []drivers.Item
	for i := range 50 {
		items = append(items, drivers.Item{Key: fmt.Sprint("key", i), Value: []byte("x")})
	}
	eventually := func(what string, f func() error) {
		t.Helper()
		var err error
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(slow); time.Now().Before(end); <-tick.C {
			if err = f(); err == nil {
				return
			}
		}
		t.Fatalf("%s: %v", what, err)
	}
	for round := range 2 {
		if err := d.SetMany(ctx, items); err != nil {
			t.Fatal(err)
		}
		if lent, err := d.LeaseMany(ctx, []string{"lent"}, drivers.LeaseRequest{Token: fmt.Sprint("t", round), TTL: time.Hour}); err != nil || !lent[0].Taken {
			t.Fatal(lent, err)
		}
		// What the replica has confirmed survives.
		if n, err := client.Wait(ctx, 1, slow).Result(); err != nil || n != 1 {
			t.Fatalf("%d replicas, %v", n, err)
		}
		history, err := d.History(ctx)
		if err != nil || history == "" {
			t.Fatal(history, err)
		}
		old := server.Master(t)
		server.Failover(t)
		eventually("writing after the failover", func() error { return d.SetMany(ctx, items[:1]) })
		eventually("reading after the failover", func() error {
			got, err := d.GetMany(ctx, []string{"key7", "key49"})
			if err == nil && (string(got[0]) != "x" || string(got[1]) != "x") {
				err = fmt.Errorf("what was written before is lost: %q", got)
			}
			return err
		})
		if now, err := d.History(ctx); err != nil || now == history || now == "" {
			t.Errorf("after the failover the history is %q, %v, it was %q", now, err, history)
		}
		// The lease went over to the new master, which has never seen the script.
		filled, err := d.FillMany(ctx, []drivers.Item{{Key: "lent", Value: []byte("x")}}, fmt.Sprint("t", round))
		if err != nil || !filled[0].Stored {
			t.Errorf("filling what was lent before the failover: %v, %v", filled, err)
		}
		// On a slow machine the subscription may be lost more than once.
		told, message := false, fmt.Sprint("round ", round)
		eventually("hearing a message after the failover", func() error {
			if err := bus.Publish(ctx, "c", []byte(message)); err != nil {
				return err
			}
			for timeout := time.After(time.Second); ; {
				select {
				case got := <-e:
					if told = told || got == "down"; got == "message "+message {
						return nil
					}
				case <-timeout:
					return errors.New("not heard")
				}
			}
		})
		if !told {
			t.Error("the listener does not know that it may have missed something")
		}
		if err := d.Ready(ctx); err != nil {
			t.Error(err)
		}
		old.Restart(t)
		server.AwaitReplica(t, old)
	}
	// A large value can keep a slow machine so long that there is another failover, which
	// may lose it: see the package's limits.
	drivertest.L2(t, func(t *testing.T) drivers.L2 { return New(dialSentinel(t, server), Options{}) }, all, quick)
}

func TestAReadOnlyReplicaIsAnError(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisSentinel(t)
	replica := server.Servers[1]
	d := New(dial(t, replica), Options{})
	ctx := t.Context()
	_, lease := d.LeaseMany(ctx, []string{"a"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
	_, prefix := d.DeletePrefix(ctx, "a")
	for operation, err := range map[string]error{
		"set 1 key": d.SetMany(ctx, []drivers.Item{{Key: "a"}}), "delete 1 key": d.DeleteMany(ctx, []string{"a"}), "lease 1 key": lease,
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "redis: "+operation+": ") || !strings.Contains(err.Error(), "read only replica") {
			t.Errorf("%s: %v", operation, err)
		}
		if errors.Is(err, drivers.ErrRefused) {
			t.Errorf("%s: the caller is told that it is to blame: %v", operation, err)
		}
	}
	if prefix != nil {
		t.Errorf("deleting nothing: %v", prefix)
	}
	if err := d.Ready(ctx); err == nil || !strings.Contains(err.Error(), replica.Addr()+": the server is a replica") {
		t.Errorf("ready: %v", err)
	}
}
