package service

import (
	"context"
	"sync/atomic"

	"github.com/cachegen/cachegen/drivers"
)

// A counted tier counts the reads of the shared tier behind it, which are the reads that the
// memory tier can save. It has the capabilities of that tier.
type counted struct {
	drivers.PassThrough
	reads atomic.Int64
}

// GetMany implements [drivers.L2]. One call is one read, however many keys it has.
func (c *counted) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	c.reads.Add(1)
	return c.PassThrough.GetMany(ctx, keys)
}
