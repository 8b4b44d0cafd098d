package redis

import (
	"bytes"
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/subscriptions"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

// DefaultPingInterval is what a [BusOptions] with zero means.
const DefaultPingInterval = time.Second

// BusOptions of a [Bus].
type BusOptions struct {
	// PingInterval is how often a subscription asks whether its connection is
	// alive. A connection that has been silent for two intervals is given up, so a
	// network that drops packets without a word is noticed within three.
	PingInterval time.Duration
	// Tracking makes the bus tell listeners that want to know ([drivers.KeyListener])
	// of every key that anybody changes on the server, with any program: by hand in
	// redis-cli, too. It is the server's client-side caching (CLIENT TRACKING in
	// broadcasting mode, Redis 6 and later) for the listener's prefix, over a
	// connection of its own to each server that holds keys.
	//
	// A store drops a key from memory when it hears of it. The server does not say
	// who changed it: what this process has written itself is dropped too, and read
	// from the shared tier once more.
	//
	// While a server that holds keys cannot be tracked, the subscription is down.
	// Servers that join a Cluster are tracked within five seconds.
	Tracking bool
}

// Bus implements [drivers.Bus] on PUBLISH and SUBSCRIBE. Each subscription holds a
// connection of its own and a goroutine that keeps it up until the subscription
// or the bus ends: reconnecting with a back-off of at most two seconds.
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

// NewBus returns a bus on client, which stays the caller's to close, after the
// bus. It does not connect. Of options, at most one is used.
func NewBus(client goredis.UniversalClient, options ...BusOptions) *Bus {
	b := &Bus{client: client, ping: DefaultPingInterval}
	if len(options) > 0 {
		b.track = options[0].Tracking
		if options[0].PingInterval != 0 {
			b.ping = options[0].PingInterval
		}
	}
	var err error
	if c, ok := client.(*goredis.Client); client == nil || ok && c == nil {
		err = errNoClient
	} else if b.ping < 0 {
		err = fmt.Errorf("redis: PingInterval is %s, must not be negative", b.ping)
	}
	b.all = subscriptions.New("redis", err)
	return b
}

// Err returns what makes the bus unusable, or nil.
func (b *Bus) Err() error { return b.all.Err() }

// Publish implements [drivers.Bus]. It says nothing about whether anybody listens.
func (b *Bus) Publish(ctx context.Context, channel string, message []byte) error {
	return b.all.Publish(ctx, channel, func() error {
		// The copy is for a call that its context ends before the client has sent it.
		cmd := goredis.NewIntCmd(ctx, "publish", channel, bytes.Clone(message))
		// All by the node of a Cluster that the subscribers of the channel ask: what
		// goes through several nodes arrives in any order.
		cmd.SetFirstKeyPos(1)
		return within.Do(ctx, func() error { return b.client.Process(ctx, cmd) })
	})
}

// Subscribe implements [drivers.Bus].
func (b *Bus) Subscribe(channel string, l drivers.Listener) (unsubscribe func(), err error) {
	s := &subscription{client: b.client, channel: channel, listener: l, ping: b.ping, take: func(m *goredis.Message) {
		l.Message([]byte(m.Payload))
	}}
	run := s.run
	if keys, ok := drivers.KeyListenerOf(l); ok && b.track {
		run = tracked(s, keys)
	}
	return b.all.Subscribe(channel, run)
}

// Close implements [drivers.Bus]. It returns when no listener is called any more,
// and must not be called from one.
func (b *Bus) Close() error {
	return b.all.Close()
}
