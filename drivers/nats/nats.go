// Package nats is a bus on core NATS, and a shared tier in a key-value bucket of
// JetStream, on a connection of github.com/nats-io/nats.go.
//
//	conn, err := gonats.Connect("localhost", gonats.MaxReconnects(-1))
//	store, err := runtime.NewStore("main",
//		runtime.L2(nats.New(conn, nats.Options{})),
//		runtime.Bus(nats.NewBus(conn, nats.BusOptions{})))
//
// Here and in the examples, gonats is the name under which github.com/nats-io/nats.go is
// imported, because both packages are called nats.
//
// Without MaxReconnects(-1), nats.go closes a connection forever after two minutes without a
// server. It also does so when a server has refused the user twice, unless
// IgnoreAuthErrorAbort is set. While the connection is down, operations fail at once.
//
// The bucket is created on first use, unless Options.SkipCreate is set. Other NATS tools can
// read it: the name of an entry is its key, with a dot for ":", letters, digits, "_", "-"
// and "/" unchanged, and any other byte as "=" and two hexadecimal digits. Times of expiry
// and leases are in headers. A batch is sent without waiting for each response,
// [Concurrency] requests at a time. An operation that depends on the stored value (add,
// swap, lease) is a read, and a write on the condition that nothing was written in between;
// it is repeated if something was. A lease of a key with a value writes the value again.
//
// # Concurrency
//
// [Driver] and [Bus] may be used by many goroutines at once. The server guards the data:
// each entry, with its lease, is one message. In a Driver one mutex guards the reference to
// the bucket, and a channel makes one goroutine at a time open the bucket. In a subscription
// one mutex orders the calls of the listener, and is held during these calls only.
//
// # Limits
//
// A value may have the server's max_payload, 1 MB by default, less [Overhead]. A key whose
// name would have more than 1024 bytes is stored with its value, under a name with the
// key's SHA-256; its value must be smaller by the length of the key. A larger value is
// refused with [drivers.ErrRefused].
//
// A TTL is rounded up to a millisecond and ends by the clock of the process that reads.
// Expired items are absent at once. The server keeps them, and a marker of each deleted key,
// until Prune, which should be called regularly. Prune, Scan and DeletePrefix read the
// headers of all keys that begin with the prefix up to its last ":", and of all keys that are
// stored under a hash.
//
// A call whose context has no deadline waits up to five seconds for each response. A write
// whose context ends may still take effect. If the connection breaks in the moment in which a
// write is sent, nats.go sends it when it is connected again, unless the connection has the
// option ReconnectBufSize(-1).
//
// A bucket with several replicas must not serve reads from any of them (allow_direct), or a
// read could miss a finished write. The driver creates its buckets accordingly, and refuses
// others.
package nats

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"

	gonats "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

const (
	// DefaultBucket is the default of [Options].Bucket.
	DefaultBucket = "cachegen"

	// Overhead is the number of bytes of max_payload that are reserved for headers.
	Overhead = 1 << 10

	// Concurrency is the largest number of requests that one call sends at once.
	Concurrency = 64
)

// Options of a [Driver]. The zero value is right for most programs.
type Options struct {
	// Bucket is the name of the bucket: letters, digits, underscores and hyphens, at most
	// 128; [DefaultBucket] if empty.
	Bucket string
	// SkipCreate makes the program responsible for creating the bucket. Otherwise the
	// first operation creates an absent bucket, with the options below.
	SkipCreate bool
	// Replicas is how many servers of a cluster store the bucket; 1 if zero.
	Replicas int
	// Memory stores the bucket in the memory of the servers instead of on their disks.
	Memory bool
	// MaxBytes is the largest size of the bucket. A write beyond it fails, while reads and
	// deletions continue. Zero sets no bound besides that of the server.
	MaxBytes int64
}

// A Driver is a shared tier in a key-value bucket, with the capabilities [drivers.Adder],
// [drivers.Swapper], [drivers.Leaser], [drivers.Scanner], [drivers.PrefixDeleter],
// [drivers.Pruner] and [drivers.Checker].
type Driver struct {
	conn    *gonats.Conn
	js      jetstream.JetStream
	options Options
	subject string // the beginning of the subject of each key
	closed  atomic.Bool
	err     error

	// binding is full while a goroutine opens the bucket. It is a lock for which a
	// goroutine can stop waiting when its context ends.
	binding chan struct{}
	mu      sync.Mutex // guards stream
	stream  jetstream.Stream
}

var (
	_ drivers.L2            = (*Driver)(nil)
	_ drivers.Adder         = (*Driver)(nil)
	_ drivers.Swapper       = (*Driver)(nil)
	_ drivers.Leaser        = (*Driver)(nil)
	_ drivers.Scanner       = (*Driver)(nil)
	_ drivers.PrefixDeleter = (*Driver)(nil)
	_ drivers.Pruner        = (*Driver)(nil)
	_ drivers.Checker       = (*Driver)(nil)
)

var (
	errNoConnection = errors.New("nats: the connection is nil")
	bucketName      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

// New returns a shared tier on conn. conn stays open after Close; close it after the driver.
// New sends nothing. If conn is nil or options are unusable, every operation fails: Err
// returns the reason, and runtime.NewStore refuses the tier.
func New(conn *gonats.Conn, options Options) *Driver {
	if options.Bucket == "" {
		options.Bucket = DefaultBucket
	}
	if options.Replicas == 0 {
		options.Replicas = 1
	}
	d := &Driver{conn: conn, options: options, subject: "$KV." + options.Bucket + ".", binding: make(chan struct{}, 1)}
	switch {
	case conn == nil:
		d.err = errNoConnection
	case !bucketName.MatchString(options.Bucket):
		d.err = fmt.Errorf("nats: bucket %q: want 1 to 128 letters, digits, underscores or hyphens", options.Bucket)
	case options.Replicas < 0:
		d.err = fmt.Errorf("nats: Replicas is %d, must not be negative", options.Replicas)
	case options.MaxBytes < 0:
		d.err = fmt.Errorf("nats: MaxBytes is %d, must not be negative", options.MaxBytes)
	default:
		d.js, d.err = jetstream.New(conn)
	}
	d.closed.Store(d.err != nil)
	return d
}

// Err implements [drivers.Checker]: it returns why the driver is unusable, or nil.
func (d *Driver) Err() error { return d.err }

// Close implements [drivers.L2]: later calls fail with [drivers.ErrClosed]. Running calls
// continue.
func (d *Driver) Close() error {
	d.closed.Store(true)
	return nil
}

// run runs an operation f and returns when f does or when ctx ends. f must own what it uses,
// because it may still run after run has returned: nats.go does not watch the context while
// it writes to the network.
func (d *Driver) run(ctx context.Context, operation string, keys int, f func(jetstream.Stream) error) error {
	err := ctx.Err()
	if d.closed.Load() {
		err = drivers.ErrClosed
	}
	if err == nil {
		err = within.Do(ctx, func() error {
			stream, err := d.bind(ctx)
			if err == nil {
				err = f(stream)
			}
			return err
		})
	}
	return d.failed(operation, keys, err)
}

// failed returns err with the operation, the number of keys and the bucket, and explains some
// errors of the client.
func (d *Driver) failed(operation string, keys int, err error) error {
	if err == nil {
		return nil
	}
	if keys >= 0 {
		noun := "keys"
		if keys == 1 {
			noun = "key"
		}
		operation = fmt.Sprintf("%s %d %s", operation, keys, noun)
	}
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, gonats.ErrNoResponders):
		d.unbind() // the bucket was removed, or lost with the memory of a server
	case errors.Is(err, gonats.ErrMaxPayload), errors.As(err, &api) && api.ErrorCode == codeTooLarge:
		err = fmt.Errorf("%w: %w", drivers.ErrRefused, err)
	case errors.Is(err, gonats.ErrConnectionClosed):
		err = fmt.Errorf("%w (%w)", drivers.ErrClosed, err)
	case api != nil:
		err = drivers.Answered(err)
	case errors.Is(err, context.DeadlineExceeded):
		// The server does not answer a read of a removed bucket, nor a request without
		// permission: it sends an error on the connection instead.
		d.unbind()
		if d.conn != nil {
			if last := d.conn.LastError(); errors.Is(last, gonats.ErrPermissionViolation) {
				err = drivers.Answered(fmt.Errorf("%w (%w)", err, last))
			}
		}
	}
	return fmt.Errorf("nats: %s in bucket %q: %w", operation, d.options.Bucket, err)
}

// codeTooLarge is the error code of JetStream for a message that is too large; nats.go has
// no name for it.
const codeTooLarge = 10054
