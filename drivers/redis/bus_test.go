package redis

import (
	"errors"
	"regexp"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// openBus returns a bus that the test closes, before its client.
func openBus(t *testing.T, client goredis.UniversalClient, options BusOptions) *Bus {
	t.Helper()
	b := NewBus(client, options)
	t.Cleanup(func() { client.Close() })
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBusConformance(t *testing.T) {
	server := servers.Redis(t)
	for name, protocol := range map[string]int{"RESP2": 2, "RESP3": 3} {
		t.Run(name, func(t *testing.T) {
			drivertest.Bus(t, func(t *testing.T) drivers.Bus {
				return openBus(t, goredis.NewClient(&goredis.Options{Addr: server.Addr(), Protocol: protocol}), BusOptions{})
			})
		})
	}
	t.Run("Ring", func(t *testing.T) {
		drivertest.Bus(t, func(t *testing.T) drivers.Bus {
			return openBus(t, goredis.NewRing(&goredis.RingOptions{Addrs: map[string]string{"a": server.Addr()}}), BusOptions{})
		})
	})
}

// race R24: a lost connection is noticed, also one that no packet tells of.
// race R25: a subscription made while the server is down comes up with it.
func TestBusFaults(t *testing.T) {
	server := servers.Redis(t)
	drivertest.BusFaults(t, func(t *testing.T) drivers.Bus {
		return openBus(t, goredis.NewClient(&goredis.Options{
			Addr: server.Addr(), ReadTimeout: 500 * time.Millisecond, MaxRetries: 1, DialerRetries: 1,
		}), BusOptions{PingInterval: 50 * time.Millisecond})
	}, faults(t, server))
}

// race R49: a listener that wants to know of a loss soon does, however seldom a server is
// pinged otherwise.
func TestAListenerThatWantsToKnowOfALossSoonDoes(t *testing.T) {
	server := servers.Redis(t)
	b := openBus(t, goredis.NewClient(&goredis.Options{Addr: server.Addr()}), BusOptions{PingInterval: time.Hour})
	l := impatient{make(events, 10)}
	if _, err := b.Subscribe("c", l); err != nil {
		t.Fatal(err)
	}
	l.expect(t, "up")
	server.Pause(t)
	defer server.Resume(t)
	l.expect(t, "down")
}

// impatient is a [drivers.LossListener].
type impatient struct{ events }

func (impatient) MaxSilence() time.Duration          { return 300 * time.Millisecond }
func (l impatient) DownSince(_ time.Time, err error) { l.Down(err) }

type events chan string

func (e events) Up()              { e <- "up" }
func (e events) Down(error)       { e <- "down" }
func (e events) Message(m []byte) { e <- "message " + string(m) }

func (e events) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-e:
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no %q", want)
	}
}

// race R24: a server that drops one connection, as it does to a slow reader, must
// not leave a subscription that seems up.
func TestBusReconnectsAfterItsConnectionWasKilled(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: servers.Redis(t).Addr()})
	b := openBus(t, client, BusOptions{})
	e := make(events, 10)
	if _, err := b.Subscribe("c", e); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "up")
	for range 3 {
		if err := client.ClientKillByFilter(t.Context(), "type", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		e.expect(t, "down")
		e.expect(t, "up")
	}
	if err := b.Publish(t.Context(), "c", []byte("x")); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "message x")
}

func TestAnIdleBusPingsAndStaysUp(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: servers.Redis(t).Addr()})
	b := openBus(t, client, BusOptions{PingInterval: 100 * time.Millisecond})
	e := make(events, 10)
	if _, err := b.Subscribe("c", e); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "up")
	pings := regexp.MustCompile(`cmdstat_ping:calls=(\d+)`)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		stats, err := client.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		if found := pings.FindStringSubmatch(stats); found != nil {
			if n, _ := strconv.Atoi(found[1]); n >= 5 {
				break
			}
		}
	}
	select {
	case got := <-e:
		t.Fatalf("an idle subscription was told %q", got)
	default:
	}
}

func TestBusOptionsAreChecked(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{})
	defer client.Close()
	for name, b := range map[string]*Bus{
		"nil":        NewBus(nil, BusOptions{}),
		"no Client":  NewBus((*goredis.Client)(nil), BusOptions{}),
		"no Cluster": NewBus((*goredis.ClusterClient)(nil), BusOptions{}),
		"no Ring":    NewBus((*goredis.Ring)(nil), BusOptions{}),
		"ping":       NewBus(client, BusOptions{PingInterval: -1}),
	} {
		if b.Err() == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := b.Subscribe("c", make(events)); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("%s: use of it: %v", name, err)
		}
		b.Close()
	}
}
