// Package nats is a bus on core NATS, and a shared tier in a key-value bucket of
// JetStream, on a connection of github.com/nats-io/nats.go.
//
//	conn, err := nats.Connect("localhost", nats.MaxReconnects(-1)) // nats.go
//	store, err := runtime.NewStore("main",
//		runtime.L2(cachenats.New(conn, cachenats.Options{})),
//		runtime.WithBus(cachenats.NewBus(conn)))
//
// Without MaxReconnects(-1), nats.go closes a connection for good after two minutes
// without a server; and always when a server has refused the user twice, unless told
// otherwise (IgnoreAuthErrorAbort). While it is not connected, operations fail at once.
//
// The bucket is made on first use, unless Options say otherwise. It is one that other
// tools understand: a key is its own name there, where ":" is a dot, letters, digits,
// "_", "-" and "/" stay as they are and any other byte is "=" with two hexadecimal
// digits. What the driver adds (deadlines and leases) is in headers. A batch is sent without
// waiting for each answer, [Concurrency] requests at a time. What depends on what is
// there (adds, swaps, leases) is a read and a write that holds only if nothing has
// come in between, repeated if something has; a lease of a key that has a value
// writes the value again.
//
// # Limits
//
// A value holds what the server's max_payload says, 1 MB by default, less
// [Overhead], and less the key if its name is longer than 1024 bytes: the name is
// then the key's SHA-256, and the key is kept with the value. A larger value is
// refused with [drivers.ErrRefused].
//
// A TTL is rounded up to a millisecond, and it is the clock of whoever reads that
// decides. The server keeps what is past its TTL, and a trace of what was deleted,
// until Prune, which has to run now and then. Prune, Scan and DeletePrefix read the
// headers of the keys that begin with the same words, up to the last ":" of their
// prefix, and of those with long names.
//
// A call whose context has no deadline waits five seconds for each answer. A write
// whose context ends may still take effect.
//
// With several replicas the bucket must not answer reads from any of them
// (allow_direct), or a read could miss a write that has finished. The driver makes
// its buckets accordingly, and refuses others.
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
	// DefaultBucket is what an empty name of a bucket means.
	DefaultBucket = "cachegen"

	// Overhead is how much of max_payload is kept for headers.
	Overhead = 1 << 10

	// Concurrency is how many requests one call has under way at most.
	Concurrency = 64
)

// Options of a [Driver]. The zero value is right for most programs.
type Options struct {
	// Bucket is the bucket's name: letters, digits, underscores and hyphens;
	// [DefaultBucket] if empty.
	Bucket string
	// SkipCreate leaves it to the program to make the bucket. Otherwise the first
	// operation makes it if it is not there, as the other options say.
	SkipCreate bool
	// Replicas is how many servers of a cluster hold the bucket; 1 if zero.
	Replicas int
	// Memory keeps the bucket in the servers' memory instead of on their disks.
	Memory bool
	// MaxBytes is how large the bucket may become; a write beyond it fails, while reads
	// and deletions go on. Zero is without a limit but the server's.
	MaxBytes int64
}

// Driver implements [drivers.L2] and all of its capabilities.
type Driver struct {
	conn    *gonats.Conn
	js      jetstream.JetStream
	options Options
	subject string // in front of the names of keys
	closed  atomic.Bool
	err     error

	// binding is full while somebody looks for the bucket: a lock that those who
	// wait for can stop waiting for.
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

// New returns a shared tier on conn, which stays the caller's to close. It sends
// nothing.
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
		d.err = fmt.Errorf("nats: bucket %q: want letters, digits, underscores and hyphens, 128 at most", options.Bucket)
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

// Err returns what makes the driver unusable, or nil.
func (d *Driver) Err() error { return d.err }

// Close makes later calls fail with [drivers.ErrClosed]. Calls under way go on.
func (d *Driver) Close() error {
	d.closed.Store(true)
	return nil
}

// run carries out one operation. f may be left behind when ctx ends, so what it uses
// must be its own: nats.go can wait for the network without a look at the context.
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

// failed says what was being done to how many keys, and what the client's words mean.
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
		d.unbind() // it was removed, or lost with a server's memory
	case errors.Is(err, gonats.ErrMaxPayload), errors.As(err, &api) && api.ErrorCode == codeTooLarge:
		err = fmt.Errorf("%w: %w", drivers.ErrRefused, err)
	case errors.Is(err, context.DeadlineExceeded):
		// A read of a bucket that is gone gets no answer. Neither does a request that is
		// not allowed: the server sends an error on the connection instead.
		d.unbind()
		if d.conn != nil {
			if last := d.conn.LastError(); errors.Is(last, gonats.ErrPermissionViolation) {
				err = fmt.Errorf("%w (%w)", err, last)
			}
		}
	}
	return fmt.Errorf("nats: %s in bucket %q: %w", operation, d.options.Bucket, err)
}

// What JetStream's error codes say that nats.go has no name for.
const codeTooLarge = 10054

// bind returns the bucket's stream, and makes it if need be.
func (d *Driver) bind(ctx context.Context) (jetstream.Stream, error) {
	if err := connected(d.conn); err != nil {
		return nil, err
	}
	if stream := d.bound(); stream != nil {
		return stream, nil
	}
	select {
	case d.binding <- struct{}{}:
		defer func() { <-d.binding }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if stream := d.bound(); stream != nil {
		return stream, nil
	}
	stream, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stream = stream
	return stream, nil
}

// connected returns why nothing can be sent, which may be that the server does not let
// the user in. While nats.go tries once more it does not know why the last time failed.
func connected(conn *gonats.Conn) error {
	if conn.IsConnected() {
		return nil
	}
	err := gonats.ErrDisconnected
	if conn.IsClosed() {
		err = gonats.ErrConnectionClosed
	}
	if last := conn.LastError(); last != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}

func (d *Driver) bound() jetstream.Stream {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stream
}

func (d *Driver) unbind() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stream = nil
}

func (d *Driver) open(ctx context.Context) (jetstream.Stream, error) {
	name := "KV_" + d.options.Bucket
	stream, err := d.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) && !d.options.SkipCreate {
		stream, err = d.js.CreateStream(ctx, d.config(name))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was first
			stream, err = d.js.Stream(ctx, name)
		}
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("there is no such bucket: %w", err)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, gonats.ErrNoResponders):
		return nil, fmt.Errorf("the server runs without JetStream, or this account does: %w", err)
	case err != nil:
		return nil, fmt.Errorf("open it: %w", err)
	}
	if err := usable(stream.CachedInfo().Config); err != nil {
		return nil, err
	}
	return stream, nil
}

func usable(config jetstream.StreamConfig) error {
	switch {
	case config.MaxMsgsPerSubject < 1 || config.Mirror != nil:
		return fmt.Errorf("stream %s is not that of a bucket, or a mirror", config.Name)
	case config.AllowDirect && config.Replicas > 1:
		return fmt.Errorf("it answers reads from any of its %d replicas, which may miss a write: turn off allow_direct of stream %s",
			config.Replicas, config.Name)
	}
	return nil
}

// config is what makes a stream a bucket.
func (d *Driver) config(name string) jetstream.StreamConfig {
	storage := jetstream.FileStorage
	if d.options.Memory {
		storage = jetstream.MemoryStorage
	}
	maxBytes := d.options.MaxBytes
	if maxBytes == 0 {
		maxBytes = -1
	}
	return jetstream.StreamConfig{
		Name:              name,
		Subjects:          []string{d.subject + ">"},
		Storage:           storage,
		Replicas:          d.options.Replicas,
		MaxMsgsPerSubject: 1,
		MaxBytes:          maxBytes,
		Discard:           jetstream.DiscardNew,
		AllowRollup:       true,
		DenyDelete:        true,
		AllowDirect:       d.options.Replicas == 1,
	}
}
