package faketier

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A Conn is one process's connection to a shared tier, and what goes wrong with it alone. Its
// fields are set before it is used.
type Conn struct {
	Tier *Shared
	// Late, if set, returns how long the operation is held back on its way. If that is positive,
	// its caller gets no answer, and it takes effect after that time, whatever its caller does.
	Late func(op string, keys []string) time.Duration

	before, after hook[func(ctx context.Context, op string, keys []string) error]
}

// SetBefore has f run before each operation; an error is the operation's, which takes no effect
// then. Nil ends that.
func (c *Conn) SetBefore(f func(ctx context.Context, op string, keys []string) error) {
	c.before.set(f)
}

// SetAfter has f run after each operation that has taken effect; an error is the operation's,
// whose answer is lost then. Nil ends that.
func (c *Conn) SetAfter(f func(ctx context.Context, op string, keys []string) error) {
	c.after.set(f)
}

var (
	_ drivers.Adder     = (*Conn)(nil)
	_ drivers.Swapper   = (*Conn)(nil)
	_ drivers.Leaser    = (*Conn)(nil)
	_ drivers.Historian = (*Conn)(nil)
)

func through[R any](ctx context.Context, c *Conn, op string, keys []string, do func(context.Context) (R, error)) (r R, err error) {
	if before := c.before.get(); before != nil {
		if err := before(ctx, op, keys); err != nil {
			return r, err
		}
	}
	if c.Late != nil {
		if d := c.Late(op, keys); d > 0 {
			time.AfterFunc(d, func() { _, _ = do(context.Background()) })
			<-ctx.Done()
			return r, ctx.Err()
		}
	}
	if r, err = do(ctx); err != nil {
		return r, err
	}
	if after := c.after.get(); after != nil {
		err = after(ctx, op, keys)
	}
	return r, err
}

type nothing struct{}

// GetMany implements drivers.L2.
func (c *Conn) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	return through(ctx, c, "get", keys, func(ctx context.Context) ([][]byte, error) { return c.Tier.GetMany(ctx, keys) })
}

// SetMany implements drivers.L2.
func (c *Conn) SetMany(ctx context.Context, items []drivers.Item) error {
	_, err := through(ctx, c, "set", keysOf(items), func(ctx context.Context) (nothing, error) {
		return nothing{}, c.Tier.SetMany(ctx, items)
	})
	return err
}

// DeleteMany implements drivers.L2.
func (c *Conn) DeleteMany(ctx context.Context, keys []string) error {
	_, err := through(ctx, c, "delete", keys, func(ctx context.Context) (nothing, error) {
		return nothing{}, c.Tier.DeleteMany(ctx, keys)
	})
	return err
}

// AddMany implements drivers.Adder.
func (c *Conn) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	return through(ctx, c, "add", keysOf(items), func(ctx context.Context) ([][]byte, error) { return c.Tier.AddMany(ctx, items) })
}

// SwapMany implements drivers.Swapper.
func (c *Conn) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	return through(ctx, c, "swap", swapKeys(swaps), func(ctx context.Context) ([]bool, error) { return c.Tier.SwapMany(ctx, swaps) })
}

// LeaseMany implements drivers.Leaser.
func (c *Conn) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	return through(ctx, c, "lease", keys, func(ctx context.Context) ([]drivers.Lease, error) { return c.Tier.LeaseMany(ctx, keys, want) })
}

// FillMany implements drivers.Leaser.
func (c *Conn) FillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	return through(ctx, c, "fill", keysOf(items), func(ctx context.Context) ([]drivers.Fill, error) { return c.Tier.FillMany(ctx, items, token) })
}

// RenewMany implements drivers.Leaser.
func (c *Conn) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	return through(ctx, c, "renew", keys, func(ctx context.Context) ([]bool, error) { return c.Tier.RenewMany(ctx, keys, token, ttl) })
}

// ReleaseMany implements drivers.Leaser.
func (c *Conn) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	return through(ctx, c, "release", keys, func(ctx context.Context) ([]bool, error) { return c.Tier.ReleaseMany(ctx, keys, token) })
}

// History implements drivers.Historian. It is no operation: see [Shared.History].
func (c *Conn) History(ctx context.Context) (string, error) { return c.Tier.History(ctx) }

// Close implements drivers.L2. Other stores may go on to use the tier.
func (c *Conn) Close() error { return nil }
