// Package dynamodb is a shared tier in a table of Amazon DynamoDB. It uses a client of
// github.com/aws/aws-sdk-go-v2, which the program makes.
//
//	client := awsdynamodb.NewFromConfig(config)
//	tier := dynamodb.New(client, dynamodb.Options{Table: "cache"})
//	if err := tier.CreateTable(ctx); err != nil { … } // or create it with the rest of the infrastructure
//	stores, err := runtime.OpenStore("main", runtime.L2(tier))
//
// Here and in the examples, awsdynamodb is the name under which
// github.com/aws/aws-sdk-go-v2/service/dynamodb is imported, because both packages are called
// dynamodb.
//
// # The table
//
// The key of the table is a binary partition key named key, without a sort key. The attribute
// ttl is for Time to Live. [Options] can give both other names. Billing, encryption and
// replication of the table are up to its owner. [Driver.CreateTable] creates a table for those
// who do not create it otherwise.
//
// The driver needs the permissions BatchGetItem, BatchWriteItem, GetItem, PutItem, UpdateItem
// and DeleteItem.
//
// # Requests
//
// A batch costs one request for each 100 keys that are read, and one for each 25 keys that are
// written or deleted. An add, a swap, and what is done with a lease cost one request for each
// key; the first process that waits for a lease costs one more. A call sends up to [Concurrency]
// requests at once.
//
// DynamoDB may leave a part of a batch undone. The driver requests that part again, after
// pauses that grow, until the context ends or twelve attempts in a row have done nothing. The
// SDK repeats reads and deletions whose answer is lost. A write that DynamoDB may have carried
// out is not repeated: the call fails.
//
// # Concurrency
//
// A [Driver] may be used by many goroutines at once. It keeps no data and has no lock. The
// value and the lease of a key are one item of the table, which DynamoDB changes in one step.
//
// # Limits
//
// A value may have [MaxValue] bytes: the limit of DynamoDB is 400 KB for a value and what is
// stored with it. A larger value is refused ([drivers.ErrRefused]). A key is arbitrary,
// although DynamoDB has no keys that are empty or have more than 2048 bytes: the driver stores
// each key with a zero byte in front, and a key of more than 2047 bytes as its SHA-256.
//
// Reads are strongly consistent, which costs twice as much as the reads that DynamoDB makes by
// default. In a global table they are consistent within one region only.
//
// A TTL is rounded up to a millisecond, and ends by the clock of the process that reads: where
// clocks differ by a second, a TTL ends a second sooner or later. An expired item is absent at
// once. DynamoDB removes it some time later, if Time to Live is enabled. If the key has a
// lease then, the lease is lost too, which costs one more load.
//
// The end of a lease, too, is a time by the clocks of the processes. If they differ by more than
// the TTL of the lease, or if one of them is set, a key that is lent can be lent to another
// process, and what its first holder has loaded is not stored. That costs a load. Whatever the
// clocks say, nothing is stored that was loaded before a change of its key, and a holder that
// has ended holds up the others for no longer than twice the TTL of its lease.
//
// A [Driver] cannot list keys, delete keys by prefix, or prune: DynamoDB would have to read
// the whole table for each of these, and charges for what it reads. Clear and DeleteByTag of
// the runtime do not need them.
package dynamodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cachegen/cachegen/drivers"
)

// The defaults of the fields of [Options] with these names.
const (
	DefaultTable        = "cachegen"
	DefaultKeyAttribute = "key"
	DefaultTTLAttribute = "ttl"
)

const (
	// MaxValue is how many bytes a value may have.
	MaxValue = 397 << 10

	// Concurrency is how many requests one call sends at once at most. The HTTP client of the
	// SDK keeps as many idle connections.
	Concurrency = 10
)

// Options are the options of [New]. The zero value is right for a table with the default
// names.
type Options struct {
	// Table is the name of the table; [DefaultTable] if empty.
	Table string
	// KeyAttribute is the name of the partition key; [DefaultKeyAttribute] if empty.
	KeyAttribute string
	// TTLAttribute is the name of the attribute for Time to Live, which has a time in seconds
	// since 1970, rounded up; [DefaultTTLAttribute] if empty.
	TTLAttribute string
}

// A Driver is a shared tier in a table of DynamoDB. It has the capabilities [drivers.Adder],
// [drivers.Swapper], [drivers.Leaser] and [drivers.Checker].
type Driver struct {
	client   *awsdynamodb.Client
	table    string
	key, ttl string // attribute names
	now      func() time.Time
	closed   atomic.Bool
	err      error
}

var (
	_ drivers.L2      = (*Driver)(nil)
	_ drivers.Adder   = (*Driver)(nil)
	_ drivers.Swapper = (*Driver)(nil)
	_ drivers.Leaser  = (*Driver)(nil)
	_ drivers.Checker = (*Driver)(nil)
)

var tableName = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)

// New returns a shared tier on client. New does not connect.
//
// If client is nil, or an option is wrong, the driver cannot be used: every operation fails,
// [Driver.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it as
// their error.
func New(client *awsdynamodb.Client, options Options) *Driver {
	d := &Driver{
		client: client,
		table:  cmp.Or(options.Table, DefaultTable),
		key:    cmp.Or(options.KeyAttribute, DefaultKeyAttribute),
		ttl:    cmp.Or(options.TTLAttribute, DefaultTTLAttribute),
		now:    time.Now,
	}
	d.err = d.check()
	d.closed.Store(d.err != nil)
	return d
}

func (d *Driver) check() error {
	if d.client == nil {
		return errors.New("dynamodb: the client is nil")
	}
	if !tableName.MatchString(d.table) {
		return fmt.Errorf("dynamodb: table %q: want 3 to 255 letters, digits, underscores, hyphens or dots", d.table)
	}
	taken := map[string]bool{
		valueAttribute: true, expiresAttribute: true,
		leaseAttribute: true, leaseUntilAttribute: true, leaseSinceAttribute: true, leaseAwaitedAttribute: true,
	}
	for _, name := range []string{d.key, d.ttl} {
		if len(name) > 255 {
			return fmt.Errorf("dynamodb: attribute %q: the name has more than 255 bytes", name)
		}
		if taken[name] {
			return fmt.Errorf("dynamodb: attribute %q: the driver uses the name for another attribute", name)
		}
		taken[name] = true
	}
	return nil
}

// Err returns why the driver cannot be used, or nil. See [drivers.Checker].
func (d *Driver) Err() error {
	if d.err == nil && d.client == nil {
		return errors.New("dynamodb: zero Driver: make it with dynamodb.New")
	}
	return d.err
}

// Close makes later calls fail with [drivers.ErrClosed]. Calls that are running go on. See
// [drivers.L2].
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

// failed returns err with the operation, the number of keys and the table, and explains an
// absent table.
func (d *Driver) failed(ctx context.Context, operation string, keys int, err error) error {
	if err == nil {
		return nil
	}
	noun := "keys"
	if keys == 1 {
		noun = "key"
	}
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		err = fmt.Errorf("there is no such table, or it is not ready yet; CreateTable creates it: %w", err)
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w (%w)", ended, err)
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() >= 400 && response.HTTPStatusCode() < 500 || errors.Is(err, errThrottled) {
		err = drivers.Answered(err) // the service is there: a table has its limits for reads and for writes
	}
	return fmt.Errorf("dynamodb: %s %d %s in table %q: %w", operation, keys, noun, d.table, err)
}
