package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers/internal/within"
)

// needed is every command that the driver sends. UNLINK is not among them: a server
// without it is sent DEL.
var needed = []string{"get", "mget", "set", "del", "scan", "eval", "evalsha", "multi", "exec"}

// Ready asks every server that holds keys whether the driver can work with it: it
// has to be reachable, to take the client's credentials, to know the commands that
// the driver sends, and to be writable. The error names the server, and a command
// that it lacks. A program that would rather not start than start with a shared
// tier that does not work calls Ready then; nothing else depends on it.
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
		return fmt.Errorf("redis: not ready: %w", err)
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
	// Some servers, and some users' rights, have no COMMAND; what is missing shows
	// below or later then.
	if known, err := node.Do(ctx, args...).Slice(); err == nil && len(known) == len(needed) {
		var missing []string
		for i, description := range known {
			if description == nil {
				missing = append(missing, strings.ToUpper(needed[i]))
			}
		}
		if missing != nil {
			return fmt.Errorf("the server does not know %s", strings.Join(missing, ", "))
		}
	}
	// A key that may be another node's is of no use to a Cluster. A script that names
	// none has to be run by whichever node is asked.
	if err := node.Do(ctx, "eval", "return 1", 0).Err(); err != nil {
		return err
	}
	role, err := node.Do(ctx, "role").Slice()
	if err == nil && len(role) > 0 && fmt.Sprint(role[0]) == "slave" {
		return errors.New("the server is a replica")
	}
	return nil
}

// unknownCommand reports whether the server said that it lacks a command, to us or
// to a script.
func unknownCommand(err error) bool {
	var reply goredis.Error
	return goredis.HasErrorPrefix(err, "unknown command") ||
		errors.As(err, &reply) && strings.Contains(reply.Error(), "Unknown Redis command")
}
