package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
)

// SetMany implements [drivers.L2]. A batch is one pipeline, not one transaction.
func (d *Driver) SetMany(ctx context.Context, items []drivers.Item) error {
	if err := d.setMany(ctx, items); err != nil {
		return failed("set", len(items), err)
	}
	return nil
}

func (d *Driver) setMany(ctx context.Context, items []drivers.Item) error {
	cmds := make([]goredis.Cmder, len(items))
	for i, item := range items {
		if err := d.check(item.Key); err != nil {
			return err
		}
		args, err := setArguments(item)
		if err != nil {
			return err
		}
		cmds[i] = goredis.NewStatusCmd(ctx, args...)
	}
	return d.write(ctx, cmds)
}

// setArguments is the SET of item. It copies the value: after its context ended,
// a call leaves its command behind, and the caller may use its memory again.
func setArguments(item drivers.Item, more ...any) ([]any, error) {
	args := make([]any, 0, 7)
	args = append(args, "set", item.Key, bytes.Clone(item.Value))
	args = append(args, more...)
	switch {
	case item.TTL < 0:
		return nil, fmt.Errorf("%w: negative ttl %s", drivers.ErrRefused, item.TTL)
	case item.TTL > 0:
		args = append(args, "px", milliseconds(item.TTL))
	}
	return args, nil
}

// milliseconds rounds up, so that no TTL becomes zero.
func milliseconds(ttl time.Duration) int64 {
	ms := ttl.Milliseconds()
	if ttl%time.Millisecond > 0 {
		ms++
	}
	return ms
}

// DeleteMany implements [drivers.L2].
func (d *Driver) DeleteMany(ctx context.Context, keys []string) error {
	if err := d.deleteMany(ctx, keys); err != nil {
		return failed("delete", len(keys), err)
	}
	return nil
}

func (d *Driver) deleteMany(ctx context.Context, keys []string) error {
	// UNLINK frees the memory of large values in the background.
	if !d.noUnlink.Load() {
		err := d.remove(ctx, "unlink", keys)
		if !goredis.HasErrorPrefix(err, "unknown command") {
			return err
		}
		d.noUnlink.Store(true)
	}
	return d.remove(ctx, "del", keys)
}

func (d *Driver) remove(ctx context.Context, command string, keys []string) error {
	perCommand := 1
	if d.oneNode {
		perCommand = chunk
	}
	var cmds []goredis.Cmder
	for len(keys) > 0 {
		if err := d.check(keys[0]); err != nil {
			return err
		}
		n := min(len(keys), perCommand)
		cmds = append(cmds, goredis.NewIntCmd(ctx, arguments(command, keys[:n])...))
		keys = keys[n:]
	}
	return d.write(ctx, cmds)
}

// write executes commands whose replies say only whether they succeeded.
func (d *Driver) write(ctx context.Context, cmds []goredis.Cmder) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	if len(cmds) == 0 {
		return nil
	}
	if err := d.execute(ctx, cmds); err != nil {
		return err
	}
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}

// AddMany implements [drivers.Adder].
func (d *Driver) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	values, err := d.addMany(ctx, items)
	if err != nil {
		return nil, failed("add", len(items), err)
	}
	return values, nil
}

func (d *Driver) addMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	// One command from Redis 7 on; before, NX and GET exclude each other.
	if !d.noSetNXGet.Load() {
		values, err := d.add(ctx, items, setNXGet)
		if !goredis.HasErrorPrefix(err, "syntax error") {
			return values, err
		}
		d.noSetNXGet.Store(true)
	}
	return d.add(ctx, items, evalAdd)
}

func (d *Driver) add(ctx context.Context, items []drivers.Item, arguments func(drivers.Item) ([]any, error)) ([][]byte, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return [][]byte{}, nil
	}
	cmds := make([]goredis.Cmder, len(items))
	for i, item := range items {
		if err := d.check(item.Key); err != nil {
			return nil, err
		}
		args, err := arguments(item)
		if err != nil {
			return nil, err
		}
		cmds[i] = goredis.NewStringCmd(ctx, args...)
	}
	if err := d.execute(ctx, cmds); err != nil {
		return nil, err
	}
	values := make([][]byte, len(items))
	for i, cmd := range cmds {
		before, err := cmd.(*goredis.StringCmd).Result()
		switch {
		case errors.Is(err, goredis.Nil):
			values[i] = append([]byte{}, items[i].Value...)
		case err != nil:
			return nil, err
		default:
			values[i] = []byte(before)
		}
	}
	return values, nil
}

// Both return the value that was there before, or nil where they stored the item's.

func setNXGet(item drivers.Item) ([]any, error) { return setArguments(item, "nx", "get") }

const addScript = `local before = redis.call('get', KEYS[1])
if before then return before end
if ARGV[2] == '0' then redis.call('set', KEYS[1], ARGV[1]) else redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2]) end
return false`

func evalAdd(item drivers.Item) ([]any, error) {
	if item.TTL < 0 {
		return nil, fmt.Errorf("%w: negative ttl %s", drivers.ErrRefused, item.TTL)
	}
	return []any{"eval", addScript, 1, item.Key, bytes.Clone(item.Value), milliseconds(item.TTL)}, nil
}
