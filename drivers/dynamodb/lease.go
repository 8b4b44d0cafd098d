package dynamodb

import (
	"context"
	"fmt"
	"math"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cachegen/cachegen/drivers"
)

// A lease is some attributes of the item, so that every write, which replaces the item, ends
// the lease.

// bareTime is how long an item that has only a lease is kept after the end of that lease, so
// that a renewal need not know whether there is a value.
const bareTime = time.Hour

// LeaseMany asks for leases of keys, and returns what it found. See [drivers.Leaser].
func (d *Driver) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	leases := make([]drivers.Lease, len(keys))
	err := d.begin(ctx)
	if err == nil {
		err = checkToken(want.Token)
	}
	if err == nil {
		err = checkLease(want.TTL)
	}
	if err == nil {
		err = eachKey(ctx, len(keys), func(i int) string { return keys[i] }, func(ctx context.Context, i int) (err error) {
			leases[i], err = d.lease(ctx, keys[i], want)
			return err
		})
	}
	if err != nil {
		return nil, d.failed(ctx, "lease", len(keys), err)
	}
	return leases, nil
}

func checkToken(token string) error {
	if token == "" || len(token) > maxToken {
		return fmt.Errorf("%w: the token of a lease has %d bytes, must have 1 to %d", drivers.ErrRefused, len(token), maxToken)
	}
	return nil
}

func checkLease(ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("%w: the ttl of a lease is %s, must be positive", drivers.ErrRefused, ttl)
	}
	return nil
}

// maxTries is how often the lease of a key is asked for that is changed each time. More than a few
// times in a row can have no other reason than a server that does not do what it should.
const maxTries = 100

// lease tries until it has taken the lease or found why it cannot: the reason can be gone by
// the time of a read, or before it is noted that the lease is awaited.
func (d *Driver) lease(ctx context.Context, key string, want drivers.LeaseRequest) (drivers.Lease, error) {
	for range maxTries {
		now := d.now()
		taken, item, err := d.take(ctx, key, want, now)
		if err != nil || taken {
			return drivers.Lease{Taken: taken, Value: value(item, now.UnixMilli())}, err
		}
		if item, err = d.told(ctx, key, item); err != nil {
			return drivers.Lease{}, err
		}
		found := drivers.Lease{Value: value(item, now.UnixMilli())}
		if want.IfAbsent && found.Value != nil {
			return found, nil
		}
		if found.Holder, found.Left = holder(item, now.UnixMilli()); found.Holder == "" || want.Replace {
			continue
		}
		if noted := awaited(item) || !want.Await; noted {
			return found, nil
		}
		if noted, err := d.note(ctx, key, found.Holder); noted || err != nil {
			return found, err
		}
	}
	return drivers.Lease{}, fmt.Errorf("the lease of key %s was changed in the midst of each of %d requests", brief(key), maxTries)
}

// take takes the lease of a key if the request allows it. It returns the item from before, if the
// key can have had a value; or, if the lease was not taken, the item that stands in the way, if
// the server tells it.
func (d *Driver) take(ctx context.Context, key string, want drivers.LeaseRequest, now time.Time) (taken bool, item attributes, err error) {
	var free condition
	if !want.Replace {
		free = isFree(now.UnixMilli())
	}
	// An item with a value ends when the value does, one that has only a lease some time later.
	ttl, before := "if_not_exists(#ttl, :ttl)", types.ReturnValueAllOld
	if want.IfAbsent {
		free = free.and(isAbsent(now.UnixMilli()))
		ttl, before = ":ttl", types.ReturnValueNone
	}
	set := d.term(now, want.TTL)
	set.expression += ", #lease = :token, #ttl = " + ttl
	set.names["#lease"], set.names["#ttl"] = leaseAttribute, d.ttl
	set.values[":token"], set.values[":ttl"] = binary([]byte(want.Token)), number(seconds(now.Add(want.TTL).Add(bareTime)))
	return d.update(ctx, key, set, free, before, once)
}

// term is the change of an item whose lease begins now. The lease counts as long as the clock of
// who looks at it is between since and until. If it is before since, the clock of the holder is
// ahead of it by more than the TTL, and until tells nothing.
func (d *Driver) term(now time.Time, ttl time.Duration) condition {
	return condition{
		"SET #until = :until, #since = :since",
		map[string]string{"#until": leaseUntilAttribute, "#since": leaseSinceAttribute},
		attributes{":until": number(milliseconds(now.Add(ttl))), ":since": number(now.Add(-ttl).UnixMilli())},
	}
}

// isFree is the condition that nobody has the lease of a key at now, in Unix milliseconds. What
// has attributes of other types is not of this driver.
func isFree(now int64) condition {
	return condition{
		"NOT attribute_type(#lease, :binary) OR NOT attribute_type(#until, :number) OR #until <= :now OR #since > :now",
		map[string]string{"#lease": leaseAttribute, "#until": leaseUntilAttribute, "#since": leaseSinceAttribute},
		attributes{
			":now": number(now), ":number": &types.AttributeValueMemberS{Value: "N"}, ":binary": &types.AttributeValueMemberS{Value: "B"},
		},
	}
}

// holder returns who has the lease of an item at now, and for how long: the contrary of isFree.
func holder(a attributes, now int64) (token string, left time.Duration) {
	lease, ok := a[leaseAttribute].(*types.AttributeValueMemberB)
	until, hasEnd := numberOf(a, leaseUntilAttribute)
	since, hasBegin := numberOf(a, leaseSinceAttribute)
	if !ok || !hasEnd || until <= float64(now) || hasBegin && since > float64(now) {
		return "", 0
	}
	ms := min(until-float64(now), float64(math.MaxInt64/int64(time.Millisecond)-1))
	return string(lease.Value), time.Duration(ms) * time.Millisecond
}

// awaited reports whether somebody waits for the end of the item's lease.
func awaited(a attributes) bool {
	noted, ok := a[leaseAwaitedAttribute].(*types.AttributeValueMemberBOOL)
	return ok && noted.Value
}

// note notes that somebody waits for the end of the lease that token has. It returns false if
// token does not have it any more.
func (d *Driver) note(ctx context.Context, key, token string) (bool, error) {
	noted, _, err := d.update(ctx, key, condition{
		"SET #awaited = :true",
		map[string]string{"#awaited": leaseAwaitedAttribute},
		attributes{":true": &types.AttributeValueMemberBOOL{Value: true}},
	}, isOf(token), types.ReturnValueNone)
	return noted, err
}

// isOf is the condition that a key has a lease of token, which may have ended by its TTL.
func isOf(token string) condition {
	return condition{"#lease = :token", map[string]string{"#lease": leaseAttribute}, attributes{":token": binary([]byte(token))}}
}

// isHeldBy is the condition that token has the lease of a key at now, in Unix milliseconds.
func isHeldBy(token string, now int64) condition {
	return isOf(token).and(condition{"#until > :now", map[string]string{"#until": leaseUntilAttribute}, attributes{":now": number(now)}})
}

// update changes the item of key if c holds, and returns whether it did, with what report says
// of the item from before. If it did not, item is the one that is stored, if the server tells
// it. It creates an absent item.
func (d *Driver) update(ctx context.Context, key string, change, c condition, report types.ReturnValue, options ...func(*awsdynamodb.Options)) (done bool, item attributes, err error) {
	input := &awsdynamodb.UpdateItemInput{
		TableName: &d.table, Key: d.keyOf(key), UpdateExpression: &change.expression,
		ReturnValues: report, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if c.expression != "" {
		input.ConditionExpression = &c.expression
	}
	both := change.and(c)
	input.ExpressionAttributeNames = both.names
	if input.ExpressionAttributeValues = both.values; len(both.values) == 0 {
		input.ExpressionAttributeValues = nil
	}
	out, err := d.client.UpdateItem(ctx, input, options...)
	if failed, ok := conditionFailed(err); ok {
		return false, failed.Item, nil
	}
	if err != nil {
		return false, nil, err
	}
	return true, out.Attributes, nil
}

// FillMany stores the items whose leases token has, ends these leases, and returns what it did
// with each. See [drivers.Leaser].
func (d *Driver) FillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	fills, err := d.fillMany(ctx, items, token)
	if err != nil {
		return nil, d.failed(ctx, "fill", len(items), err)
	}
	return fills, nil
}

func (d *Driver) fillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	if err := checkToken(token); err != nil {
		return nil, err
	}
	for _, item := range items {
		if _, err := d.item(item); err != nil {
			return nil, err
		}
	}
	fills := make([]drivers.Fill, len(items))
	err := eachKey(ctx, len(items), func(i int) string { return items[i].Key }, func(ctx context.Context, i int) error {
		item, err := d.item(items[i])
		if err != nil {
			return err
		}
		done, before, err := d.put(ctx, item, isHeldBy(token, d.now().UnixMilli()), reportBefore)
		fills[i] = drivers.Fill{Stored: done, Awaited: done && awaited(before)}
		return err
	})
	return fills, err
}

// RenewMany lets the leases that token has end after ttl from now. See [drivers.Leaser].
func (d *Driver) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	err := checkLease(ttl)
	return d.ofToken(ctx, "renew", keys, token, err, func(ctx context.Context, key string) (bool, error) {
		now := d.now()
		renewed, _, err := d.update(ctx, key, d.term(now, ttl), isHeldBy(token, now.UnixMilli()), types.ReturnValueNone)
		return renewed, err
	})
}

// ReleaseMany ends the leases of keys that token has, and returns which of those somebody
// awaits. See [drivers.Leaser].
func (d *Driver) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	return d.ofToken(ctx, "release", keys, token, nil, func(ctx context.Context, key string) (bool, error) {
		released, before, err := d.update(ctx, key, condition{
			"REMOVE #lease, #until, #since, #awaited",
			map[string]string{
				"#lease": leaseAttribute, "#until": leaseUntilAttribute, "#since": leaseSinceAttribute, "#awaited": leaseAwaitedAttribute,
			}, nil,
		}, isOf(token), types.ReturnValueUpdatedOld)
		if !released {
			return false, err
		}
		held, _ := holder(before, d.now().UnixMilli())
		return held != "" && awaited(before), nil
	})
}

// ofToken calls f for each of keys, if token can be one and err is nil.
func (d *Driver) ofToken(ctx context.Context, operation string, keys []string, token string, err error, f func(context.Context, string) (bool, error)) ([]bool, error) {
	results := make([]bool, len(keys))
	if err == nil {
		err = checkToken(token)
	}
	if err == nil {
		err = d.begin(ctx)
	}
	if err == nil {
		err = eachKey(ctx, len(keys), func(i int) string { return keys[i] }, func(ctx context.Context, i int) (err error) {
			results[i], err = f(ctx, keys[i])
			return err
		})
	}
	if err != nil {
		return nil, d.failed(ctx, operation, len(keys), err)
	}
	return results, nil
}
