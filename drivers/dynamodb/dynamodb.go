// Package dynamodb is a shared tier in a table of Amazon DynamoDB, on a client of
// github.com/aws/aws-sdk-go-v2.
//
//	client := awsdynamodb.NewFromConfig(config)
//	tier := dynamodb.New(client, dynamodb.Options{Table: "cache"})
//	if err := tier.CreateTable(ctx); err != nil { … } // or create it with the rest of the infrastructure
//	store, err := runtime.NewStore("main", runtime.L2(tier))
//
// Here and in the examples, awsdynamodb is the name under which
// github.com/aws/aws-sdk-go-v2/service/dynamodb is imported, because both packages are called
// dynamodb.
//
// The table has a binary partition key named key, no sort key, and Time to Live on the
// attribute ttl; both names are options. Billing, encryption and replication of the table
// are up to its owner. The driver needs the permissions BatchGetItem, BatchWriteItem,
// GetItem, PutItem, UpdateItem and DeleteItem.
//
// A batch costs one request for each 100 keys that are read and each 25 keys that are
// written; conditional operations (adds, swaps and leases) cost one request for each key. A
// call sends up to [Concurrency] requests at once. Items that DynamoDB leaves unprocessed are
// requested again, with growing pauses, until the context ends or twelve attempts in a row
// have processed nothing. The SDK repeats reads and deletions whose answer is lost. A write that
// DynamoDB may have performed is not repeated, and fails.
//
// # Concurrency
//
// A [Driver] may be used by many goroutines at once. It keeps no data and has no lock;
// DynamoDB changes an item atomically, and a lease is a part of its key's item.
//
// # Limits
//
// A value may have [MaxValue] bytes, which is DynamoDB's limit of 400 KB less what is stored
// with a value; a larger one is refused with [drivers.ErrRefused]. Keys are arbitrary.
// DynamoDB allows no keys that are empty or have more than 2048 bytes: every key is stored
// with a zero byte in front, and a key of more than 2047 bytes as its SHA-256.
//
// Reads are strongly consistent, which costs twice as much as the default of DynamoDB. In a
// global table reads are consistent only within a region.
//
// A TTL is rounded up to a millisecond and ends by the clock of the process that reads:
// clocks that differ by a second make a TTL differ by a second. An expired item is absent
// at once; DynamoDB removes it some time later, if Time to Live is enabled. With the item
// DynamoDB may remove the key's lease, which costs another load.
//
// There is no DeletePrefix, Scan or Prune: DynamoDB could perform them only by reading, and
// charging for, the whole table. The runtime needs none of them: its Clear and DeleteByTag
// write a stamp that makes older entries invalid.
package dynamodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cachegen/cachegen/drivers"
)

// Defaults of [Options].
const (
	DefaultTable        = "cachegen"
	DefaultKeyAttribute = "key"
	DefaultTTLAttribute = "ttl"
)

const (
	// MaxValue is the largest number of bytes of a value.
	MaxValue = 397 << 10

	// Concurrency is the largest number of requests that one call sends at once. The HTTP
	// client of the SDK keeps as many idle connections.
	Concurrency = 10
)

// Options of a [Driver]. The zero value is usable.
type Options struct {
	// Table is the name of the table; [DefaultTable] if empty.
	Table string
	// KeyAttribute is the name of the partition key, which is binary;
	// [DefaultKeyAttribute] if empty.
	KeyAttribute string
	// TTLAttribute is the name of the attribute for Time to Live, in seconds rounded up;
	// [DefaultTTLAttribute] if empty.
	TTLAttribute string
}

// A Driver is a shared tier in a table of DynamoDB, with the capabilities [drivers.Adder],
// [drivers.Swapper], [drivers.Leaser] and [drivers.Checker].
type Driver struct {
	client   *awsdynamodb.Client
	table    string
	key, ttl string // attribute names
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

// New returns a shared tier on client. It does not connect. If client is nil or options are
// unusable, every operation fails: Err returns the reason, and runtime.NewStore refuses the
// tier.
func New(client *awsdynamodb.Client, options Options) *Driver {
	d := &Driver{
		client: client,
		table:  cmp.Or(options.Table, DefaultTable),
		key:    cmp.Or(options.KeyAttribute, DefaultKeyAttribute),
		ttl:    cmp.Or(options.TTLAttribute, DefaultTTLAttribute),
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
	taken := map[string]bool{valueAttribute: true, expiresAttribute: true, leaseAttribute: true, leaseUntilAttribute: true}
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
