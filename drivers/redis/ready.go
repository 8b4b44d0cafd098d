package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers/internal/within"
)

// needed lists the commands that the driver sends. UNLINK is not among them: to a server
// without UNLINK the driver sends DEL.
var needed = []string{"get", "mget", "set", "del", "scan", "eval", "evalsha", "multi", "exec", "pttl", "pexpire"}

// Ready asks every server that holds keys whether the driver can use it: whether the server
// can be reached, accepts the password of the client, supports the commands that the driver
// sends, and can be written to. The error names the server and the commands that are missing.
// See [drivers.ReadyChecker].
//
// A program that should not start without its shared tier calls Ready, or Store.Ready of the
// runtime. No other method needs it.
func (d *Driver) Ready(ctx context.Context) error {
	err := d.begin(ctx)
	if err == nil {
		err = within.Do(ctx, func() error {
			nodes, err := masters(ctx, d.client)
			if err != nil {
				return err
			}
			errs := make([]error, len(nodes))
			for i, node := range nodes {
				if err := nodeReady(ctx, node); err != nil {
					errs[i] = fmt.Errorf("%s: %w", node.Options().Addr, err)
				}
			}
			return errors.Join(errs...)
		})
	}
	if err != nil {
		return fmt.Errorf("redis: not ready: %w", classified(err))
	}
	return nil
}

func nodeReady(ctx context.Context, node *goredis.Client) error {
	if err := node.Ping(ctx).Err(); err != nil {
		return err
	}
	args := []any{"command", "info"}
	for _, name := range needed {
		args = append(args, name)
	}
	// Some servers lack COMMAND, and some users have no right to it. A missing command
	// then fails below or in a later operation.
	if known, err := node.Do(ctx, args...).Slice(); err == nil && len(known) == len(needed) {
		var missing []string
		for i, description := range known {
			if description == nil {
				missing = append(missing, strings.ToUpper(needed[i]))
			}
		}
		if missing != nil {
			return fmt.Errorf("the server does not support %s", strings.Join(missing, ", "))
		}
	}
	// Without a key, which could belong to another node of a Cluster: every node executes
	// a script that names no key.
	if err := node.Do(ctx, "eval", "return 1", 0).Err(); err != nil {
		return err
	}
	role, err := node.Do(ctx, "role").Slice()
	if err == nil && len(role) > 0 && fmt.Sprint(role[0]) == "slave" {
		return errors.New("the server is a replica, which cannot be written to")
	}
	return nil
}

// unknownCommand reports whether err is the server's reply, to a command or within a script,
// that it does not support a command.
func unknownCommand(err error) bool {
	var reply goredis.Error
	return goredis.HasErrorPrefix(err, "unknown command") ||
		errors.As(err, &reply) && strings.Contains(reply.Error(), "Unknown Redis command")
}
