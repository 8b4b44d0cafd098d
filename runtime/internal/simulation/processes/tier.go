package processes

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/servers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// A tierConn is a process's connection to the shared tier. Each of its calls waits at the
// gate.
type tierConn struct {
	process *Process
	// history is that of the server, as the last answer that has arrived tells. The world's
	// mutex guards it.
	history int
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

// connect returns the connection of the process, with the capabilities that the tier has.
func (p *Process) connect() drivers.L2 {
	p.tier = &tierConn{process: p}
	switch {
	case p.world.Mutation == NoLeases:
		return p.tier
	case p.world.Tells:
		return tellingConn{leasingConn{p.tier}}
	}
	return leasingConn{p.tier}
}

// ask makes a call of the tier, which may take effect key by key.
func (t *tierConn) ask(ctx context.Context, verb string, keys []string, c *steps.Call, each func(i int)) error {
	w := t.process.world
	c.Party, c.At, c.Parts, c.Name = &t.process.Party, steps.Tier, len(keys), nameOf(ctx, verb, keys)
	history := 0
	c.Effect = func(from, to int) error {
		history = w.Tier.History
		for i := from; i < min(to, len(keys)); i++ {
			each(i)
		}
		return nil
	}
	if err := w.Pass(ctx, c); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t.history = max(t.history, history)
	return nil
}

func (t *tierConn) server() *servers.Tier { return t.process.world.Tier }

// nameOf names a call. What a client's change asks for is named after the client; what a read
// asks for is not, since those who wait for it share it, and any of them may be the one that
// asks.
func nameOf(ctx context.Context, verb string, keys []string) string {
	var b strings.Builder
	if o := opOf(ctx); o != nil && o.Kind.Changes() {
		b.WriteString(o.Name())
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
	c := &steps.Call{Result: func() string { return servers.DescribeAll(keys, values) }}
	err := t.ask(ctx, "get", keys, c, func(i int) {
		values[i] = t.process.fromTier(keys[i], t.server().Get(keys[i]))
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
	items = t.process.toTierAll(items)
	c := &steps.Call{Once: true, Soon: true, Result: func() string { return servers.DescribeItems(items) }}
	return t.ask(ctx, "set", keysOf(items), c, func(i int) { t.server().Set(items[i]) })
}

// DeleteMany implements drivers.L2.
func (t *tierConn) DeleteMany(ctx context.Context, keys []string) error {
	keys = slices.Clone(keys)
	return t.ask(ctx, "delete", keys, &steps.Call{}, func(i int) { t.server().Remove(keys[i]) })
}

// AddMany implements drivers.Adder.
func (t *tierConn) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	if err := refuse(items); err != nil {
		return nil, err
	}
	items = t.process.toTierAll(items)
	values := make([][]byte, len(items))
	c := &steps.Call{Once: true, Adds: true, Result: func() string { return servers.DescribeAll(keysOf(items), values) }}
	err := t.ask(ctx, "add", keysOf(items), c, func(i int) {
		values[i] = t.process.fromTier(items[i].Key, t.server().Add(items[i]))
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
		if t.process.world.Mutation == StampsAreTimes {
			w.New = servers.Timed(w.Key, w.New, w.Old)
		}
		w.Old, w.New = t.process.toTier(w.Key, w.Old), t.process.toTier(w.Key, w.New)
	}
	swapped := make([]bool, len(swaps))
	c := &steps.Call{Once: true, Result: func() string { return fmt.Sprint(swapped) }}
	err := t.ask(ctx, "swap", keys, c, func(i int) { swapped[i] = t.server().Swap(swaps[i]) })
	if err != nil {
		return nil, err
	}
	t.process.noteCounter(swaps, swapped)
	return swapped, nil
}

// Close implements drivers.L2. Other processes go on to use the tier.
func (t *tierConn) Close() error { return nil }

// LeaseMany implements drivers.Leaser.
func (t leasingConn) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	keys = slices.Clone(keys)
	found := make([]drivers.Lease, len(keys))
	c := &steps.Call{Once: true, Result: func() string { return servers.DescribeLeases(found) }}
	err := t.ask(ctx, "lease", keys, c, func(i int) {
		found[i] = t.server().Lease(keys[i], want)
		found[i].Value = t.process.fromTier(keys[i], found[i].Value)
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
	items = t.process.toTierAll(items)
	filled := make([]drivers.Fill, len(items))
	c := &steps.Call{Once: true, Result: func() string { return fmt.Sprintf("%s %+v", servers.DescribeItems(items), filled) }}
	err := t.ask(ctx, "fill", keysOf(items), c, func(i int) { filled[i] = t.server().Fill(items[i], token) })
	if err != nil {
		return nil, err
	}
	return filled, nil
}

// RenewMany implements drivers.Leaser.
func (t leasingConn) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	keys = slices.Clone(keys)
	renewed := make([]bool, len(keys))
	c := &steps.Call{Result: func() string { return fmt.Sprint(renewed) }}
	err := t.ask(ctx, "renew", keys, c, func(i int) { renewed[i] = t.server().Renew(keys[i], token, ttl) })
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

// ReleaseMany implements drivers.Leaser.
func (t leasingConn) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	keys = slices.Clone(keys)
	awaited := make([]bool, len(keys))
	c := &steps.Call{Result: func() string { return fmt.Sprint(awaited) }}
	err := t.ask(ctx, "release", keys, c, func(i int) {
		awaited[i] = t.server().Release(keys[i], token) || awaited[i]
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
	w := t.process.world
	if w.Mutation == SameHistory {
		return "always", nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
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

// toTier returns a value as the process writes it, and fromTier as it reads it. All processes of a
// test have one clock: so the times in what one whose clock is ahead has written are shifted.
func (p *Process) toTier(key string, value []byte) []byte { return servers.Shift(key, value, p.ahead) }

func (p *Process) fromTier(key string, value []byte) []byte {
	return servers.Shift(key, value, -p.ahead)
}

func (p *Process) toTierAll(items []drivers.Item) []drivers.Item {
	own := slices.Clone(items)
	for i := range own {
		it := &own[i]
		it.Value = bytes.Clone(it.Value)
		if p.world.Mutation == StampsAreTimes {
			it.Value = servers.Timed(it.Key, it.Value, nil)
		}
		it.Value = p.toTier(it.Key, it.Value)
	}
	return own
}
