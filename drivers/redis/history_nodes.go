package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/cachegen/cachegen/drivers/internal/within"
)

// A node is a server with a client of its own, which a [history] watches by a hook. The hook
// keeps the node; the history does not keep the client, which a Cluster replaces.
type node struct {
	h       *history
	client  weak.Pointer[goredis.Client]
	cluster bool

	dialled atomic.Bool // since it was asked
	told    atomic.Bool // its identity is in the text that was told last
	// identity is what it was found to be, and empty if it does not tell. A question alone uses
	// it.
	identity string
	asked    bool
}

// watch adds hooks to the nodes of the client, those that there are and those to come. The
// existing nodes of a Cluster cannot be listed without asking it: they are watched when they
// are listed first.
func (h *history) watch() {
	if one, ok := h.client.(*goredis.Client); ok {
		h.node(one)
		return
	}
	if c, ok := h.client.(interface{ OnNewNode(func(*goredis.Client)) }); ok {
		c.OnNewNode(func(client *goredis.Client) { h.node(client) })
	}
	if c, ok := h.client.(interface{ GetShardClients() []*goredis.Client }); ok {
		for _, client := range c.GetShardClients() {
			h.node(client)
		}
	}
}

// node returns the node of a client, which it watches from now on.
func (h *history) node(client *goredis.Client) *node {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := weak.Make(client)
	n := h.known[key]
	if n == nil {
		_, cluster := h.client.(clusterClient)
		n = &node{h: h, client: key, cluster: cluster}
		n.dialled.Store(true) // perhaps, before it was watched
		h.known[key] = n
		client.AddHook(n)
	}
	return n
}

// forget removes the nodes whose clients are gone.
func (h *history) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key := range h.known {
		if key.Value() == nil {
			delete(h.known, key)
		}
	}
}

// clusterClient is what masters asks of a client of a Cluster.
type clusterClient interface {
	ForEachMaster(context.Context, func(context.Context, *goredis.Client) error) error
	ForEachSlave(context.Context, func(context.Context, *goredis.Client) error) error
}

// alive returns how many servers of a Ring are not down: the keys of one that is are on the
// others, and when it is back, so is what it had. Of other clients alive returns 0.
func (h *history) alive() int {
	if ring, ok := h.client.(interface{ Len() int }); ok {
		return ring.Len()
	}
	return 0
}

// DialHook implements [goredis.Hook].
func (n *node) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err == nil {
			n.dialled.Store(true)
			n.h.reasons.Add(1)
		}
		return conn, err
	}
}

// ProcessHook implements [goredis.Hook].
func (n *node) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	if !n.cluster {
		return next
	}
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if !n.told.Load() && asksForData(cmd) {
			n.h.answered(n)
		}
		return err
	}
}

// ProcessPipelineHook implements [goredis.Hook].
func (n *node) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	if !n.cluster {
		return next
	}
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		err := next(ctx, cmds)
		if !n.told.Load() && slices.ContainsFunc(cmds, asksForData) {
			n.h.answered(n)
		}
		return err
	}
}

// asksForData reports whether a command is one of those whose answers this driver believes. The
// client also asks replicas, which nodes there are for example.
func asksForData(cmd goredis.Cmder) bool {
	switch cmd.Name() {
	case "get", "mget", "evalsha", "eval", "scan":
		return true
	}
	return false
}

// answered notes that a node was asked for data whose identity was not told.
func (h *history) answered(n *node) {
	h.mu.Lock()
	h.strangers[n]++
	h.mu.Unlock()
	h.reasons.Add(1)
}

var errMoving = errors.New("the client does not know all masters of the Cluster yet")

const (
	listings    = 5
	listingWait = 20 * time.Millisecond // longer after each listing
)

// ask asks the servers that have to be asked and returns the text. One question at a time calls
// it.
func (h *history) ask(ctx context.Context) (string, error) {
	t := h.told.Load()
	all := t == nil || time.Since(h.began)-t.at >= h.recheck
	h.forget()
	h.mu.Lock()
	strangers := maps.Clone(h.strangers)
	h.mu.Unlock()
	for try := 1; ; try++ {
		text, err := h.askOnce(ctx, strangers, all)
		if err == nil {
			h.mu.Lock()
			// One that has answered meanwhile is to be asked again.
			maps.DeleteFunc(h.strangers, func(n *node, answers int) bool { return strangers[n] == answers })
			h.mu.Unlock()
			return text, nil
		}
		if !errors.Is(err, errMoving) || try == listings {
			return "", err
		}
		if err := sleep(ctx, time.Duration(try)*listingWait); err != nil {
			return "", err
		}
	}
}

func (h *history) askOnce(ctx context.Context, strangers map[*node]int, all bool) (string, error) {
	current, err := h.list(ctx)
	if err != nil {
		return "", err
	}
	return h.askNodes(ctx, current, strangers, all)
}

// list returns the nodes whose data are read: the masters of a Cluster, and the servers of a Ring
// that are not down. The first time, list watches the replicas of a Cluster, too.
func (h *history) list(ctx context.Context) ([]*node, error) {
	var clients []*goredis.Client
	err := within.Do(ctx, func() (err error) { clients, err = live(ctx, h.client); return err })
	if err != nil {
		return nil, err
	}
	if c, ok := h.client.(clusterClient); ok && h.told.Load() == nil {
		err := within.Do(ctx, func() error {
			return c.ForEachSlave(ctx, func(_ context.Context, client *goredis.Client) error { h.node(client); return nil })
		})
		if err != nil {
			return nil, err
		}
	}
	all := make([]*node, len(clients))
	for i, client := range clients {
		all[i] = h.node(client)
	}
	return all, nil
}

// live is masters without the servers of a Ring that are down.
func live(ctx context.Context, client goredis.UniversalClient) ([]*goredis.Client, error) {
	ring, ok := client.(interface {
		GetShardClients() []*goredis.Client
		ForEachShard(context.Context, func(context.Context, *goredis.Client) error) error
	})
	if !ok {
		return masters(ctx, client)
	}
	var mu sync.Mutex
	var all []*goredis.Client
	err := ring.ForEachShard(ctx, func(_ context.Context, shard *goredis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, shard)
		return nil
	})
	if err == nil && len(all) == 0 {
		err = errNoServers
	}
	return all, err
}

// askNodes asks those of current that have to be asked, or all of them. It fails with errMoving
// if a node is no master of the Cluster any more, or if one of the strangers is.
func (h *history) askNodes(ctx context.Context, current []*node, strangers map[*node]int, all bool) (string, error) {
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range current {
		dialled := n.dialled.Swap(false)
		if !dialled && !all && n.asked {
			continue
		}
		group.Go(func() error {
			err := n.ask(ctx, dialled)
			if err != nil && dialled {
				n.dialled.Store(true)
			}
			return err
		})
	}
	for n := range strangers {
		if !slices.Contains(current, n) {
			group.Go(func() error { return n.askWhetherMaster(ctx) })
		}
	}
	if err := group.Wait(); err != nil {
		return "", err
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.known {
		is := slices.Contains(current, n)
		n.told.Store(is)
		n.asked = n.asked && is
	}
	lines := make([]string, len(current))
	for i, n := range current {
		if lines[i] = n.identity; lines[i] == "" {
			return "", nil
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return "redis " + hex.EncodeToString(sum[:16]), nil
}
