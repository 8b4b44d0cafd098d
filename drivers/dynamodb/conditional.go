package dynamodb

import (
	"context"
	"errors"
	"maps"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/cachegen/cachegen/drivers"
)

// A condition is checked by DynamoDB in the same step as a write.
type condition struct {
	expression string
	names      map[string]string
	values     attributes
}

// and returns the condition that both hold. A condition without an expression always does.
func (c condition) and(other condition) condition {
	if c.expression == "" {
		return other
	}
	both := condition{"(" + c.expression + ") AND (" + other.expression + ")", make(map[string]string), make(attributes)}
	for _, part := range []condition{c, other} {
		maps.Copy(both.names, part.names)
		maps.Copy(both.values, part.values)
	}
	return both
}

// isAbsent is the condition that a key has no value, or one that has expired at now, in Unix
// milliseconds. What has attributes of other types is not of this driver, and can be replaced.
func isAbsent(now int64) condition {
	return condition{
		"NOT attribute_type(#expires, :number) OR #expires <= :now OR (attribute_exists(#value) AND NOT attribute_type(#value, :binary))",
		map[string]string{"#expires": expiresAttribute, "#value": valueAttribute},
		attributes{
			":now": number(now), ":number": &types.AttributeValueMemberS{Value: "N"},
			":binary": &types.AttributeValueMemberS{Value: "B"},
		},
	}
}

// isPresent is the condition that a key has value at now, in Unix milliseconds.
func isPresent(value []byte, now int64) condition {
	c := condition{
		"#expires > :now AND attribute_not_exists(#value)",
		map[string]string{"#expires": expiresAttribute, "#value": valueAttribute},
		attributes{":now": number(now)},
	}
	if len(value) > 0 {
		c.expression = "#expires > :now AND #value = :old"
		c.values[":old"] = binary(value)
	}
	return c
}

// What put returns besides whether it has stored the item.
type report struct {
	done   types.ReturnValue
	failed types.ReturnValuesOnConditionCheckFailure
}

var (
	reportNothing = report{types.ReturnValueNone, types.ReturnValuesOnConditionCheckFailureNone}
	reportInstead = report{types.ReturnValueNone, types.ReturnValuesOnConditionCheckFailureAllOld} // what it has not replaced
	reportBefore  = report{types.ReturnValueAllOld, types.ReturnValuesOnConditionCheckFailureNone} // what it has replaced
)

// put stores item if c holds. It returns whether it did, and another item if the report asks
// for it, and the server tells it.
func (d *Driver) put(ctx context.Context, item attributes, c condition, r report) (done bool, other attributes, err error) {
	out, err := d.client.PutItem(ctx, &awsdynamodb.PutItemInput{
		TableName: &d.table, Item: item,
		ConditionExpression: &c.expression, ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values,
		ReturnValues: r.done, ReturnValuesOnConditionCheckFailure: r.failed,
	}, once)
	if failed, ok := conditionFailed(err); ok {
		return false, failed.Item, nil
	}
	if err != nil {
		return false, nil, err
	}
	return true, out.Attributes, nil
}

// told returns the item that is stored in place of what a condition was to be true of. DynamoDB
// has told it with the failure; old servers have to be asked.
func (d *Driver) told(ctx context.Context, key string, instead attributes) (attributes, error) {
	if instead != nil {
		return instead, nil
	}
	out, err := d.client.GetItem(ctx, &awsdynamodb.GetItemInput{TableName: &d.table, Key: d.keyOf(key), ConsistentRead: new(true)})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

func conditionFailed(err error) (*types.ConditionalCheckFailedException, bool) {
	var failed *types.ConditionalCheckFailedException
	ok := errors.As(err, &failed)
	return failed, ok
}

// AddMany stores the items whose keys are absent, and returns the value that each key has
// then. See [drivers.Adder].
func (d *Driver) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	values, err := d.addMany(ctx, items)
	if err != nil {
		return nil, d.failed(ctx, "add", len(items), err)
	}
	return values, nil
}

func (d *Driver) addMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	for _, item := range items {
		if _, err := d.item(item); err != nil {
			return nil, err
		}
	}
	values := make([][]byte, len(items))
	err := eachKey(ctx, len(items), func(i int) string { return items[i].Key }, func(ctx context.Context, i int) (err error) {
		values[i], err = d.add(ctx, items[i])
		return err
	})
	return values, err
}

// add tries until it has stored the item or read another value of its key: the other value
// can be gone by the time of the read.
func (d *Driver) add(ctx context.Context, it drivers.Item) ([]byte, error) {
	for {
		item, err := d.item(it)
		if err != nil {
			return nil, err
		}
		now := d.now().UnixMilli()
		done, instead, err := d.put(ctx, item, isAbsent(now), reportInstead)
		if err == nil && !done {
			instead, err = d.told(ctx, it.Key, instead)
		}
		if err != nil {
			return nil, err
		}
		if done {
			return append([]byte{}, it.Value...), nil
		}
		if value := value(instead, now); value != nil {
			return value, nil
		}
	}
}

// SwapMany replaces each value that is still the one that the swap names, and returns which
// swaps were performed. Swaps of the same key are performed in their order. See
// [drivers.Swapper].
func (d *Driver) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	done, err := d.swapMany(ctx, swaps)
	if err != nil {
		return nil, d.failed(ctx, "swap", len(swaps), err)
	}
	return done, nil
}

func (d *Driver) swapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	for _, swap := range swaps {
		if _, err := d.item(drivers.Item{Key: swap.Key, Value: swap.New, TTL: swap.TTL}); err != nil {
			return nil, err
		}
	}
	done := make([]bool, len(swaps))
	err := eachKey(ctx, len(swaps), func(i int) string { return swaps[i].Key }, func(ctx context.Context, i int) (err error) {
		done[i], err = d.swap(ctx, swaps[i])
		return err
	})
	return done, err
}

func (d *Driver) swap(ctx context.Context, swap drivers.Swap) (bool, error) {
	now := d.now().UnixMilli()
	c := isAbsent(now)
	if swap.Old != nil {
		if len(swap.Old) > MaxValue {
			return false, nil // no stored value is that large
		}
		c = isPresent(swap.Old, now)
	}
	if swap.Unleased {
		c = c.and(isFree(now))
	}
	if swap.New == nil {
		_, err := d.client.DeleteItem(ctx, &awsdynamodb.DeleteItemInput{
			TableName: &d.table, Key: d.keyOf(swap.Key),
			ConditionExpression: &c.expression, ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values,
		}, once)
		if _, ok := conditionFailed(err); ok {
			return false, nil
		}
		return err == nil, err
	}
	item, err := d.item(drivers.Item{Key: swap.Key, Value: swap.New, TTL: swap.TTL})
	if err != nil {
		return false, err
	}
	done, _, err := d.put(ctx, item, c, reportNothing)
	return done, err
}

// eachKey calls f for 0 to n-1: for different keys several calls at once, for the same key
// one after the other.
func eachKey(ctx context.Context, n int, key func(int) string, f func(context.Context, int) error) error {
	if n == 1 {
		return f(ctx, 0)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(Concurrency)
	same := make(map[string][]int, n)
	for i := range n {
		same[key(i)] = append(same[key(i)], i)
	}
	for i := range n {
		indexes := same[key(i)]
		if indexes[0] != i {
			continue
		}
		group.Go(func() error {
			for _, i := range indexes {
				if err := f(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
