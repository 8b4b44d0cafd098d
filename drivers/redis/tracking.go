package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/subscriptions"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

// invalidations is the channel on which a server reports changed keys to connections with
// tracking and version 2 of the protocol.
const invalidations = "__redis__:invalidate"

// refreshInterval is how often a bus asks a Cluster which servers hold keys.
const refreshInterval = 5 * time.Second

// A tracking is a subscription with several sources: the channel of the bus, and
// each server that holds keys. Its listener is up while all sources are connected.
type tracking struct {
	bus      *subscription
	listener drivers.KeyListener

	mu           sync.Mutex // guards what follows, and is held while the listener is called
	state        state
	disconnected map[*source]bool
	listed       time.Time // when the list of servers was read before the last time
}

// tracked returns the run function of a subscription that also tracks keys.
func tracked(bus *subscription, l drivers.KeyListener) func(context.Context) {
	t := &tracking{bus: bus, listener: l, disconnected: make(map[*source]bool)}
	channel := t.add("")
	bus.listener = channel
	bus.take = func(m *goredis.Message) { channel.deliver(func() { l.Message([]byte(m.Payload)) }) }
	servers := t.add("all servers") // up once the list of servers is known
	return func(ctx context.Context) {
		var running sync.WaitGroup
		running.Go(func() { bus.run(ctx) })
		running.Go(func() { t.follow(ctx, servers) })
		running.Wait()
	}
}

// follow tracks the servers that hold keys, as the list of servers changes, until ctx ends.
func (t *tracking) follow(ctx context.Context, known *source) {
	type tracked struct {
		stop   context.CancelFunc
		done   chan struct{}
		source *source
	}
	current := make(map[string]tracked)
	stop := func(addr string) {
		current[addr].stop()
		<-current[addr].done
	}
	defer func() {
		for addr := range current {
			stop(addr)
		}
	}()
	listed := time.Now()
	for {
		var nodes []*goredis.Client
		err := within.Do(ctx, func() (err error) { nodes, err = masters(ctx, t.bus.client); return err })
		if ctx.Err() != nil {
			return
		}
		wait := refreshInterval
		if err == nil {
			t.mu.Lock()
			t.listed, listed = listed, time.Now()
			t.mu.Unlock()
		}
		if err != nil {
			known.Down(err)
			wait = subscriptions.MaxBackoff
		} else {
			there := make(map[string]bool)
			for _, node := range nodes {
				addr := node.Options().Addr
				there[addr] = true
				if _, ok := current[addr]; ok {
					continue
				}
				nodeCtx, cancel := context.WithCancel(ctx)
				one := tracked{cancel, make(chan struct{}), t.add(addr)}
				current[addr] = one
				go func() {
					defer close(one.done)
					t.track(nodeCtx, node, one.source)
				}()
			}
			for addr := range current {
				if !there[addr] {
					stop(addr)
					t.remove(current[addr].source)
					delete(current, addr)
				}
			}
			known.Up()
		}
		if _, single := t.bus.client.(*goredis.Client); single {
			<-ctx.Done()
			return
		}
		if sleep(ctx, wait) != nil {
			return
		}
	}
}

// track reports the keys that change on one server.
func (t *tracking) track(ctx context.Context, node *goredis.Client, s *source) {
	client := trackingClient(node.Options(), t.listener.KeyPrefix())
	defer client.Close()
	sub := &subscription{client: client, channel: invalidations, listener: s, ping: t.bus.ping, take: func(m *goredis.Message) {
		keys := withoutLeases(m.PayloadSlice)
		if len(keys) > 0 {
			s.deliver(func() { t.listener.Changed(keys) })
		}
	}}
	sub.run(ctx)
}

// withoutLeases removes leases from keys: the begin or end of a load changes no entry.
func withoutLeases(keys []string) []string {
	var all []string
	for _, key := range keys {
		if _, is := leaseOf(key); !is {
			all = append(all, key)
		}
	}
	return all
}

// trackingClient returns a client with the options like, to whose connections the server
// reports changed keys. In version 2 of the protocol the reports are messages of a channel,
// which a subscription receives at once. In version 3 they are push messages, which go-redis
// reads only when it has a command to send.
func trackingClient(like *goredis.Options, prefix string) *goredis.Client {
	o := *like
	o.Protocol = 2
	o.MinIdleConns = 0
	o.ClientSideCache, o.ClientSideCacheConfig = nil, nil
	o.PushNotificationProcessor = nil
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.OnConnect = func(ctx context.Context, cn *goredis.Conn) error {
		if like.OnConnect != nil {
			if err := like.OnConnect(ctx, cn); err != nil {
				return err
			}
		}
		id, err := cn.ClientID(ctx).Result()
		if err == nil {
			err = cn.Do(ctx, "client", "tracking", "on", "redirect", id, "bcast", "prefix", prefix).Err()
		}
		if err != nil {
			return fmt.Errorf("enable tracking of keys: %w", err)
		}
		return nil
	}
	return goredis.NewClient(&o)
}

// A source is the [drivers.Listener] of one of the subscriptions of a tracking.
type source struct {
	t    *tracking
	name string // of the server; empty for the channel of the bus
}

var errUntracked = errors.New("tracking has not begun yet")

func (s *source) reason(err error) error {
	if s.name == "" {
		return err
	}
	return fmt.Errorf("redis: track keys of %s: %w", s.name, err)
}

func (t *tracking) add(name string) *source {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &source{t, name}
	t.disconnected[s] = true
	if t.state == up { // a server has joined the Cluster
		t.state = down
		subscriptions.Down(t.listener, t.listed, s.reason(errUntracked))
	}
	return s
}

// remove removes the source of a server that holds no keys any more.
func (t *tracking) remove(s *source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.disconnected, s)
	t.upIfConnected()
}

// upIfConnected calls Up if all sources are connected and the last call was not Up.
func (t *tracking) upIfConnected() {
	if len(t.disconnected) == 0 && t.state != up {
		t.state = up
		t.listener.Up()
	}
}

func (s *source) Up() {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	delete(s.t.disconnected, s)
	s.t.upIfConnected()
}

func (s *source) Down(err error) { s.DownSince(time.Now(), err) }

// MaxSilence implements [drivers.LossListener].
func (s *source) MaxSilence() time.Duration {
	if l, ok := drivers.LossListenerOf(s.t.listener); ok {
		return l.MaxSilence()
	}
	return 3 * s.t.bus.ping
}

// DownSince implements [drivers.LossListener].
func (s *source) DownSince(heard time.Time, err error) {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	s.t.disconnected[s] = true
	if s.t.state != down {
		s.t.state = down
		subscriptions.Down(s.t.listener, heard, s.reason(err))
	}
}

// Message is not called: the subscriptions call deliver.
func (s *source) Message([]byte) {}

// deliver makes a call of the listener.
func (s *source) deliver(call func()) {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if s.t.state == up {
		call()
	}
}
