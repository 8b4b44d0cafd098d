// Package redis is a shared tier and a bus on Redis, or on what speaks its
// protocol: Valkey, KeyDB, Dragonfly. It takes any client of
// github.com/redis/go-redis: single, Sentinel, Cluster, Ring.
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"}) // go-redis
//	store, err := runtime.NewStore("main",
//		runtime.L2(cacheredis.New(client, cacheredis.Options{})),
//		runtime.WithBus(cacheredis.NewBus(client)))
//
// Concurrent reads share round trips through go-redis's automatic pipelining.
// A batch is one round trip, or one for each node of a Cluster or Ring.
//
// # Limits
//
// A TTL is rounded up to a millisecond; a value holds up to 512 MB. Keys are used
// as they are: prefixes are the runtime's business. A Ring takes no empty key.
//
// go-redis cannot interrupt a command that it has sent. When a context ends, a
// call returns at once and its command is left to the client's ReadTimeout; a
// write so left may still take effect.
//
// A client that reads from replicas breaks the promise that a read sees every
// finished write: leave ReadOnly, RouteByLatency and RouteRandomly off. A server
// that evicts (maxmemory-policy) costs loads, never correctness.
package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
)

// Options of a [Driver]. The zero value is right for most programs.
type Options struct {
	// NoAutoPipeline sends each read in a round trip of its own. Set it where a
	// few very large values should not delay the small ones that would share
	// their round trip.
	NoAutoPipeline bool
}

// Driver implements [drivers.L2] and [drivers.Adder]. It opens no connection
// itself and leaves the client open. The first read starts the client's automatic
// pipeline, which belongs to the client and ends with it.
type Driver struct {
	client  goredis.UniversalClient
	oneNode bool // one command may name any keys
	ring    bool // an empty key goes to a random node
	shared  bool // reads use the automatic pipeline
	closed  atomic.Bool
	err     error

	pipelineMu sync.Mutex
	pipeline   *goredis.AutoPipeliner

	// What the server turned out not to know.
	noUnlink, noSetNXGet atomic.Bool
}

var (
	_ drivers.L2      = (*Driver)(nil)
	_ drivers.Adder   = (*Driver)(nil)
	_ drivers.Checker = (*Driver)(nil)
)

var (
	errNoClient = errors.New("redis: the client is nil")
	errEmptyKey = fmt.Errorf("%w: an empty key has no place in a Ring", drivers.ErrRefused)
)

// New returns a shared tier on client, which stays the caller's to close. It does
// not connect.
func New(client goredis.UniversalClient, options Options) *Driver {
	d := &Driver{client: client, shared: !options.NoAutoPipeline}
	switch c := client.(type) {
	case nil:
		d.err = errNoClient
	case *goredis.Client:
		d.oneNode = true
		if c == nil {
			d.err = errNoClient
		}
	case *goredis.Ring:
		d.ring = true
		d.shared = false // it has no automatic pipeline
	}
	d.closed.Store(d.err != nil)
	return d
}

// Err returns what makes the driver unusable, or nil.
func (d *Driver) Err() error { return d.err }

// Close makes later calls fail with [drivers.ErrClosed]. Calls under way go on.
func (d *Driver) Close() error {
	d.closed.Store(true)
	return nil
}

// begin checks what every operation checks first.
func (d *Driver) begin(ctx context.Context) error {
	if d.closed.Load() {
		return drivers.ErrClosed
	}
	return ctx.Err()
}

// check refuses a key that the client would lose.
func (d *Driver) check(key string) error {
	if d.ring && key == "" {
		return errEmptyKey
	}
	return nil
}

// failed says what was being done to how many keys.
func failed(operation string, keys int, err error) error {
	noun := "keys"
	if keys == 1 {
		noun = "key"
	}
	return fmt.Errorf("redis: %s %d %s: %w", operation, keys, noun, err)
}
