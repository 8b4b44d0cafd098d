package dynamodb

import (
	"context"
	"fmt"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cachegen/cachegen/drivers"
)

// A lease is two attributes of the item, so that every write, which replaces the item, ends
// the lease.

// LeaseMany takes leases of keys for token, and returns which of them it took. A token may
// have 256 bytes. See [drivers.Leaser].
func (d *Driver) LeaseMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	taken := make([]bool, len(keys))
	err := d.begin(ctx)
	if err == nil {
		err = checkToken(token)
	}
	if err == nil && ttl <= 0 {
		err = fmt.Errorf("%w: the ttl of a lease is %s, must be positive", drivers.ErrRefused, ttl)
	}
	if err == nil {
		err = eachKey(ctx, len(keys), func(i int) string { return keys[i] }, func(ctx context.Context, i int) (err error) {
			taken[i], err = d.lease(ctx, keys[i], token, ttl)
			return err
		})
	}
	if err != nil {
		return nil, d.failed(ctx, "lease", len(keys), err)
	}
	return taken, nil
}

func checkToken(token string) error {
	if token == "" || len(token) > maxToken {
		return fmt.Errorf("%w: the token of a lease has %d bytes, must have 1 to %d", drivers.ErrRefused, len(token), maxToken)
	}
	return nil
}

func (d *Driver) lease(ctx context.Context, key, token string, ttl time.Duration) (bool, error) {
	now := time.Now()
	until := now.Add(ttl)
	return d.update(ctx, key,
		// A new item, which has only the lease, is removed after the end of the lease.
		"SET #lease = :token, #until = :until, #ttl = if_not_exists(#ttl, :ttl)",
		condition{
			"NOT attribute_type(#lease, :binary) OR NOT attribute_type(#until, :number) OR #until <= :now",
			map[string]string{"#lease": leaseAttribute, "#until": leaseUntilAttribute, "#ttl": d.ttl},
			attributes{
				":token": binary([]byte(token)), ":now": number(now.UnixMilli()),
				":until": number(milliseconds(until)), ":ttl": number(seconds(until)),
				":binary": &types.AttributeValueMemberS{Value: "B"}, ":number": &types.AttributeValueMemberS{Value: "N"},
			},
		})
}

// update changes the item of key if c holds, and returns whether it did. It creates an
// absent item.
func (d *Driver) update(ctx context.Context, key, expression string, c condition) (bool, error) {
	_, err := d.client.UpdateItem(ctx, &awsdynamodb.UpdateItemInput{
		TableName: &d.table, Key: d.keyOf(key), UpdateExpression: &expression,
		ConditionExpression: &c.expression, ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values,
	}, once)
	if _, ok := conditionFailed(err); ok {
		return false, nil
	}
	return err == nil, err
}

// FillMany stores the items whose leases token has, ends these leases, and returns which items
// it stored. See [drivers.Leaser].
func (d *Driver) FillMany(ctx context.Context, items []drivers.Item, token string) ([]bool, error) {
	filled, err := d.fillMany(ctx, items, token)
	if err != nil {
		return nil, d.failed(ctx, "fill", len(items), err)
	}
	return filled, nil
}

func (d *Driver) fillMany(ctx context.Context, items []drivers.Item, token string) ([]bool, error) {
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
	filled := make([]bool, len(items))
	err := eachKey(ctx, len(items), func(i int) string { return items[i].Key }, func(ctx context.Context, i int) error {
		item, err := d.item(items[i])
		if err != nil {
			return err
		}
		filled[i], _, err = d.put(ctx, item, isHeldBy(token), types.ReturnValuesOnConditionCheckFailureNone)
		return err
	})
	return filled, err
}

// isHeldBy is the condition that token holds the lease of a key.
func isHeldBy(token string) condition {
	return condition{
		"#lease = :token AND #until > :now",
		map[string]string{"#lease": leaseAttribute, "#until": leaseUntilAttribute},
		attributes{":token": binary([]byte(token)), ":now": number(time.Now().UnixMilli())},
	}
}

// ReleaseMany ends the leases of keys that token has. See [drivers.Leaser].
func (d *Driver) ReleaseMany(ctx context.Context, keys []string, token string) error {
	err := d.begin(ctx)
	if err == nil {
		err = checkToken(token)
	}
	if err == nil {
		err = eachKey(ctx, len(keys), func(i int) string { return keys[i] }, func(ctx context.Context, i int) error {
			_, err := d.update(ctx, keys[i], "REMOVE #lease, #until", condition{
				"#lease = :token",
				map[string]string{"#lease": leaseAttribute, "#until": leaseUntilAttribute},
				attributes{":token": binary([]byte(token))},
			})
			return err
		})
	}
	return d.failed(ctx, "release", len(keys), err)
}
