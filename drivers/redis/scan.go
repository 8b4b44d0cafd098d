package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers/internal/within"
)

// page is how many of all its keys the server visits for one reply to SCAN.
const page = 1000

// Scan calls f with the keys that begin with prefix, some of them at a time. Scan visits every
// key of each master, also those without prefix, with SCAN, which does not block the server. A
// key that moves from one node of a Cluster to another during the scan may be missed. See
// [drivers.Scanner].
func (d *Driver) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	err := d.scan(ctx, prefix, func(found []string) error {
		found = slices.DeleteFunc(found, func(key string) bool { _, is := leaseOf(key); return is })
		if len(found) == 0 {
			return nil
		}
		return f(found)
	})
	if err != nil {
		return fmt.Errorf("redis: scan for prefix %s: %w", quoted(prefix), classified(err))
	}
	return nil
}

// DeletePrefix removes the keys that begin with prefix, and returns how many it has removed.
// DeletePrefix visits every key and may miss keys, as [Driver.Scan] does. The server frees the
// memory of the values in the background. See [drivers.PrefixDeleter].
func (d *Driver) DeletePrefix(ctx context.Context, prefix string) (int64, error) {
	var n int64
	err := d.scan(ctx, prefix, func(found []string) error {
		var keys []string
		for _, key := range found {
			// A lease without a value has to end too. A lease can have the prefix although
			// its key, which is shorter, does not.
			if entry, is := leaseOf(key); is {
				key = entry
			}
			if strings.HasPrefix(key, prefix) {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		removed, err := d.remove(ctx, slices.Compact(keys))
		n += removed
		return err
	})
	if err != nil {
		return n, fmt.Errorf("redis: delete prefix %s: %w", quoted(prefix), classified(err))
	}
	return n, nil
}

// scan calls f with the keys that begin with prefix, leases included.
func (d *Driver) scan(ctx context.Context, prefix string, f func(found []string) error) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	var nodes []*goredis.Client
	err := within.Do(ctx, func() (err error) { nodes, err = masters(ctx, d.client); return err })
	if err != nil {
		return err
	}
	pattern := globEscaper.Replace(prefix) + "*"
	for _, node := range nodes {
		for cursor := uint64(0); ; {
			cmd := goredis.NewScanCmd(ctx, node.Process, "scan", cursor, "match", pattern, "count", page)
			if err := within.Do(ctx, func() error { return node.Process(ctx, cmd) }); err != nil {
				return fmt.Errorf("%s: %w", node.Options().Addr, err)
			}
			var found []string
			found, cursor = cmd.Val()
			// Checked again: a wrong match would delete a key that does not have the prefix.
			found = slices.DeleteFunc(found, func(key string) bool { return !strings.HasPrefix(key, prefix) })
			if len(found) > 0 {
				if err := f(found); err != nil {
					return err
				}
			}
			if err := d.begin(ctx); err != nil {
				return err
			}
			if cursor == 0 {
				break
			}
		}
	}
	return nil
}

var globEscaper = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `\`, `\\`)

// masters returns a client for each server that holds keys.
func masters(ctx context.Context, client goredis.UniversalClient) ([]*goredis.Client, error) {
	var mu sync.Mutex
	var all []*goredis.Client
	add := func(_ context.Context, node *goredis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, node)
		return nil
	}
	switch c := client.(type) {
	case *goredis.Client:
		return []*goredis.Client{c}, nil
	case interface{ GetShardClients() []*goredis.Client }: // a Ring, also its shards that are down
		all = c.GetShardClients()
	case interface {
		ForEachMaster(context.Context, func(context.Context, *goredis.Client) error) error
	}:
		if err := c.ForEachMaster(ctx, add); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("a client of type %T has no method that lists its servers", client)
	}
	if len(all) == 0 {
		return nil, errNoServers
	}
	return all, nil
}

var errNoServers = errors.New("the client has no servers")

// quoted returns prefix in quotes, shortened to 80 bytes.
func quoted(prefix string) string {
	if len(prefix) > 80 {
		return fmt.Sprintf("%q… (%d bytes)", prefix[:80], len(prefix))
	}
	return fmt.Sprintf("%q", prefix)
}
