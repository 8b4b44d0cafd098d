package service

import (
	"context"
	"sync/atomic"

	"github.com/cachegen/cachegen/drivers"
)

// A counted tier counts the reads of a shared tier: what memory is there to save.
// The runtime finds out by type assertion what else a tier can do, so a wrapper
// has to keep that.
type counted struct {
	sharedTier
	reads atomic.Int64
}

// A sharedTier is what both tiers of the example are: [drivers.Adder] and
// [drivers.Checker] too.
type sharedTier interface {
	drivers.L2
	drivers.Adder
	drivers.Checker
}

// GetMany implements [drivers.L2]. One call is one read, however many keys it has.
func (c *counted) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	c.reads.Add(1)
	return c.sharedTier.GetMany(ctx, keys)
}

// Prune implements [drivers.Pruner]. A tier that is none has nothing to prune.
func (c *counted) Prune(ctx context.Context) (int64, error) {
	if p, ok := c.sharedTier.(drivers.Pruner); ok {
		return p.Prune(ctx)
	}
	return 0, nil
}
