package redis

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
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
}

// A Bus is a [drivers.Bus] that uses PUBLISH and SUBSCRIBE. Each subscription has a connection
// of its own, and a goroutine that connects again when the connection is lost, after pauses of
// up to two seconds.
type Bus struct {
	client goredis.UniversalClient
	ping   time.Duration
	track  bool
	all    *subscriptions.Set
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

// Publish sends message to all subscribers of channel. The result does not say whether there
// are any. See [drivers.Bus].
func (b *Bus) Publish(ctx context.Context, channel string, message []byte) error {
	return b.all.Publish(ctx, channel, func() error {
		// A copy, because the call may return before the client has sent the message.
		cmd := goredis.NewIntCmd(ctx, "publish", channel, bytes.Clone(message))
		// In a Cluster through the node that the channel's subscribers use: messages that
		// go through different nodes arrive in any order.
		cmd.SetFirstKeyPos(1)
		return classified(within.Do(ctx, func() error { return b.client.Process(ctx, cmd) }))
	})
}

// Subscribe delivers the messages of channel to l until unsubscribe is called or the bus is
// closed. See [drivers.Bus].
func (b *Bus) Subscribe(channel string, l drivers.Listener) (unsubscribe func(), err error) {
	s := &subscription{client: b.client, channel: channel, listener: l, ping: subscriptions.Interval(l, b.ping), take: func(m *goredis.Message) {
		l.Message([]byte(m.Payload))
	}}
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
