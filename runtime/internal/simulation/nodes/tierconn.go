package nodes

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A tierConn is a process's connection to the shared tier. Each of its calls waits at the
// gate.
type tierConn struct {
	node    *node
	history int // of the server, as the last answer that arrived has told
}

var (
	_ drivers.L2      = (*tierConn)(nil)
	_ drivers.Adder   = (*tierConn)(nil)
	_ drivers.Swapper = (*tierConn)(nil)
)

// A leasingConn is the connection to a tier that gives leases.
type leasingConn struct{ *tierConn }

var _ drivers.Leaser = leasingConn{}

// A tellingConn is the connection to a tier that also tells that it has returned to an older
// state.
type tellingConn struct{ leasingConn }

var _ drivers.Historian = tellingConn{}

// connect returns the connection of a process with the capabilities that the tier of the
// run has.
func (r *run) connect(n *node) drivers.L2 {
	n.tier = &tierConn{node: n}
	switch {
	case r.mutation == NoLeases:
		return n.tier
	case r.plan.tells:
		return tellingConn{leasingConn{n.tier}}
	}
	return leasingConn{n.tier}
}

// ask makes a call of the tier, which takes effect key by key if the run splits it.
func (t *tierConn) ask(ctx context.Context, verb string, keys []string, c *call, each func(i int)) error {
	n := t.node
	c.node, c.at, c.parts = n, atTier, len(keys)
	c.name = nameOf(ctx, verb, keys)
	history := 0
	c.effect = func(from, to int) error {
		history = n.run.tier.history
		for i := from; i < min(to, len(keys)); i++ {
			each(i)
		}
		return nil
	}
	err := n.run.pass(ctx, c)
	if err != nil {
		return err
	}
	t.node.run.mu.Lock()
	t.history = max(t.history, history)
	t.node.run.mu.Unlock()
	return nil
}

// nameOf names a call. What a client's change asks for is named after the client; what a read
// asks for is not, since those who wait for it share it, and any of them may be the one that
// asks.
func nameOf(ctx context.Context, verb string, keys []string) string {
	var b strings.Builder
	if o := opOf(ctx); o != nil && o.kind.changes() {
		b.WriteString(o.name())
		b.WriteByte(' ')
	}
	b.WriteString(verb)
	for _, key := range slices.Sorted(slices.Values(keys)) {
		b.WriteByte(' ')
		b.WriteString(key)
	}
	return b.String()
}

// GetMany implements drivers.L2.
func (t *tierConn) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	values := make([][]byte, len(keys))
	c := &call{result: func() string { return describeAll(keys, values) }}
	err := t.ask(ctx, "get", keys, c, func(i int) {
		values[i] = t.node.fromTier(keys[i], t.node.run.tier.get(keys[i]))
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// SetMany implements drivers.L2.
func (t *tierConn) SetMany(ctx context.Context, items []drivers.Item) error {
	if err := refuse(items); err != nil {
		return err
	}
	items = t.node.toTierAll(items)
	c := &call{once: true, soon: true, result: func() string { return describeItems(items) }}
	return t.ask(ctx, "set", keysOf(items), c, func(i int) { t.node.run.tier.set(items[i]) })
}

// DeleteMany implements drivers.L2.
func (t *tierConn) DeleteMany(ctx context.Context, keys []string) error {
	keys = slices.Clone(keys)
	return t.ask(ctx, "delete", keys, &call{}, func(i int) { t.node.run.tier.remove(keys[i]) })
}

// AddMany implements drivers.Adder.
func (t *tierConn) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	if err := refuse(items); err != nil {
		return nil, err
	}
	items = t.node.toTierAll(items)
	values := make([][]byte, len(items))
	c := &call{once: true, result: func() string { return describeAll(keysOf(items), values) }}
	err := t.ask(ctx, "add", keysOf(items), c, func(i int) {
		values[i] = t.node.fromTier(items[i].Key, t.node.run.tier.add(items[i]))
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// SwapMany implements drivers.Swapper.
func (t *tierConn) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	swaps = slices.Clone(swaps)
	keys := make([]string, len(swaps))
	for i := range swaps {
		w := &swaps[i]
		keys[i] = w.Key
		if t.node.run.mutation == StampsAreTimes && isStamp(w.Key) {
			w.New = timed(w.New, w.Old)
		}
		w.Old, w.New = t.node.toTier(w.Key, w.Old), t.node.toTier(w.Key, w.New)
	}
	swapped := make([]bool, len(swaps))
	c := &call{once: true, result: func() string { return fmt.Sprint(swapped) }}
	err := t.ask(ctx, "swap", keys, c, func(i int) { swapped[i] = t.node.run.tier.swap(swaps[i]) })
	if err != nil {
		return nil, err
	}
	return swapped, nil
}

// Close implements drivers.L2. Other processes go on to use the tier.
func (t *tierConn) Close() error { return nil }

// LeaseMany implements drivers.Leaser.
func (t leasingConn) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	keys = slices.Clone(keys)
	found := make([]drivers.Lease, len(keys))
	c := &call{once: true, result: func() string { return describeLeases(found) }}
	err := t.ask(ctx, "lease", keys, c, func(i int) {
		found[i] = t.node.run.tier.lease(keys[i], want)
		found[i].Value = t.node.fromTier(keys[i], found[i].Value)
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// FillMany implements drivers.Leaser.
func (t leasingConn) FillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	if err := refuse(items); err != nil {
		return nil, err
	}
	items = t.node.toTierAll(items)
	filled := make([]drivers.Fill, len(items))
	c := &call{once: true, result: func() string { return fmt.Sprintf("%s %+v", describeItems(items), filled) }}
	err := t.ask(ctx, "fill", keysOf(items), c, func(i int) { filled[i] = t.node.run.tier.fill(items[i], token) })
	if err != nil {
		return nil, err
	}
	return filled, nil
}

// RenewMany implements drivers.Leaser.
func (t leasingConn) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	keys = slices.Clone(keys)
	renewed := make([]bool, len(keys))
	c := &call{result: func() string { return fmt.Sprint(renewed) }}
	err := t.ask(ctx, "renew", keys, c, func(i int) { renewed[i] = t.node.run.tier.renew(keys[i], token, ttl) })
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

// ReleaseMany implements drivers.Leaser.
func (t leasingConn) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	keys = slices.Clone(keys)
	awaited := make([]bool, len(keys))
	c := &call{result: func() string { return fmt.Sprint(awaited) }}
	err := t.ask(ctx, "release", keys, c, func(i int) {
		awaited[i] = t.node.run.tier.release(keys[i], token) || awaited[i]
	})
	if err != nil {
		return nil, err
	}
	return awaited, nil
}

// History implements drivers.Historian. It knows what the answers have told that have
// arrived: a server that has lost something answers on new connections only.
func (t tellingConn) History(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("simulation: history: %w", err)
	}
	r := t.node.run
	if r.mutation == SameHistory {
		return "always", nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return "run " + strconv.Itoa(t.history), nil
}

// refuse returns an error for what no tier takes.
func refuse(items []drivers.Item) error {
	for _, it := range items {
		if it.TTL < 0 {
			return fmt.Errorf("simulation: negative TTL of %q: %w", it.Key, drivers.ErrRefused)
		}
	}
	return nil
}

func keysOf(items []drivers.Item) []string {
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = it.Key
	}
	return keys
}

func (n *node) toTierAll(items []drivers.Item) []drivers.Item {
	own := slices.Clone(items)
	for i := range own {
		it := &own[i]
		it.Value = bytes.Clone(it.Value)
		if n.run.mutation == StampsAreTimes && isStamp(it.Key) {
			it.Value = timed(it.Value, nil)
		}
		it.Value = n.toTier(it.Key, it.Value)
	}
	return own
}
