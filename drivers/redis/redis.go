// Package redis is a shared tier and a bus on Redis, or on a server that is compatible with
// it: Valkey, KeyDB, Dragonfly. It uses a client of github.com/redis/go-redis, which the
// program makes and closes: one for a single server, for Sentinel, for a Cluster or for a
// Ring.
//
//	client := goredis.NewClient(&goredis.Options{Addr: "localhost:6379"})
//	stores, err := runtime.OpenStore("main",
//		runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})),
//		runtime.L2(redis.New(client, redis.Options{})),
//		runtime.Bus(redis.NewBus(client, redis.BusOptions{})))
//
// Here and in the examples, goredis is the name under which github.com/redis/go-redis/v9 is
// imported, because both packages are called redis.
//
// Reads that run at the same time share round trips, through the automatic pipelining of
// go-redis. A batch of keys is one round trip, or one for each server of a Cluster or Ring
// that has some of the keys.
//
// # Servers
//
// The package works with Redis 4 and later (it is tested with Redis 7), with Valkey, and with
// other servers that run Lua scripts which write only to the keys that are passed to them.
// [Driver.Ready] asks the servers whether they support the commands that the driver sends.
//
// On a server with an access control list the user needs the rights
//
//	+get +mget +set +del +unlink +eval +evalsha +scan    for the tier
//	+multi +exec +pttl +pexpire                          for the tier
//	+info +cluster|myid                                  for History
//	+ping +command|info +role                            for Ready
//	+publish +subscribe +ping                            for the bus
//	+spublish +ssubscribe                                for the bus on a Cluster
//	+client|id +client|tracking                          for BusOptions.Tracking
//
// and the bus needs the right to its channels. The channel of a store is "cachegen:", then the
// prefix of the store with a colon, if it has one, then "!bus". Tracking also needs the
// channel __redis__:invalidate.
//
// # Leases
//
// A [Driver] is a [drivers.Leaser]. The lease of a key is a key of its own on the server. Its
// name is the name of the key, then ":!lease", then three more characters, which keep the
// lease on the same server of a Cluster. So a lease has the prefix of its key, too. A key that
// looks like a lease is refused. A server that is full and does not evict gives no leases, and
// does not note who awaits one ([drivers.LeaseRequest]).
//
// A write ends the lease of its key in the same step. For this reason writes are short Lua
// scripts. They are sent by their checksum (EVALSHA), and as text to a server that does not
// know the script. On a single server SetMany of several items is a transaction. Only reads,
// and deletions on a single server, are plain commands.
//
// # Servers that lose what they had
//
// Redis replicates in the background, and saves its data now and then. So a failover of Sentinel
// or of a Cluster, and a restart, can lose the last writes before it, deletions included: values
// that were deleted are there again. A [Driver] is a [drivers.Historian]. It notices this before
// the first answer of the new server is believed, and the store then treats as invalid what was
// stored before. See [Driver.History].
//
// A restart that has lost nothing is not told apart. Neither is a Cluster that gets or loses a
// master. While a master of a Cluster is away, a process that has just started does not use the
// shared tier, because it cannot ask all masters; the others use the rest of the Cluster.
//
// Some things are not noticed. FLUSHALL and the eviction of keys lose data, which costs loads, and
// bring nothing back. DEBUG RELOAD NOSAVE and the like bring back an older state without a
// restart. Of two processes that are connected to different masters, as in a network that is cut
// in two, each sees its own.
//
// # Messages in a Cluster
//
// On a Cluster of Redis 7 or later a [Bus] publishes in the shard of the channel, with SPUBLISH, so
// that a message does not go to every node. A subscription listens to the channel of the shard and
// to the channel of the same name that all nodes have. So it hears each bus of this package, also
// one that publishes to all nodes: because of [BusOptions].NoSharding, because its user has no
// right to SPUBLISH, or because the server does not know it. A user that has no right to
// SSUBSCRIBE cannot hear all, and so its subscription stays disconnected, with the error.
//
// A channel moves to another node when its slot does, or with a failover. The subscription is then
// disconnected, and connects to the node that has the channel. Like each message of the package, one
// that is published meanwhile may be lost, and the listener is told since when.
//
// # Changes from outside
//
// A bus carries the messages of programs that use this library. With [BusOptions].Tracking it
// also reports the keys that are changed in another way, such as with DEL in redis-cli.
//
// # Concurrency
//
// [Driver] and [Bus] may be used by many goroutines at once. Each change of a key and of its
// lease is one script or transaction on the server. In a Driver one mutex guards the reference
// to the automatic pipeline. In each subscription of a Bus one mutex orders the calls of the
// listener; it is held during these calls only.
//
// # Limits
//
// A TTL is rounded up to a millisecond. A key and a value may each have 512 MB, which is the
// default of the server's proto-max-bulk-len; a longer one is refused ([drivers.ErrRefused]).
// A Ring refuses the empty key. The driver stores a key under the name that it is given: a
// prefix for all keys is an option of the store.
//
// go-redis cannot interrupt a command that it has sent. When a context ends, the call returns
// at once, and the command goes on until the ReadTimeout of the client. So a write that was
// given up may still take effect. A script or transaction is sent once: if its connection
// breaks, the call fails, although the client sends other commands again.
//
// While a slot moves from one server of a Cluster to another, the servers run no script on the
// keys of that slot. Writes and deletions of these keys wait for up to 2.5 seconds, and then
// fail with TRYAGAIN. Reads go on.
//
// A client that reads from replicas can miss writes that have finished: leave its options
// ReadOnly, RouteByLatency and RouteRandomly off. A client with a cache of its own
// (ClientSideCacheConfig) can miss them too, and [New] refuses such a client.
//
// A Ring uses other servers while one is down. When that one is back, it has values that were
// changed on the others meanwhile. [Driver.History] is another text then, in each process that has
// noticed that the server was down.
//
// A server that evicts keys (maxmemory-policy) costs loads, never correctness. A server that
// is full and does not evict fails writes with OOM, while reads and deletions go on.
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

// Options are the options of [New]. The zero value is right for most programs.
type Options struct {
	// NoAutoPipeline sends each read in a round trip of its own. Set NoAutoPipeline if some
	// values are very large, so that reads of small values do not wait for them in the same
	// round trip.
	NoAutoPipeline bool
}

// A Driver is a shared tier on Redis. It has the capabilities [drivers.Adder],
// [drivers.Swapper], [drivers.Leaser], [drivers.Historian], [drivers.Scanner],
// [drivers.PrefixDeleter], [drivers.Checker] and [drivers.ReadyChecker].
//
// A Driver does not close the client. The first read starts the automatic pipeline of the client,
// which ends when the client is closed. [Driver.History] opens a connection with the options of
// the client, and closes it when it has its answer.
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
	history  *history
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
	_ drivers.Historian     = (*Driver)(nil)
)

var (
	errNoClient = errors.New("redis: the client is nil")
	errOwnCache = errors.New("redis: the client has a cache of its own, so reads could miss finished writes: remove ClientSideCacheConfig")
	errEmptyKey = fmt.Errorf("%w: a Ring cannot store an empty key", drivers.ErrRefused)
)

// New returns a shared tier on client. New does not connect. It adds a hook to client, which
// stays there, and by which it learns of new connections. client stays open when the driver
// is closed; close client after the driver.
//
// If client is nil, or has a cache of its own, the driver cannot be used: every operation
// fails, [Driver.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it
// as their error.
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
	if d.err == nil {
		d.history = newHistory(client)
	}
	return d
}

// isNil reports whether there is no client: nil, or a nil pointer to one.
func isNil(client goredis.UniversalClient) bool {
	v := reflect.ValueOf(client)
	return client == nil || v.Kind() == reflect.Pointer && v.IsNil()
}

// Err returns why the driver cannot be used, or nil. See [drivers.Checker].
func (d *Driver) Err() error {
	if d.err == nil && d.client == nil {
		return errors.New("redis: zero Driver: make it with redis.New")
	}
	return d.err
}

// Close makes later calls fail with [drivers.ErrClosed]. Calls that are running go on. The
// client stays open. See [drivers.L2].
func (d *Driver) Close() error {
	d.closed.Store(true)
	if d.history != nil {
		d.history.end()
	}
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
