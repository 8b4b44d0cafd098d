package redis

import (
	"bytes"
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
)

// SetMany stores items, in place of what their keys had. See [drivers.L2].
func (d *Driver) SetMany(ctx context.Context, items []drivers.Item) error {
	calls, err := d.storeCalls(items)
	switch {
	case err != nil:
	case d.oneNode && len(items) > 1:
		err = d.setTogether(ctx, calls)
	default:
		_, err = d.decide(ctx, setScript, calls)
	}
	if err != nil {
		return failed("set", len(items), err)
	}
	return nil
}

// setTogether stores several items in transactions, which cost the server less than a
// script for each item.
func (d *Driver) setTogether(ctx context.Context, calls []call) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	var cmds []goredis.Cmder
	var execs []*goredis.SliceCmd
	for len(calls) > 0 {
		cmds = append(cmds, goredis.NewStatusCmd(ctx, "multi"))
		leases := []any{"del"}
		for size := 0; len(calls) > 0 && len(leases) <= chunk && size < maxTogether; calls = calls[1:] {
			key, value, ttl := calls[0].key, calls[0].args[0].([]byte), calls[0].args[1].(int64)
			args := []any{"set", key, value}
			if ttl > 0 {
				args = append(args, "px", ttl)
			}
			cmds = append(cmds, goredis.NewStatusCmd(ctx, args...))
			leases = append(leases, leaseKey(key))
			size += len(value)
		}
		exec := goredis.NewSliceCmd(ctx, "exec")
		cmds, execs = append(cmds, goredis.NewStatusCmd(ctx, leases...), once{exec}), append(execs, exec)
	}
	if err := d.execute(ctx, cmds); err != nil {
		return err
	}
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	for _, exec := range execs {
		for _, reply := range exec.Val() {
			if err, ok := reply.(error); ok {
				return err
			}
		}
	}
	return nil
}

// maxTogether is the number of bytes of values after which a transaction is closed: the
// server keeps the values in memory until the end of the transaction.
const maxTogether = 1 << 20

// storeCalls returns the calls of a script that stores items. It copies the values, because
// the client may still send them when the call has returned and the caller uses the memory
// again.
func (d *Driver) storeCalls(items []drivers.Item, more ...any) ([]call, error) {
	calls := make([]call, len(items))
	for i, item := range items {
		if err := d.checkItem(item); err != nil {
			return nil, err
		}
		args := append(make([]any, 0, 5), bytes.Clone(item.Value), milliseconds(item.TTL))
		calls[i] = call{item.Key, append(args, more...)}
	}
	return calls, nil
}

// milliseconds returns ttl in milliseconds, rounded up so that no TTL becomes zero.
func milliseconds(ttl time.Duration) int64 {
	ms := ttl.Milliseconds()
	if ttl%time.Millisecond > 0 {
		ms++
	}
	return ms
}

// AddMany stores the items whose keys are absent, and returns the value that each key has
// then. See [drivers.Adder].
func (d *Driver) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	values, err := d.addMany(ctx, items)
	if err != nil {
		return nil, failed("add", len(items), err)
	}
	return values, nil
}

func (d *Driver) addMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	calls, err := d.storeCalls(items)
	if err != nil {
		return nil, err
	}
	replies, err := d.run(ctx, addScript, calls)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(items))
	for i, reply := range replies {
		before, err := reply.Text()
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

// SwapMany replaces each value that is still the one that the swap names, and returns which
// swaps were performed. See [drivers.Swapper].
func (d *Driver) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	swapped, err := d.swapMany(ctx, swaps)
	if err != nil {
		return nil, failed("swap", len(swaps), err)
	}
	return swapped, nil
}

func (d *Driver) swapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	calls := make([]call, len(swaps))
	for i, s := range swaps {
		if err := d.checkItem(drivers.Item{Key: s.Key, Value: s.New, TTL: s.TTL}); err != nil {
			return nil, err
		}
		calls[i] = call{s.Key, []any{bytes.Clone(s.New), milliseconds(s.TTL), bytes.Clone(s.Old), digits(s.Old != nil, s.New != nil, s.Unleased)}}
	}
	return d.decide(ctx, swapScript, calls)
}

// digits returns 1 for each that is true, and 0 for each other one.
func digits(all ...bool) string {
	b := make([]byte, len(all))
	for i, is := range all {
		if b[i] = '0'; is {
			b[i] = '1'
		}
	}
	return string(b)
}

// DeleteMany removes keys. See [drivers.L2].
func (d *Driver) DeleteMany(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if err := d.check(key); err != nil {
			return failed("delete", len(keys), err)
		}
	}
	if err := d.deleteMany(ctx, keys); err != nil {
		return failed("delete", len(keys), err)
	}
	return nil
}

func (d *Driver) deleteMany(ctx context.Context, keys []string) error {
	if !d.oneNode {
		_, err := d.remove(ctx, keys)
		return err
	}
	return d.withUnlink(func(command string) error {
		// One command for many keys and no script: the result does not say which of the keys
		// existed.
		var cmds []goredis.Cmder
		for rest := keys; len(rest) > 0; {
			n := min(len(rest), chunk)
			args := make([]any, 1, 1+2*n)
			args[0] = command
			for _, key := range rest[:n] {
				args = append(args, key, leaseKey(key))
			}
			cmds = append(cmds, goredis.NewIntCmd(ctx, args...))
			rest = rest[n:]
		}
		if err := d.begin(ctx); err != nil || len(cmds) == 0 {
			return err
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
	})
}

// remove deletes keys with their leases and returns how many keys had a value.
func (d *Driver) remove(ctx context.Context, keys []string) (n int64, err error) {
	calls := make([]call, len(keys))
	err = d.withUnlink(func(command string) error {
		for i, key := range keys {
			calls[i] = call{key, []any{command}}
		}
		removed, err := d.decide(ctx, deleteScript, calls)
		for _, one := range removed {
			if one {
				n++
			}
		}
		return err
	})
	return n, err
}

// withUnlink calls f with UNLINK, which frees the memory of large values in the
// background, or with DEL if the server does not support UNLINK.
func (d *Driver) withUnlink(f func(command string) error) error {
	if !d.noUnlink.Load() {
		err := f("unlink")
		if !unknownCommand(err) {
			return err
		}
		d.noUnlink.Store(true)
	}
	return f("del")
}
