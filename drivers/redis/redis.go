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
// # Leases
//
// The driver can lend keys ([drivers.Leaser]): one process at a time loads a value.
// A lease is a key beside the entry's, named like it with ":!lease" and three more
// characters at the end, which keep it in the entry's slot of a Cluster and under
// the same prefix. Keys that are named like leases are refused.
//
// A write ends its key's lease in the same step. So writes are short Lua scripts, sent
// by their checksum (EVALSHA), and whole where the server does not have it; on a
// single server SetMany of several items is a transaction. Only reads, and deletions
// on a single server, are plain commands.
//
// # Changes from outside
//
// A bus carries what programs say that use this library. With [BusOptions].Tracking
// it also tells what others do to a store's keys, such as a DEL by hand.
//
// # Servers
//
// Redis from version 4 on (tested: 7), Valkey, and others that run Lua scripts which
// may write under the keys they are given. [Driver.Ready] asks all servers whether
// they know the commands that the driver needs; a program may call it when it starts.
// Users of an access control list need the rights +get +mget +set +del +unlink
// +eval +evalsha +scan +multi +exec, and for Ready +ping, +command|info and +role.
// A bus needs +publish +subscribe +ping and its channels, of a store "cachegen:", its
// prefix and "!bus"; Tracking also +client|id +client|tracking and the channel
// __redis__:invalidate.
//
// # Limits
//
// A TTL is rounded up to a millisecond. A key or value holds up to 512 MB
// (proto-max-bulk-len); more is refused ([drivers.ErrRefused]). Keys are used as
// they are: prefixes are the runtime's business. A Ring takes no empty key.
//
// go-redis cannot interrupt a command that it has sent. When a context ends, a
// call returns at once and its command is left to the client's ReadTimeout; a
// write so left may still take effect. Scripts are not sent twice: one whose
// connection breaks is an error, although the client retries other commands.
//
// While a slot moves from one node of a Cluster to another, the servers carry out no
// script on an entry and its lease, and so no write or deletion in it: these wait for
// 2.5 seconds at most, and then fail with TRYAGAIN. Reads go on.
//
// A client that reads from replicas breaks the promise that a read sees every
// finished write: leave ReadOnly, RouteByLatency and RouteRandomly off. So does one that
// caches on its own side (ClientSideCacheConfig): New refuses it. Replication
// is asynchronous: a failover, of Sentinel or of a Cluster, can lose the last
// writes before it, deletions too. A Ring uses other shards while one is down, and
// finds that one's old values again afterwards. A server that evicts
// (maxmemory-policy) costs loads, never correctness; one that is full and does not
// evict fails writes with OOM, while reads and deletions go on.
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
	// NoAutoPipeline sends each read in a round trip of its own. Set it where a
	// few very large values should not delay the small ones that would share
	// their round trip.
	NoAutoPipeline bool
}

// Driver implements [drivers.L2], [drivers.Adder], [drivers.Swapper],
// [drivers.Leaser], [drivers.Scanner], [drivers.PrefixDeleter], [drivers.Checker] and
// [drivers.ReadyChecker]. It opens no
// connection itself and leaves the client open. The first read starts the client's automatic
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

	noUnlink atomic.Bool // the server does not know UNLINK
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
	errOwnCache = errors.New("redis: the client caches on its own side (ClientSideCacheConfig): its reads miss finished writes")
	errEmptyKey = fmt.Errorf("%w: an empty key has no place in a Ring", drivers.ErrRefused)
)

// New returns a shared tier on client, which stays the caller's to close. It does
// not connect.
func New(client goredis.UniversalClient, options Options) *Driver {
	d := &Driver{client: client, shared: !options.NoAutoPipeline}
	if v := reflect.ValueOf(client); client == nil || v.Kind() == reflect.Pointer && v.IsNil() {
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

// failed says what was being done to how many keys.
func failed(operation string, keys int, err error) error {
	noun := "keys"
	if keys == 1 {
		noun = "key"
	}
	return fmt.Errorf("redis: %s %d %s: %w", operation, keys, noun, err)
}
