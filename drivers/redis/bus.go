package redis

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/subscriptions"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

// DefaultPingInterval is the default of [BusOptions].PingInterval.
const DefaultPingInterval = time.Second

// BusOptions of a [Bus].
type BusOptions struct {
	// PingInterval is how often a subscription pings the server; [DefaultPingInterval] if
	// zero. A connection without any answer for two intervals is closed, so a network
	// that drops packets silently is noticed within three intervals. A listener that wants to
	// know of a loss sooner ([drivers.LossListener]), as that of a store with a short
	// StampTrust does, has the server pinged more often.
	PingInterval time.Duration
	// Tracking makes the bus report to each [drivers.KeyListener] the keys with the
	// listener's prefix that any program changes on the server, such as redis-cli. It
	// uses the server's client-side caching (CLIENT TRACKING in broadcasting mode, Redis 6
	// and later), over one more connection to each server that holds keys.
	//
	// A store drops a reported key from memory. The server does not report who changed
	// the key, and reports several changes at once: of a key that this process has written
	// lately, the store reads once what the shared tier holds, in the background and many at
	// a time, and drops it if that is something else.
	//
	// While a server that holds keys cannot be tracked, the subscription is disconnected
	// (Down). Servers that join a Cluster are tracked within five seconds.
	Tracking bool
}

// A Bus is a [drivers.Bus] on PUBLISH and SUBSCRIBE. Each subscription has a connection of
// its own and a goroutine, which reconnects, with a back-off of at most two seconds, until
// the subscription or the bus ends.
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

// NewBus returns a bus on client, which is any client of go-redis: for a single server,
// Sentinel, Cluster or Ring. client stays open after Close; close it after the bus. NewBus
// does not connect. If client is nil or options are unusable, every operation of the bus
// fails, [Bus.Err] returns the reason, and runtime.NewStore refuses the bus.
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

// Err implements [drivers.Checker]: it returns why the bus is unusable, or nil.
func (b *Bus) Err() error { return b.all.Err() }

// Publish implements [drivers.Bus]. Its result does not say whether there are subscribers.
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

// Subscribe implements [drivers.Bus].
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

// Close implements [drivers.Bus]. It returns when no listener is called any more, and must
// not be called by a listener.
func (b *Bus) Close() error {
	return b.all.Close()
}
