package nats

import (
	"context"
	"errors"
	"slices"

	gonats "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/cachegen/cachegen/drivers"
)

// GetMany returns the values of keys in their order, nil where a key is absent. See
// [drivers.L2].
func (d *Driver) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	keys = slices.Clone(keys)
	values := make([][]byte, len(keys))
	err := d.run(ctx, "get", len(keys), func(stream jetstream.Stream) error {
		return each(ctx, len(keys), func(ctx context.Context, i int) error {
			e, err := d.load(ctx, stream, keys[i])
			values[i] = e.live(now())
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// load reads the entry of key.
func (d *Driver) load(ctx context.Context, stream jetstream.Stream, key string) (entry, error) {
	return d.loadName(ctx, stream, name(key))
}

func (d *Driver) loadName(ctx context.Context, stream jetstream.Stream, name string) (entry, error) {
	m, err := stream.GetLastMsgForSubject(ctx, d.subject+name)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return entry{}, nil
	}
	if err != nil {
		return entry{}, err
	}
	return parse(m.Header, m.Data, m.Sequence), nil
}

// SetMany stores items, in place of what their keys had. Of items with the same key, the last
// one is stored. See [drivers.L2].
func (d *Driver) SetMany(ctx context.Context, items []drivers.Item) error {
	keys, entries, err := d.freshAll("set", items)
	if err != nil {
		return err
	}
	return d.run(ctx, "set", len(items), func(jetstream.Stream) error {
		if err := d.fits(keys, entries); err != nil {
			return err
		}
		messages := make([]*gonats.Msg, 0, len(keys))
		position := make(map[string]int, len(keys))
		for i, key := range keys {
			m := d.message(key, entries[i])
			if p, again := position[key]; again {
				messages[p] = m
				continue
			}
			position[key] = len(messages)
			messages = append(messages, m)
		}
		return d.publish(ctx, messages)
	})
}

// freshAll returns the keys and new entries of items, with copies of the values.
func (d *Driver) freshAll(operation string, items []drivers.Item) ([]string, []entry, error) {
	keys, entries := make([]string, len(items)), make([]entry, len(items))
	for i, item := range items {
		e, err := fresh(item)
		if err != nil {
			return nil, nil, d.failed(operation, len(items), err)
		}
		keys[i], entries[i] = item.Key, e
	}
	return keys, entries, nil
}

// DeleteMany removes keys. See [drivers.L2].
func (d *Driver) DeleteMany(ctx context.Context, keys []string) error {
	messages := make([]*gonats.Msg, len(keys))
	for i, key := range keys {
		messages[i] = d.message(key, entry{})
	}
	return d.run(ctx, "delete", len(keys), func(stream jetstream.Stream) error {
		return each(ctx, len(messages), func(ctx context.Context, i int) error {
			_, err := d.send(ctx, messages[i])
			if full(err) {
				return stream.Purge(ctx, jetstream.WithPurgeSubject(messages[i].Subject))
			}
			return err
		})
	})
}

// fullCodes are the error codes of JetStream for a stream, an account or a server that has no
// space left. A purge needs no space, and ends a lease as a message does.
var fullCodes = []jetstream.ErrorCode{10002, 10023, 10028, 10047, 10077}

func full(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && slices.Contains(fullCodes, api.ErrorCode)
}

// send stores a message once. Where the connection is lost, nats.go would keep the message and
// send it when it is connected again: so late, it could bring back what has been deleted.
func (d *Driver) send(ctx context.Context, m *gonats.Msg, options ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if err := connected(d.conn); err != nil {
		return nil, err
	}
	return d.js.PublishMsg(ctx, m, options...)
}

// publish stores messages unconditionally.
func (d *Driver) publish(ctx context.Context, messages []*gonats.Msg) error {
	return each(ctx, len(messages), func(ctx context.Context, i int) error {
		_, err := d.send(ctx, messages[i])
		return err
	})
}

// each calls f for 0 to n-1, several calls at once.
func each(ctx context.Context, n int, f func(context.Context, int) error) error {
	if n == 1 {
		return f(ctx, 0)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(Concurrency)
	for i := range n {
		group.Go(func() error { return f(ctx, i) })
	}
	return group.Wait()
}

// eachKey is each with the calls for the same key one after the other.
func eachKey(ctx context.Context, keys []string, f func(context.Context, int) error) error {
	same := make(map[string][]int, len(keys))
	var order []string
	for i, key := range keys {
		if same[key] == nil {
			order = append(order, key)
		}
		same[key] = append(same[key], i)
	}
	return each(ctx, len(order), func(ctx context.Context, n int) error {
		for _, i := range same[order[n]] {
			if err := f(ctx, i); err != nil {
				return err
			}
		}
		return nil
	})
}
