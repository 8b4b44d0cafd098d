// Package dynamodb is a shared tier in a table of Amazon DynamoDB, on a client of
// github.com/aws/aws-sdk-go-v2.
//
//	client := dynamodb.NewFromConfig(config) // the SDK's
//	l2 := cachedynamodb.New(client, cachedynamodb.Options{Table: "cache"})
//	if err := l2.CreateTable(ctx); err != nil { … } // or make it with the rest of the infrastructure
//	store, err := runtime.NewStore("main", runtime.L2(l2))
//
// The table has one key, a binary partition key named key, and Time to Live on the
// attribute ttl; both names are options. Billing, encryption and replication are
// the table's owner's choice. The driver needs the permissions BatchGetItem,
// BatchWriteItem, GetItem, PutItem, UpdateItem and DeleteItem.
//
// A batch costs one request for each 100 keys that are read and each 25 that are
// written; what is conditional, such as a lease, costs one for each key. Up to
// [Concurrency] of a call's requests are under way at once. What DynamoDB leaves
// unprocessed is asked for again, with growing pauses, until the context ends or
// a dozen attempts in a row have achieved nothing.
//
// # Limits
//
// A value holds [MaxValue], which is DynamoDB's 400 KB less what is stored with it;
// a larger one is refused with [drivers.ErrRefused]. Keys are arbitrary. DynamoDB
// knows none that are empty or have more than 2048 bytes: every key is stored with a
// zero byte in front, and one of more than 2047 bytes as its SHA-256.
//
// Reads are strongly consistent, which costs twice as much as what DynamoDB does by
// default. In a global table they are so only within a region.
//
// A TTL is rounded up to a millisecond, and it is the clock of whoever reads that
// decides: clocks that differ by a second make a TTL differ by a second. DynamoDB
// removes what is past its TTL some time later, unless Time to Live is off; nobody
// sees it until then. It may take the lease of such a key with it, which costs
// another load.
//
// There is no DeletePrefix, Scan or Prune: DynamoDB can carry them out only by
// reading the whole table, at the price of that. The runtime needs none of them: its
// Clear and DeleteByTag store a stamp that makes what is older count for nothing.
package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cachegen/cachegen/drivers"
)

// What an option that is empty means.
const (
	DefaultTable        = "cachegen"
	DefaultKeyAttribute = "key"
	DefaultTTLAttribute = "ttl"
)

const (
	// MaxValue is how many bytes a value holds.
	MaxValue = 397 << 10

	// Concurrency is how many requests one call has under way at most. The SDK's
	// HTTP client keeps as many idle connections.
	Concurrency = 10
)

// Options of a [Driver]. The zero value is right for a table of [Driver.CreateTable].
type Options struct {
	// Table is the table's name; [DefaultTable] if empty.
	Table string
	// KeyAttribute is the name of the partition key, which is binary;
	// [DefaultKeyAttribute] if empty.
	KeyAttribute string
	// TTLAttribute is the attribute that Time to Live is enabled on, in seconds
	// rounded up; [DefaultTTLAttribute] if empty.
	TTLAttribute string
}

// Driver implements [drivers.L2], [drivers.Adder], [drivers.Swapper] and
// [drivers.Leaser].
type Driver struct {
	client   *sdk.Client
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

// New returns a shared tier on client. It does not connect.
func New(client *sdk.Client, options Options) *Driver {
	d := &Driver{
		client: client,
		table:  orDefault(options.Table, DefaultTable),
		key:    orDefault(options.KeyAttribute, DefaultKeyAttribute),
		ttl:    orDefault(options.TTLAttribute, DefaultTTLAttribute),
	}
	d.err = d.check()
	d.closed.Store(d.err != nil)
	return d
}

func orDefault(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}

func (d *Driver) check() error {
	if d.client == nil {
		return errors.New("dynamodb: the client is nil")
	}
	if !tableName.MatchString(d.table) {
		return fmt.Errorf("dynamodb: table %q: want 3 to 255 letters, digits, underscores, hyphens and dots", d.table)
	}
	taken := map[string]bool{valueAttribute: true, expiresAttribute: true, leaseAttribute: true, leaseUntilAttribute: true}
	for _, name := range []string{d.key, d.ttl} {
		if len(name) > 255 {
			return fmt.Errorf("dynamodb: attribute %q: more than 255 bytes", name)
		}
		if taken[name] {
			return fmt.Errorf("dynamodb: attribute %q: the name is used for something else", name)
		}
		taken[name] = true
	}
	return nil
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

// failed says what was being done to how many keys, and what the SDK's words mean.
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
		err = fmt.Errorf("there is no such table, or it is not ready yet (CreateTable makes it): %w", err)
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w (%w)", ended, err)
	}
	return fmt.Errorf("dynamodb: %s %d %s in table %q: %w", operation, keys, noun, d.table, err)
}
