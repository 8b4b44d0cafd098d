package redis

import (
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
)

const (
	// maxShared is the largest number of keys of a read that shares a round trip with
	// others; a larger read would only delay them.
	maxShared = 32
	// chunk is how many keys one command names. The server executes one command at a
	// time, so a command should be short.
	chunk = 1024
)

// GetMany returns the values of keys in their order, nil where a key is absent. A key that
// holds another type than a string is absent. See [drivers.L2].
func (d *Driver) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	values, err := d.getMany(ctx, keys)
	if err != nil {
		return nil, failed("get", len(keys), err)
	}
	return values, nil
}

func (d *Driver) getMany(ctx context.Context, keys []string) ([][]byte, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return [][]byte{}, nil
	}
	for _, key := range keys {
		if err := d.check(key); err != nil {
			return nil, err
		}
	}
	var cmds []goredis.Cmder
	if d.oneNode && len(keys) > 1 {
		for rest := keys; len(rest) > 0; {
			n := min(len(rest), chunk)
			cmds = append(cmds, goredis.NewSliceCmd(ctx, arguments("mget", rest[:n])...))
			rest = rest[n:]
		}
	} else {
		cmds = make([]goredis.Cmder, len(keys))
		for i, key := range keys {
			cmds[i] = goredis.NewStringCmd(ctx, "get", key)
		}
	}
	var err error
	if d.shared && len(keys) <= maxShared {
		err = d.executeShared(ctx, cmds)
	} else {
		err = d.execute(ctx, cmds)
	}
	if err != nil {
		return nil, err
	}
	values := make([][]byte, 0, len(keys))
	for _, cmd := range cmds {
		if values, err = appendValues(values, cmd); err != nil {
			return nil, err
		}
	}
	if len(values) != len(keys) {
		return nil, fmt.Errorf("the server returned %d values", len(values))
	}
	return values, nil
}

// appendValues appends copies of the values of a GET or MGET. The client may keep the
// originals.
func appendValues(values [][]byte, cmd goredis.Cmder) ([][]byte, error) {
	switch cmd := cmd.(type) {
	case *goredis.StringCmd:
		value, err := cmd.Result()
		switch {
		case errors.Is(err, goredis.Nil), goredis.HasErrorPrefix(err, "WRONGTYPE"):
			return append(values, nil), nil
		case err != nil:
			return nil, err
		}
		return append(values, []byte(value)), nil
	case *goredis.SliceCmd:
		replies, err := cmd.Result()
		if err != nil {
			return nil, err
		}
		for _, reply := range replies {
			switch reply := reply.(type) {
			case nil:
				values = append(values, nil)
			case string:
				values = append(values, []byte(reply))
			default:
				return nil, fmt.Errorf("the server returned a %T as a value", reply)
			}
		}
		return values, nil
	}
	panic("redis: appendValues of a command that reads no values")
}

// arguments returns the arguments of a command on many keys.
func arguments(name string, keys []string) []any {
	args := make([]any, 1, 1+len(keys))
	args[0] = name
	for _, key := range keys {
		args = append(args, key)
	}
	return args
}
