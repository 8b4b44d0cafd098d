package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// fast is for tests in which connections are lost.
var fast = BusOptions{PingInterval: 100 * time.Millisecond}

// subscribe returns the events of a channel, after it is up.
func subscribe(t *testing.T, b *Bus, channel string) events {
	t.Helper()
	e := make(events, 1000)
	if _, err := b.Subscribe(channel, e); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "up")
	return e
}

func publish(t *testing.T, b *Bus, channel, message string) {
	t.Helper()
	if err := b.Publish(t.Context(), channel, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

// broadcasts returns how many messages the nodes of a Cluster have sent each other for all nodes.
func broadcasts(t *testing.T, server *servers.RedisClusterServers) (n int) {
	t.Helper()
	for _, s := range server.Masters {
		for line := range strings.Lines(do(t, admin(t, s.Addr()), "cluster info")) {
			var sent int
			if _, err := fmt.Sscanf(line, "cluster_stats_messages_publish_sent:%d", &sent); err == nil {
				n += sent
			}
		}
	}
	return n
}

// A message is not sent to every node of the Cluster. It reaches who publishes in the other way,
// and what that one publishes is heard, once each.
func TestAMessageStaysInItsShard(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t)
	sharded := openBus(t, dialCluster(t, server), BusOptions{})
	plain := openBus(t, dialCluster(t, server), BusOptions{NoSharding: true})
	a, b := subscribe(t, sharded, "c"), subscribe(t, plain, "c")
	for i := range 10 {
		publish(t, sharded, "c", fmt.Sprint(i))
		a.expect(t, fmt.Sprint("message ", i))
		b.expect(t, fmt.Sprint("message ", i))
	}
	if n := broadcasts(t, server); n != 0 {
		t.Errorf("%d messages went to all nodes", n)
	}
	for i := range 10 {
		publish(t, plain, "c", fmt.Sprint(i))
		a.expect(t, fmt.Sprint("message ", i))
		b.expect(t, fmt.Sprint("message ", i))
	}
	if n := broadcasts(t, server); n == 0 {
		t.Error("no messages went to all nodes: the test does not test what it should")
	}
	t.Run("NoSharding", func(t *testing.T) {
		drivertest.Bus(t, func(t *testing.T) drivers.Bus {
			return openBus(t, dialCluster(t, server), BusOptions{NoSharding: true})
		})
	})
}

// Servers before Redis 7 know no channels of shards.
func TestAClusterWithoutShardedMessages(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t, "--rename-command", "spublish", "", "--rename-command", "ssubscribe", "")
	drivertest.Bus(t, func(t *testing.T) drivers.Bus { return openBus(t, dialCluster(t, server), BusOptions{}) })
	b := openBus(t, dialCluster(t, server), BusOptions{})
	e := subscribe(t, b, "c")
	for range 2 { // the second time it is known
		publish(t, b, "c", "x")
		e.expect(t, "message x")
	}
}

// Who may not publish in a shard publishes to all. Who may not hear what is published in a shard is
// not connected, and says so: others may publish there.
func TestRightsToShardedMessages(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t)
	for _, s := range server.Masters {
		root := admin(t, s.Addr())
		do(t, root, "acl setuser speaks on >pw ~* &* +@all -spublish")
		do(t, root, "acl setuser hears on >pw ~* &* +@all -ssubscribe")
	}
	as := func(user string) *Bus {
		return openBus(t, goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: server.Addrs(), Username: user, Password: "pw"}), fast)
	}
	e := subscribe(t, openBus(t, dialCluster(t, server), BusOptions{}), "c")
	publish(t, as("speaks"), "c", "x")
	e.expect(t, "message x")

	deaf := &lastDown{why: make(chan error, 100)}
	if _, err := as("hears").Subscribe("c", deaf); err != nil {
		t.Fatal(err)
	}
	if err := <-deaf.why; err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("down because of %v", err)
	}
}

// lastDown is a listener that must not come up.
type lastDown struct{ why chan error }

func (l *lastDown) Up()            { l.why <- errors.New("it is up") }
func (l *lastDown) Down(err error) { l.why <- err }
func (*lastDown) Message([]byte)   {}

// What has happened to the channel's shard is a lost connection, from which the subscription
// recovers: messages may have been missed, and later ones arrive.
func recovers(t *testing.T, b *Bus, e events, what string) {
	t.Helper()
	e.expect(t, "down")
	e.expect(t, "up")
	past{t: t}.eventually("publishing after "+what, func() error { return b.Publish(t.Context(), "c", []byte(what)) })
	e.expect(t, "message "+what)
}

func TestASubscriptionFollowsItsSlot(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t)
	client := dialCluster(t, server)
	b := openBus(t, client, BusOptions{})
	slot := int(client.ClusterKeySlot(t.Context(), "c").Val())
	l := &sinceListener{events: make(events, 1000), since: make(chan time.Time, 10)}
	if _, err := b.Subscribe("c", l); err != nil {
		t.Fatal(err)
	}
	l.expect(t, "up")
	publisher := openBus(t, dialCluster(t, server), BusOptions{})
	owner, err := client.MasterForKey(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	var to *goredis.Client
	for _, s := range server.Masters {
		if s.Addr() != owner.Options().Addr {
			to = admin(t, s.Addr())
		}
	}
	from := admin(t, owner.Options().Addr)
	id := do(t, to, "cluster myid")
	do(t, to, fmt.Sprintf("cluster setslot %d importing %s", slot, do(t, from, "cluster myid")))
	do(t, from, fmt.Sprintf("cluster setslot %d migrating %s", slot, id))
	publish(t, publisher, "c", "while it moves")
	l.expect(t, "message while it moves")
	moved := time.Now()
	do(t, to, fmt.Sprintf("cluster setslot %d node %s", slot, id))
	do(t, from, fmt.Sprintf("cluster setslot %d node %s", slot, id))
	recovers(t, publisher, l.events, "the slot has moved")
	if since := <-l.since; since.After(moved) {
		t.Errorf("messages may have been missed since %s after the slot has moved, and the listener is not told", since.Sub(moved))
	}
}

// sinceListener is told since when messages may have been missed.
type sinceListener struct {
	events
	since chan time.Time
}

func (*sinceListener) MaxSilence() time.Duration { return time.Second }
func (l *sinceListener) DownSince(heard time.Time, err error) {
	l.since <- heard
	l.Down(err)
}

func TestASubscriptionSurvivesAFailoverOfItsShard(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t, "--cluster-node-timeout", "1500")
	client := dialCluster(t, server)
	owner, err := client.MasterForKey(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	var master *servers.RedisServer
	for _, s := range server.Masters {
		if s.Addr() == owner.Options().Addr {
			master = s
		}
	}
	replica := server.AddReplica(t, master, "--cluster-node-timeout", "1500")
	b := openBus(t, client, fast)
	e := subscribe(t, b, "c")
	publisher := openBus(t, dialCluster(t, server), fast)
	publish(t, publisher, "c", "x")
	e.expect(t, "message x")

	// The master becomes a replica, and goes on to run. A subscription that stays where it is goes
	// on to hear; one that the server ends is made again.
	root := admin(t, replica.Addr())
	do(t, root, "cluster failover")
	p := past{t: t}
	p.eventually("the failover", func() error {
		for addr, role := range map[string]string{replica.Addr(): "role:master", master.Addr(): "master_link_status:up"} {
			if text := do(t, admin(t, addr), "info replication"); !strings.Contains(text, role) {
				return errors.New(text)
			}
		}
		return nil
	})
	heard := func(e events, what string) {
		t.Helper()
		p.eventually("a message after "+what, func() error {
			if err := publisher.Publish(t.Context(), "c", []byte(what)); err != nil {
				return err
			}
			for timeout := time.After(time.Second); ; {
				select {
				case got := <-e:
					if got == "message "+what {
						return nil
					}
				case <-timeout:
					return errors.New("not heard")
				}
			}
		})
	}
	heard(e, "a failover by hand")

	// A subscription that was made after it loses its server, which is the only one with the slot.
	late := subscribe(t, openBus(t, dialCluster(t, server), fast), "c")
	replica.Stop()
	late.expect(t, "down")
	late.expect(t, "up")
	heard(late, "the loss of the master")
	heard(e, "the loss of the master, for who was there before")
}

// A bus on a client that is not of a Cluster is not sharded: other kinds of clients are connected
// to the same servers.
func TestOnlyAClusterIsSharded(t *testing.T) {
	failover := goredis.NewFailoverClusterClient(&goredis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}})
	defer failover.Close()
	cluster := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer cluster.Close()
	single := goredis.NewClient(&goredis.Options{})
	defer single.Close()
	ring := goredis.NewRing(&goredis.RingOptions{})
	defer ring.Close()
	for client, want := range map[goredis.UniversalClient]bool{
		failover: false, single: false, ring: false, cluster: true, struct{ *goredis.ClusterClient }{cluster}: true,
	} {
		b := NewBus(client, BusOptions{})
		if b.cluster != want || b.shard != want {
			t.Errorf("%T: listens to shards %v, publishes to shards %v, want %v", client, b.cluster, b.shard, want)
		}
		b.Close()
	}
}

// A connection that was made anew and has not confirmed the channel of the shard yet is no sign that
// messages arrive: when the node says that it has not the channel, they may have been missed since the
// connection before.
func TestHalfASubscriptionIsNoSignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &sinceListener{events: make(events, 10), since: make(chan time.Time, 10)}
		s := &subscription{cluster: true, channel: "c", listener: l, take: func(*goredis.Message) {}, began: time.Now()}
		var h handshake
		receive := func(kind string) {
			t.Helper()
			time.Sleep(time.Second)
			if err := s.received(t.Context(), &goredis.Subscription{Kind: kind}, &h); err != nil {
				t.Fatal(err)
			}
		}
		receive("subscribe")
		if len(l.events) != 0 {
			t.Fatal("half a subscription is up")
		}
		receive("ssubscribe")
		l.expect(t, "up")
		heard := time.Now()
		receive("subscribe")
		if err := s.received(t.Context(), &goredis.Pong{}, &h); err != nil {
			t.Fatal(err)
		}
		s.lost(t.Context(), errors.New("MOVED"))
		l.expect(t, "down")
		if since := <-l.since; !since.Equal(heard) {
			t.Errorf("heard last %s ago, want %s", time.Since(since), time.Since(heard))
		}
		receive("subscribe")
		receive("ssubscribe")
		l.expect(t, "up")
	})
}
