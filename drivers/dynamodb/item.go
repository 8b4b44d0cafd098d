package dynamodb

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cachegen/cachegen/drivers"
)

// The attributes of a stored item. An item with expires has a value, which is empty if the
// attribute value is absent; an item without expires has a lease only.
const (
	valueAttribute        = "value"
	expiresAttribute      = "expires"       // Unix milliseconds
	leaseAttribute        = "lease"         // the token
	leaseUntilAttribute   = "lease_until"   // Unix milliseconds
	leaseSinceAttribute   = "lease_since"   // Unix milliseconds; see isFree
	leaseAwaitedAttribute = "lease_awaited" // true if somebody waits for the end of the lease
)

// The first byte of a stored key.
const (
	plainKey  = 0x00 // followed by the key
	hashedKey = 0x01 // followed by the SHA-256 of the key

	maxPlainKey = 2048 - 1
	maxToken    = 256
)

// forever is the last second that Time to Live accepts. Every item with a value has the
// attribute for Time to Live, so a lease sets it only in an item that has no value.
var forever = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

type attributes = map[string]types.AttributeValue

func binary(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// stored returns key as it is stored in the table.
func stored(key string) []byte {
	if len(key) > maxPlainKey {
		sum := sha256.Sum256([]byte(key))
		return append([]byte{hashedKey}, sum[:]...)
	}
	return append([]byte{plainKey}, key...)
}

func (d *Driver) keyOf(key string) attributes { return attributes{d.key: binary(stored(key))} }

// item returns the stored item of a write, which replaces all attributes of the key, the
// lease included.
func (d *Driver) item(it drivers.Item) (attributes, error) {
	if it.TTL < 0 {
		return nil, fmt.Errorf("%w: the ttl is %s, must not be negative", drivers.ErrRefused, it.TTL)
	}
	if len(it.Value) > MaxValue {
		return nil, fmt.Errorf("%w: the value of key %s has %d bytes, and DynamoDB's limit of 400 KB allows %d",
			drivers.ErrRefused, brief(it.Key), len(it.Value), MaxValue)
	}
	until := forever
	if it.TTL > 0 {
		if end := d.now().Add(it.TTL); end.Before(forever) {
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

// numberOf returns a number of an item. It is exact for the milliseconds of this calendar, and
// takes all numbers.
func numberOf(a attributes, name string) (n float64, ok bool) {
	member, ok := a[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseFloat(member.Value, 64)
	return n, err == nil
}

// value returns the value of an item, or nil if it has none or one that has expired at now, in
// Unix milliseconds. Attributes of other types are none of this driver's: see [isAbsent].
func value(a attributes, now int64) []byte {
	if until, ok := numberOf(a, expiresAttribute); !ok || until <= float64(now) {
		return nil
	}
	switch v := a[valueAttribute].(type) {
	case nil:
		return []byte{}
	case *types.AttributeValueMemberB:
		return v.Value
	}
	return nil
}

// milliseconds and seconds round up, so that no item expires before the end of its TTL.

func milliseconds(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }
func seconds(t time.Time) int64      { return t.Add(time.Second - 1).Unix() }

// brief returns key in quotes, shortened to 64 bytes.
func brief(key string) string {
	if len(key) > 64 {
		return fmt.Sprintf("%q…", key[:64])
	}
	return strconv.Quote(key)
}
