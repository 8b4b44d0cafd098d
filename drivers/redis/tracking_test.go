package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// keyEvents are events of a listener that wants to hear of keys.
type keyEvents struct {
	events
	prefix string
}

func (e keyEvents) KeyPrefix() string { return e.prefix }
func (e keyEvents) Changed(keys []string) {
	for _, key := range keys {
		e.events <- "changed " + key
	}
}

// expectAll waits until each of want has been told, in any order, repeated or not.
func (e keyEvents) expectAll(t *testing.T, want ...string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	missing := slices.Clone(want)
	for len(missing) > 0 {
		select {
		case got := <-e.events:
			if !slices.Contains(want, got) {
				t.Fatalf("got %q, want %q", got, missing)
			}
			missing = slices.DeleteFunc(missing, func(w string) bool { return w == got })
		case <-timeout:
			t.Fatalf("no %q", missing)
		}
	}
}

// track subscribes to a bus that tracks keys.
func track(t *testing.T, client goredis.UniversalClient, prefix string) (*Bus, keyEvents) {
	t.Helper()
	b := openBus(t, client, BusOptions{Tracking: true, PingInterval: 100 * time.Millisecond})
	e := keyEvents{make(events, 10_000), prefix}
	if _, err := b.Subscribe("c", e); err != nil {
		t.Fatal(err)
	}
	for got := range e.events { // it may be down first, about one source or another
		if got == "up" {
			return b, e
		}
	}
	panic("unreachable: the events are never closed")
}

func TestTrackingTellsWhatOtherProgramsChange(t *testing.T) {
	server := servers.Redis(t)
	other := dial(t, server)
	ctx := t.Context()
	other.Set(ctx, "app:{1", "x", 0)
	other.Set(ctx, "app:2", "x", 0)
	for name, protocol := range map[string]int{"RESP2": 2, "RESP3": 3} {
		t.Run(name, func(t *testing.T) {
			b, e := track(t, goredis.NewClient(&goredis.Options{Addr: server.Addr(), Protocol: protocol}), "app:")
			other.Set(ctx, "app:{1", "y", 0)
			other.Set(ctx, "apple", "y", 0)
			e.expect(t, "changed app:{1")
			other.Del(ctx, "app:{1")
			e.expect(t, "changed app:{1")
			other.Set(ctx, "app:{1", "y", time.Millisecond)
			e.expect(t, "changed app:{1")
			for other.Exists(ctx, "app:{1").Val() > 0 { // ends it
			}
			e.expect(t, "changed app:{1")
			if err := b.Publish(ctx, "c", []byte("x")); err != nil {
				t.Fatal(err)
			}
			e.expect(t, "message x")

			// Everything has changed, without a name.
			other.FlushAll(ctx)
			e.expect(t, "down")
			e.expect(t, "up")
			other.Set(ctx, "app:2", "x", 0)
			e.expect(t, "changed app:2")
		})
	}
}

func TestTrackingDoesNotNameLeases(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: servers.Redis(t).Addr()})
	_, e := track(t, client, "app:")
	d := New(client, Options{})
	ctx := t.Context()
	if lent, err := d.LeaseMany(ctx, []string{"app:1"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour}); err != nil || !lent[0].Taken {
		t.Fatal(lent, err)
	}
	if filled, err := d.FillMany(ctx, []drivers.Item{{Key: "app:1", Value: []byte("x")}}, "t"); err != nil || !filled[0].Stored {
		t.Fatal(filled, err)
	}
	e.expect(t, "changed app:1")
	if err := d.SetMany(ctx, []drivers.Item{{Key: "app:2"}}); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "changed app:2")
}

// What changed while the connection was broken has no name; the listener is told
// that it missed something.
func TestTrackingReconnects(t *testing.T) {
	server := servers.Redis(t)
	other := dial(t, server)
	_, e := track(t, goredis.NewClient(&goredis.Options{Addr: server.Addr()}), "app:")
	ctx := t.Context()
	for i := range 3 {
		if err := other.ClientKillByFilter(ctx, "type", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		e.expect(t, "down")
		e.expect(t, "up")
		key := fmt.Sprint("app:", i)
		other.Set(ctx, key, "x", 0)
		e.expect(t, "changed "+key)
	}
}

// A listener that does not ask for keys gets an ordinary bus, and one that does gets
// one too.
func TestATrackingBusConforms(t *testing.T) {
	server := servers.Redis(t)
	drivertest.Bus(t, func(t *testing.T) drivers.Bus {
		return openBus(t, goredis.NewClient(&goredis.Options{Addr: server.Addr()}), BusOptions{Tracking: true})
	})
	drivertest.BusFaults(t, func(t *testing.T) drivers.Bus {
		return keyed{openBus(t, goredis.NewClient(&goredis.Options{
			Addr: server.Addr(), ReadTimeout: 500 * time.Millisecond, MaxRetries: 1, DialerRetries: 1,
		}), BusOptions{PingInterval: 50 * time.Millisecond, Tracking: true})}
	}, faults(t, server))
	t.Run("KeyListener", func(t *testing.T) {
		drivertest.Bus(t, func(t *testing.T) drivers.Bus {
			return keyed{openBus(t, goredis.NewClient(&goredis.Options{Addr: server.Addr()}), BusOptions{Tracking: true})}
		})
	})
}

// keyed makes every listener ask for keys.
type keyed struct{ *Bus }

func (b keyed) Subscribe(channel string, l drivers.Listener) (func(), error) {
	return b.Bus.Subscribe(channel, keyedListener{l})
}

type keyedListener struct{ drivers.Listener }

func (l keyedListener) Unwrap() drivers.Listener { return l.Listener }

func (l keyedListener) MaxSilence() time.Duration {
	loss, _ := drivers.LossListenerOf(l.Listener)
	return loss.MaxSilence()
}

func (l keyedListener) DownSince(heard time.Time, err error) {
	loss, _ := drivers.LossListenerOf(l.Listener)
	loss.DownSince(heard, err)
}

func (keyedListener) KeyPrefix() string { return "none:" }
func (keyedListener) Changed([]string)  {}

func TestTrackingCoversEveryMasterOfACluster(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t)
	client := dialCluster(t, server)
	ctx := t.Context()
	_, e := track(t, goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: server.Addrs(), MaxRedirects: 1, DialerRetries: 1}), "app:")
	change := func() {
		t.Helper()
		var want []string
		for i := range 30 {
			key := fmt.Sprint("app:", i)
			if err := client.Set(ctx, key, "x", 0).Err(); err != nil {
				t.Fatal(err)
			}
			want = append(want, "changed "+key)
		}
		e.expectAll(t, want...)
	}
	change()
	lost := server.Masters[2]
	lost.Stop()
	e.expect(t, "down")
	lost.Restart(t)
	for got := range e.events {
		if got == "up" {
			break
		}
	}
	server.Await(t)
	for len(e.events) > 0 {
		<-e.events
	}
	change()
}

func TestAServerThatCannotTrackKeepsTheListenerDown(t *testing.T) {
	server := servers.Redis(t)
	admin := dial(t, server)
	if err := admin.Do(t.Context(), "acl", "setuser", "default", "-client|tracking").Err(); err != nil {
		t.Fatal(err)
	}
	b := openBus(t, goredis.NewClient(&goredis.Options{Addr: server.Addr()}), BusOptions{Tracking: true})
	reasons := make(chan error, 10)
	if _, err := b.Subscribe("c", downs{keyEvents{make(events, 10), "app:"}, reasons}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-reasons:
		if !strings.Contains(err.Error(), "redis: track keys of "+server.Addr()) || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("down because of: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("not told")
	}
}

type downs struct {
	keyEvents
	reasons chan error
}

func (d downs) Down(err error) { d.reasons <- err }
