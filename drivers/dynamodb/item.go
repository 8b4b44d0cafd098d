package dynamodb

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cachegen/cachegen/drivers"
)

// What is stored for a key. An item with expires has a value, and an empty one if
// the attribute value is not there; one without is nothing but a lease.
const (
	valueAttribute      = "value"
	expiresAttribute    = "expires"     // Unix milliseconds
	leaseAttribute      = "lease"       // the token
	leaseUntilAttribute = "lease_until" // Unix milliseconds
)

// A key begins with how it is stored.
const (
	plainKey  = 0x00 // the key itself follows
	hashedKey = 0x01 // its SHA-256 follows

	maxPlainKey = 2048 - 1
	maxToken    = 256
)

// forEver is the last second that DynamoDB's Time to Live takes for a time. There
// always is a ttl, so that a lease can give one to an item that is nothing else.
var forEver = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

type attributes = map[string]types.AttributeValue

func binary(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// stored is the key as the table knows it.
func stored(key string) []byte {
	if len(key) > maxPlainKey {
		sum := sha256.Sum256([]byte(key))
		return append([]byte{hashedKey}, sum[:]...)
	}
	return append([]byte{plainKey}, key...)
}

func (d *Driver) keyOf(key string) attributes { return attributes{d.key: binary(stored(key))} }

// item is what a write puts in the place of everything that was there, lease included.
func (d *Driver) item(it drivers.Item) (attributes, error) {
	if it.TTL < 0 {
		return nil, fmt.Errorf("%w: negative ttl %s", drivers.ErrRefused, it.TTL)
	}
	if len(it.Value) > MaxValue {
		return nil, fmt.Errorf("%w: the value of key %s has %d bytes, and DynamoDB's limit of 400 KB leaves room for %d",
			drivers.ErrRefused, brief(it.Key), len(it.Value), MaxValue)
	}
	until := forEver
	if it.TTL > 0 {
		if end := time.Now().Add(it.TTL); end.Before(forEver) {
			until = end
		}
	}
	a := d.keyOf(it.Key)
	if len(it.Value) > 0 {
		a[valueAttribute] = binary(it.Value)
	}
	a[expiresAttribute] = number(milliseconds(until))
	a[d.ttl] = number(seconds(until))
	return a, nil
}

// value returns what an item holds, or nil if it is absent to a reader.
func (d *Driver) value(a attributes) ([]byte, error) {
	expires, ok := a[expiresAttribute]
	if !ok {
		return nil, nil
	}
	n, ok := expires.(*types.AttributeValueMemberN)
	if !ok {
		return nil, fmt.Errorf("attribute %s is a %T, not a number", expiresAttribute, expires)
	}
	until, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("attribute %s: %w", expiresAttribute, err)
	}
	if until <= time.Now().UnixMilli() {
		return nil, nil
	}
	switch v := a[valueAttribute].(type) {
	case nil:
		return []byte{}, nil
	case *types.AttributeValueMemberB:
		return v.Value, nil
	default:
		return nil, fmt.Errorf("attribute %s is a %T, not binary", valueAttribute, v)
	}
}

// Both round up: nothing ends before its TTL.

func milliseconds(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }
func seconds(t time.Time) int64      { return t.Add(time.Second - 1).Unix() }

func brief(key string) string {
	if len(key) > 64 {
		return fmt.Sprintf("%q…", key[:64])
	}
	return strconv.Quote(key)
}
