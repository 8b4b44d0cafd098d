package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/cachegen/cachegen/drivers/internal/within"
)

// ask asks a node who it is: over a new connection if fresh, else over one of the client's.
func (n *node) ask(ctx context.Context, fresh bool) error {
	client := n.client.Value()
	if client == nil {
		return errMoving
	}
	addr := client.Options().Addr
	if fresh {
		client = askingClient(client.Options())
		defer client.Close()
		// A read does not end with the context.
		defer context.AfterFunc(ctx, func() { client.Close() })()
	}
	var server, replication string
	err := within.Do(ctx, func() (err error) {
		pipe := client.Pipeline()
		one, two := pipe.Info(ctx, "server"), pipe.Info(ctx, "replication")
		_, err = pipe.Exec(ctx)
		server, replication = one.Val(), two.Val()
		return err
	})
	switch {
	case err != nil && cannotTell(err):
		n.identity, n.asked = "", true
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", addr, err)
	}
	id := identityOf(server, replication)
	if n.cluster && id.role == "slave" {
		return errMoving
	}
	n.identity, n.asked = id.String(), true
	return nil
}

// askWhetherMaster fails with errMoving if a node is a master that has slots. A node that has
// answered, and has none, gets its first slot just now.
func (n *node) askWhetherMaster(ctx context.Context) error {
	client := n.client.Value()
	if client == nil {
		return nil // it cannot answer any more
	}
	err := within.Do(ctx, func() error {
		text, err := client.Info(ctx, "replication").Result()
		if cannotTell(err) || err == nil && identityOf(text).role == "slave" {
			return nil
		}
		if err != nil {
			return err
		}
		id, err := client.Do(ctx, "cluster", "myid").Text()
		var slots []goredis.ClusterSlot
		if err == nil {
			//lint:ignore SA1019 servers before Redis 7 know no CLUSTER SHARDS
			slots, err = client.ClusterSlots(ctx).Result()
		}
		has := func(s goredis.ClusterSlot) bool { return len(s.Nodes) > 0 && s.Nodes[0].ID == id }
		var reply goredis.Error
		// A server that does not answer these is in no Cluster, such as a master behind Sentinel.
		if slices.ContainsFunc(slots, has) || errors.As(err, &reply) {
			return errMoving
		}
		return err
	})
	if errors.Is(err, goredis.ErrClosed) {
		return nil
	}
	if err == nil || errors.Is(err, errMoving) {
		return err
	}
	return fmt.Errorf("%s: %w", client.Options().Addr, err)
}

// cannotTell reports whether a server answers that it, or a proxy in front of it, does not say
// who it is.
func cannotTell(err error) bool {
	var reply goredis.Error
	return goredis.HasErrorPrefix(err, "NOPERM") || unknownCommand(err) ||
		errors.As(err, &reply) && strings.Contains(strings.ToLower(reply.Error()), "unsupported")
}

// An identity is which process a server is, and which history its data have.
type identity struct{ run, replication, role string }

func identityOf(texts ...string) (id identity) {
	for line := range strings.Lines(strings.Join(texts, "\n")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "run_id":
			id.run = value
		case "master_replid":
			id.replication = value
		case "role":
			id.role = value
		}
	}
	return id
}

// String returns an empty text if the identity is of any server.
func (id identity) String() string {
	if id.run == "" && id.replication == "" {
		return ""
	}
	return id.run + " " + id.replication + " " + id.role
}

// askingClient returns a client with the options like, for one question over a new connection.
func askingClient(like *goredis.Options) *goredis.Client {
	o := *like
	o.Protocol = 2
	o.MinIdleConns = 0
	o.PoolSize = 1
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.ContextTimeoutEnabled = true
	o.ClientSideCache, o.ClientSideCacheConfig = nil, nil
	o.PushNotificationProcessor = nil
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return goredis.NewClient(&o)
}
