package dynamodb

import (
	"bytes"
	"context"
	"fmt"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/cachegen/cachegen/drivers"
)

// The largest number of keys in one request to DynamoDB.
const (
	maxRead  = 100
	maxWrite = 25
)

// GetMany returns the values of keys in their order, nil where a key is absent. See
// [drivers.L2].
func (d *Driver) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	values, err := d.getMany(ctx, keys)
	if err != nil {
		return nil, d.failed(ctx, "get", len(keys), err)
	}
	return values, nil
}

func (d *Driver) getMany(ctx context.Context, keys []string) ([][]byte, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	// DynamoDB refuses a request that names a key twice.
	positions := make(map[string][]int, len(keys))
	unique := make([]attributes, 0, len(keys))
	for i, key := range keys {
		k := stored(key)
		if positions[string(k)] == nil {
			unique = append(unique, attributes{d.key: binary(k)})
		}
		positions[string(k)] = append(positions[string(k)], i)
	}
	values := make([][]byte, len(keys))
	err := inChunks(ctx, unique, maxRead, func(ctx context.Context, pending []attributes) error {
		return d.read(ctx, pending, func(item attributes) error {
			k, ok := item[d.key].(*types.AttributeValueMemberB)
			if !ok {
				return fmt.Errorf("attribute %s is a %T, not binary", d.key, item[d.key])
			}
			value := value(item, d.now().UnixMilli())
			if value == nil {
				return nil
			}
			for n, i := range positions[string(k.Value)] {
				if n > 0 {
					value = bytes.Clone(value) // the caller owns each value
				}
				values[i] = value
			}
			return nil
		})
	})
	return values, err
}

// read calls f with each item of the keys pending, in the order of the responses.
func (d *Driver) read(ctx context.Context, pending []attributes, f func(attributes) error) error {
	return untilProcessed(ctx, len(pending), func() (int, error) {
		out, err := d.client.BatchGetItem(ctx, &awsdynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{d.table: d.wanted(pending)},
		})
		if err != nil {
			return 0, err
		}
		for _, item := range out.Responses[d.table] {
			if err := f(item); err != nil {
				return 0, err
			}
		}
		pending = out.UnprocessedKeys[d.table].Keys
		return len(pending), nil
	})
}

// wanted returns the request for keys, without the attributes of their leases.
func (d *Driver) wanted(keys []attributes) types.KeysAndAttributes {
	projection := "#key, #value, #expires"
	return types.KeysAndAttributes{
		Keys:                     keys,
		ConsistentRead:           new(true),
		ProjectionExpression:     &projection,
		ExpressionAttributeNames: map[string]string{"#key": d.key, "#value": valueAttribute, "#expires": expiresAttribute},
	}
}

// SetMany stores items, in place of what their keys had. Of items with the same key, the last
// one is stored. See [drivers.L2].
func (d *Driver) SetMany(ctx context.Context, items []drivers.Item) error {
	return d.failed(ctx, "set", len(items), d.setMany(ctx, items))
}

func (d *Driver) setMany(ctx context.Context, items []drivers.Item) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	requests := make([]types.WriteRequest, 0, len(items))
	position := make(map[string]int, len(items))
	for _, item := range items {
		a, err := d.item(item)
		if err != nil {
			return err
		}
		request := types.WriteRequest{PutRequest: &types.PutRequest{Item: a}}
		if i, again := position[item.Key]; again {
			requests[i] = request
			continue
		}
		position[item.Key] = len(requests)
		requests = append(requests, request)
	}
	return d.write(ctx, requests, once)
}

// DeleteMany removes keys. See [drivers.L2].
func (d *Driver) DeleteMany(ctx context.Context, keys []string) error {
	return d.failed(ctx, "delete", len(keys), d.deleteMany(ctx, keys))
}

func (d *Driver) deleteMany(ctx context.Context, keys []string) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	requests := make([]types.WriteRequest, 0, len(keys))
	seen := make(map[string]bool, len(keys))
	for _, key := range keys {
		if !seen[key] {
			seen[key] = true
			requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: d.keyOf(key)}})
		}
	}
	return d.write(ctx, requests)
}

// write sends requests, no two of which name the same key.
func (d *Driver) write(ctx context.Context, requests []types.WriteRequest, options ...func(*awsdynamodb.Options)) error {
	return inChunks(ctx, requests, maxWrite, func(ctx context.Context, pending []types.WriteRequest) error {
		return untilProcessed(ctx, len(pending), func() (int, error) {
			out, err := d.client.BatchWriteItem(ctx, &awsdynamodb.BatchWriteItemInput{
				RequestItems: map[string][]types.WriteRequest{d.table: pending},
			}, options...)
			if err != nil {
				return 0, err
			}
			pending = out.UnprocessedItems[d.table]
			return len(pending), nil
		})
	})
}

// inChunks divides all into chunks of at most size and calls f for each chunk, for several
// chunks at once.
func inChunks[T any](ctx context.Context, all []T, size int, f func(context.Context, []T) error) error {
	if len(all) == 0 {
		return nil
	}
	if len(all) <= size {
		return f(ctx, all)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(Concurrency)
	for len(all) > 0 {
		n := min(len(all), size)
		chunk := all[:n:n]
		group.Go(func() error { return f(ctx, chunk) })
		all = all[n:]
	}
	return group.Wait()
}
