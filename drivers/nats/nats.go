// Package nats is a bus on core NATS, and a shared tier in a key-value bucket of JetStream. It
// uses a connection of github.com/nats-io/nats.go, which the program makes and closes.
//
//	conn, err := gonats.Connect("localhost", gonats.MaxReconnects(-1))
//	stores, err := runtime.OpenStore("main",
//		runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})),
//		runtime.L2(nats.New(conn, nats.Options{})),
//		runtime.Bus(nats.NewBus(conn, nats.BusOptions{})))
//
// Here and in the examples, gonats is the name under which github.com/nats-io/nats.go is
// imported, because both packages are called nats.
//
// Without MaxReconnects(-1), nats.go closes the connection forever when there was no server
// for two minutes. nats.go also closes it when a server has refused the user twice, unless the
// option IgnoreAuthErrorAbort is set. While the connection is lost, operations fail at once.
//
// # The bucket
//
// The first operation creates the bucket if there is none, unless Options.SkipCreate is set.
// Other tools of NATS can read the bucket. The name of an entry is made of its key: a dot
// stands for ":", letters, digits, "_", "-" and "/" stay as they are, and any other byte is
// "=" and two hexadecimal digits. The end of a TTL, and a lease, are headers of the message.
//
// A batch is sent without waiting for each answer, up to [Concurrency] requests at a time. An
// operation that depends on the stored value (an add, a swap, a lease) reads the value, and
// then writes on the condition that nobody has written in between. If somebody has, the
// operation begins again. To take, renew, note as awaited or release the lease of a key that has
// a value, the driver writes the value again.
//
// # Concurrency
//
// [Driver] and [Bus] may be used by many goroutines at once. An entry and its lease are one
// message, which the server changes in one step. In a Driver one mutex guards the reference to
// the bucket, and a channel makes one goroutine at a time open the bucket. In each
// subscription of a Bus one mutex orders the calls of the listener; it is held during these
// calls only.
//
// # Limits
//
// A value may have as many bytes as a message of the server (max_payload, 1 MB by default),
// less [Overhead]. If the name that is made of a key has more than 1024 bytes, the entry has
// the SHA-256 of the key as its name, and holds key and value; the value may then have fewer
// bytes, by the length of the key. A larger value is refused ([drivers.ErrRefused]).
//
// A TTL is rounded up to a millisecond, and ends by the clock of the process that reads. An
// expired item is absent at once. But the server keeps expired items, and a marker for each
// deleted key, until [Driver.Prune] is called: call it regularly. Prune reads the headers of
// all entries. Scan and DeletePrefix read the headers of the entries whose keys begin with the
// prefix up to its last ":", and of all entries that have a SHA-256 as their name.
//
// The end of a lease, too, is a time by the clocks of the processes. If they differ by more than
// the TTL of the lease, or if one of them is set, a key that is lent can be lent to another
// process, and what its first holder has loaded is not stored. That costs a load. Whatever the
// clocks say, nothing is stored that was loaded before a change of its key, and a holder that
// has ended holds up the others for no longer than twice the TTL of its lease.
//
// A call whose context has no deadline waits for each answer for up to five seconds. A write
// whose context ends may still take effect. If the connection breaks at the moment when a
// write is sent, nats.go sends the write when it is connected again, unless the connection has
// the option ReconnectBufSize(-1).
//
// A bucket with several replicas must not serve reads from any of them (allow_direct), because
// a read could then miss a write that has finished. The driver creates such a bucket without
// allow_direct, and refuses one that has it.
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

	// Overhead is how many bytes of max_payload the headers of an entry may take.
	Overhead = 1 << 10

	// Concurrency is how many requests one call sends at once at most.
	Concurrency = 64
)

// Options are the options of [New]. The zero value is right for most programs.
type Options struct {
	// Bucket is the name of the bucket: letters, digits, underscores and hyphens, at most 128
	// of them. [DefaultBucket] if empty.
	Bucket string
	// SkipCreate says that the program creates the bucket itself, before the first operation.
	// Otherwise the first operation creates a bucket that is absent, with the options
	// Replicas, Memory and MaxBytes.
	SkipCreate bool
	// Replicas is how many servers of a cluster store the bucket; 1 if zero.
	Replicas int
	// Memory stores the bucket in the memory of the servers, and not on their disks.
	Memory bool
	// MaxBytes is how many bytes the bucket may have. When it is full, writes fail, while
	// reads and deletions go on. Zero sets no bound; the server may have one.
	MaxBytes int64
}

// A Driver is a shared tier in a key-value bucket of JetStream. It has the capabilities
// [drivers.Adder], [drivers.Swapper], [drivers.Leaser], [drivers.Scanner],
// [drivers.PrefixDeleter], [drivers.Pruner] and [drivers.Checker].
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

// New returns a shared tier on conn. New sends nothing. conn stays open when the driver is
// closed; close conn after the driver.
//
// If conn is nil, or an option is wrong, the driver cannot be used: every operation fails,
// [Driver.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it as
// their error.
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

// Err returns why the driver cannot be used, or nil. See [drivers.Checker].
func (d *Driver) Err() error {
	if d.err == nil && d.conn == nil {
		return errors.New("nats: zero Driver: make it with nats.New")
	}
	return d.err
}

// Close makes later calls fail with [drivers.ErrClosed]. Calls that are running go on. The
// connection stays open. See [drivers.L2].
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
