// Package redis is a shared tier and a bus on Redis or a compatible server: Valkey, KeyDB,
// Dragonfly. It uses any client of github.com/redis/go-redis: for a single server, Sentinel,
// Cluster or Ring.
//
//	client := goredis.NewClient(&goredis.Options{Addr: "localhost:6379"})
//	store, err := runtime.NewStore("main",
//		runtime.L2(redis.New(client, redis.Options{})),
//		runtime.Bus(redis.NewBus(client, redis.BusOptions{})))
//
// Here and in the examples, goredis is the name under which github.com/redis/go-redis/v9 is
// imported, because both packages are called redis.
//
// Concurrent reads share round trips through the automatic pipelining of go-redis.
// A batch is one round trip, or one for each node of a Cluster or Ring.
//
// # Leases
//
// The driver is a [drivers.Leaser]: one process at a time loads a value. The lease of an
// entry is a separate key: the entry's key, ":!lease", and three more characters, which
// keep the lease in the same slot of a Cluster. So the lease also has the entry's prefix.
// Keys that have the form of a lease are refused.
//
// A write ends the lease of its key in the same step. So writes are short Lua scripts, sent
// by their checksum (EVALSHA), or as text to a server that does not have the script; on a
// single server SetMany of several items is a transaction. Only reads, and deletions on a
// single server, are plain commands.
//
// # Changes from outside
//
// A bus carries the messages of programs that use this library. With
// [BusOptions].Tracking it also reports keys that are changed in another way, such as
// with DEL in redis-cli.
//
// # Servers
//
// The package works with Redis 4 and later (tested: 7), Valkey, and other servers that
// run Lua scripts which write only to the keys that are passed to them. [Driver.Ready]
// asks all servers whether they support the commands that the driver sends; Store.Ready
// of the runtime calls it. Users of an access control list need the rights +get +mget
// +set +del +unlink +eval +evalsha +scan +multi +exec, and for Ready +ping, +command|info
// and +role. A bus needs +publish +subscribe +ping and its channels, which for a store are
// "cachegen:", the store's prefix and "!bus"; Tracking also needs +client|id
// +client|tracking and the channel __redis__:invalidate.
//
// # Concurrency
//
// [Driver] and [Bus] may be used by many goroutines at once. Redis guards the data: each
// change of a key and its lease is one script or transaction. In a Driver one mutex guards
// the reference to the automatic pipeline. In a subscription one mutex orders the calls of
// the listener, and is held during these calls only.
//
// # Limits
//
// A TTL is rounded up to a millisecond. A key or value may have up to 512 MB
// (proto-max-bulk-len); a longer one is refused ([drivers.ErrRefused]). The driver does not
// change keys: a common prefix is an option of the runtime. A Ring refuses the empty key.
//
// go-redis cannot interrupt a command that it has sent. When a context ends, the call
// returns at once and the command goes on until the client's ReadTimeout; an abandoned
// write may still take effect. A script or transaction is not sent twice: if its connection
// breaks, the call fails, although the client retries other commands.
//
// While a slot moves from one node of a Cluster to another, the servers execute no script
// on an entry and its lease in that slot, so writes and deletions wait for up to 2.5
// seconds and then fail with TRYAGAIN. Reads continue.
//
// A client that reads from replicas can miss finished writes: leave ReadOnly,
// RouteByLatency and RouteRandomly off. So can a client with a cache of its own
// (ClientSideCacheConfig), which New refuses. Replication is asynchronous: a failover, of
// Sentinel or of a Cluster, can lose the last writes before it, deletions included. A Ring
// uses other shards while one is down, and serves the old values of that shard when it is
// back. Eviction by the server (maxmemory-policy) costs loads, never correctness; a full
// server that does not evict fails writes with OOM, while reads and deletions continue.
package redis

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
)

// Options of a [Driver]. The zero value is right for most programs.
type Options struct {
	// NoAutoPipeline sends each read in a round trip of its own. Set it where reads of
	// very large values would delay reads of small values in the same round trip.
	NoAutoPipeline bool
}

// A Driver is a shared tier on Redis, with the capabilities [drivers.Adder],
// [drivers.Swapper], [drivers.Leaser], [drivers.Scanner], [drivers.PrefixDeleter],
// [drivers.Checker] and [drivers.ReadyChecker]. It opens no connection itself and leaves the
// client open. The first read starts the client's automatic pipeline, which belongs to the
// client and ends with it.
type Driver struct {
	client  goredis.UniversalClient
	oneNode bool // one command may name keys of any slot
	ring    bool // an empty key goes to a random node
	shared  bool // reads use the automatic pipeline
	closed  atomic.Bool
	err     error

	pipelineMu sync.Mutex // guards pipeline
	pipeline   *goredis.AutoPipeliner

	noUnlink atomic.Bool // the server does not support UNLINK
}

var (
	_ drivers.L2            = (*Driver)(nil)
	_ drivers.Adder         = (*Driver)(nil)
	_ drivers.Swapper       = (*Driver)(nil)
	_ drivers.Leaser        = (*Driver)(nil)
	_ drivers.Scanner       = (*Driver)(nil)
	_ drivers.PrefixDeleter = (*Driver)(nil)
	_ drivers.Checker       = (*Driver)(nil)
	_ drivers.ReadyChecker  = (*Driver)(nil)
)

var (
	errNoClient = errors.New("redis: the client is nil")
	errOwnCache = errors.New("redis: the client has a cache of its own, so reads could miss finished writes: remove ClientSideCacheConfig")
	errEmptyKey = fmt.Errorf("%w: a Ring cannot store an empty key", drivers.ErrRefused)
)

// New returns a shared tier on client. client stays open after Close; close it after the
// driver. New does not connect. If client is nil or has a cache of its own, every operation
// fails: Err returns the reason, and runtime.NewStore refuses the tier.
func New(client goredis.UniversalClient, options Options) *Driver {
	d := &Driver{client: client, shared: !options.NoAutoPipeline}
	if isNil(client) {
		d.err = errNoClient
		d.closed.Store(true)
		return d
	}
	switch c := client.(type) {
	case *goredis.Client:
		d.oneNode = true
		if o := c.Options(); o.Protocol != 2 && (o.ClientSideCacheConfig != nil || o.ClientSideCache != nil) {
			d.err = errOwnCache
		}
	case *goredis.Ring:
		d.ring = true
		d.shared = false // a Ring has no automatic pipeline
	}
	d.closed.Store(d.err != nil)
	return d
}

// isNil reports whether there is no client: nil, or a nil pointer to one.
func isNil(client goredis.UniversalClient) bool {
	v := reflect.ValueOf(client)
	return client == nil || v.Kind() == reflect.Pointer && v.IsNil()
}

// Err implements [drivers.Checker]: it returns why the driver is unusable, or nil.
func (d *Driver) Err() error { return d.err }

// Close implements [drivers.L2]: later calls fail with [drivers.ErrClosed]. Running calls
// continue.
func (d *Driver) Close() error {
	d.closed.Store(true)
	return nil
}

// begin returns why no operation may start, or nil.
func (d *Driver) begin(ctx context.Context) error {
	if d.closed.Load() {
		return drivers.ErrClosed
	}
	return ctx.Err()
}

// failed returns err with the operation and the number of keys.
func failed(operation string, keys int, err error) error {
	err = classified(err)
	noun := "keys"
	if keys == 1 {
		noun = "key"
	}
	return fmt.Errorf("redis: %s %d %s: %w", operation, keys, noun, err)
}

// classified says of err what the callers of a driver have to know: that the server has
// answered, or that the client is closed.
func classified(err error) error {
	var reply goredis.Error
	switch {
	case errors.Is(err, goredis.ErrClosed) && !errors.Is(err, drivers.ErrClosed):
		return fmt.Errorf("%w (%w)", drivers.ErrClosed, err)
	case errors.As(err, &reply):
		return drivers.Answered(err)
	}
	return err
}
