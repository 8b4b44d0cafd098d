package redis

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/subscriptions"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

// DefaultPingInterval is the default of [BusOptions].PingInterval.
const DefaultPingInterval = time.Second

// BusOptions are the options of [NewBus]. The zero value is right for most programs.
type BusOptions struct {
	// PingInterval is how often a subscription pings the server; [DefaultPingInterval] if
	// zero. A connection on which nothing arrives for two intervals is closed. So a network
	// that loses packets without a word is noticed within three intervals.
	//
	// A listener can ask to be told of a loss sooner ([drivers.LossListener]). The listener of
	// a store asks for it if runtime.StampTrust is short. The server is then pinged more
	// often.
	PingInterval time.Duration
	// Tracking makes the bus report keys that any program changes on the server, such as
	// redis-cli. Each [drivers.KeyListener] is told of the keys that begin with its prefix. A
	// store is such a listener: it drops the keys from its memory.
	//
	// The bus uses the client-side caching of the server for this (CLIENT TRACKING in
	// broadcasting mode, Redis 6 and later). It has one more connection to each server that
	// holds keys.
	//
	// The server does not say who has changed a key, and reports several changes at once. So
	// after a report of a key that this process has written lately, the store reads the key
	// from the shared tier once, in the background and many keys at a time. It drops the key
	// from memory if the tier holds something else.
	//
	// While a server that holds keys cannot be tracked, the subscription is disconnected: the
	// listener is told Down. A server that joins a Cluster is tracked within five seconds.
	Tracking bool
	// NoSharding publishes to all nodes of a Cluster, with PUBLISH. Without NoSharding a message
	// goes to the nodes of one shard, with SPUBLISH, if the servers support it (Redis 7 and
	// later). Buses with and without NoSharding hear each other.
	//
	// Set NoSharding in all processes while some of the servers of a Cluster are older than
	// Redis 7 and others are not: an older replica does not get what its master's successor is
	// sent.
	NoSharding bool
}

// A Bus is a [drivers.Bus] that uses PUBLISH and SUBSCRIBE, and SPUBLISH and SSUBSCRIBE on a
// Cluster. Each subscription has a connection of its own, and a goroutine that connects again when
// the connection is lost, after pauses of up to two seconds.
type Bus struct {
	client  goredis.UniversalClient
	ping    time.Duration
	track   bool
	cluster bool // subscriptions listen to their shard, too
	shard   bool // messages are published to one shard
	all     *subscriptions.Set

	unsharded atomic.Int64 // until when PUBLISH is used in place of SPUBLISH, in Unix nanoseconds
}

var (
	_ drivers.Bus     = (*Bus)(nil)
	_ drivers.Checker = (*Bus)(nil)
)

// NewBus returns a bus on client. NewBus does not connect. client stays open when the bus is
// closed; close client after the bus.
//
// If client is nil, or an option is wrong, the bus cannot be used: every operation fails,
// [Bus.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it as their
// error.
func NewBus(client goredis.UniversalClient, options BusOptions) *Bus {
	b := &Bus{client: client, ping: cmp.Or(options.PingInterval, DefaultPingInterval), track: options.Tracking}
	var err error
	switch {
	case isNil(client):
		err = errNoClient
	case b.ping < 0:
		err = fmt.Errorf("redis: PingInterval is %s, must not be negative", b.ping)
	default:
		b.cluster = isCluster(client)
		b.shard = b.cluster && !options.NoSharding
	}
	b.all = subscriptions.New("redis", err)
	return b
}

// Err returns why the bus cannot be used, or nil. See [drivers.Checker].
func (b *Bus) Err() error {
	if b.all == nil {
		return errors.New("redis: zero Bus: make it with redis.NewBus")
	}
	return b.all.Err()
}

// isCluster reports whether the servers are a Cluster. Other servers know nothing of shards, and
// other kinds of clients, which do not use them, may be connected to the same ones.
func isCluster(client goredis.UniversalClient) bool {
	c, ok := client.(interface {
		Options() *goredis.ClusterOptions
	})
	return ok && c.Options().ClusterSlots == nil
}

// unshardedFor is how long PUBLISH is used after a server has not accepted SPUBLISH.
const unshardedFor = time.Minute

// Publish sends message to all subscribers of channel. The result does not say whether there
// are any. See [drivers.Bus].
func (b *Bus) Publish(ctx context.Context, channel string, message []byte) error {
	return b.all.Publish(ctx, channel, func() error {
		message = bytes.Clone(message) // the call may return before the client has sent it
		if !b.shard || time.Now().UnixNano() < b.unsharded.Load() {
			return b.send(ctx, "publish", channel, message)
		}
		err := b.send(ctx, "spublish", channel, message)
		if unknownCommand(err) || goredis.HasErrorPrefix(err, "NOPERM") {
			b.unsharded.Store(time.Now().Add(unshardedFor).UnixNano())
			err = b.send(ctx, "publish", channel, message)
		}
		return err
	})
}

func (b *Bus) send(ctx context.Context, command, channel string, message []byte) error {
	cmd := goredis.NewIntCmd(ctx, command, channel, message)
	// In a Cluster through the node that the channel's subscribers use: messages that go through
	// different nodes arrive in any order.
	cmd.SetFirstKeyPos(1)
	err := within.Do(ctx, func() error { return b.client.Process(ctx, cmd) })
	if err != nil && transport(err) != nil {
		lookForMasters(ctx, b.client)
	}
	return classified(err)
}

// Subscribe delivers the messages of channel to l until unsubscribe is called or the bus is
// closed. See [drivers.Bus].
func (b *Bus) Subscribe(channel string, l drivers.Listener) (unsubscribe func(), err error) {
	s := &subscription{
		client: b.client, channel: channel, cluster: b.cluster, listener: l, ping: subscriptions.Interval(l, b.ping),
		take: func(m *goredis.Message) { l.Message([]byte(m.Payload)) },
	}
	run := s.run
	if keys, ok := drivers.KeyListenerOf(l); ok && b.track {
		run = tracked(s, keys)
	}
	return b.all.Subscribe(channel, run)
}

// Close ends every subscription, and returns when no listener is called any more. A listener
// must not call Close. Calling Close twice is safe. See [drivers.Bus].
func (b *Bus) Close() error {
	return b.all.Close()
}
