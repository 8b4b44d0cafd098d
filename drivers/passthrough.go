package drivers

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A PassThrough is a [Wrapper] that hands every call on to the L2 behind it, and has the same
// capabilities. A driver that only observes calls, such as one that counts or traces them,
// embeds a PassThrough and declares the methods that it observes:
//
//	type Counting struct {
//		drivers.PassThrough
//		reads atomic.Int64
//	}
//
//	func (c *Counting) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
//		c.reads.Add(1)
//		return c.PassThrough.GetMany(ctx, keys)
//	}
//
// A driver that changes keys or values must not embed a PassThrough: a method that the driver
// does not declare would hand on keys or values that are not changed.
//
// If the L2 behind lacks a capability, the methods of that capability return an error that
// wraps [errors.ErrUnsupported].
type PassThrough struct{ L2 }

var (
	_ Wrapper[L2]   = PassThrough{}
	_ Adder         = PassThrough{}
	_ Swapper       = PassThrough{}
	_ Leaser        = PassThrough{}
	_ Historian     = PassThrough{}
	_ Scanner       = PassThrough{}
	_ PrefixDeleter = PassThrough{}
	_ Pruner        = PassThrough{}
)

// Unwrap implements [Wrapper]: it returns the L2 behind.
func (p PassThrough) Unwrap() L2 { return p.L2 }

func unsupported(operation string) error {
	return fmt.Errorf("drivers: %s: the tier behind does not support it: %w", operation, errors.ErrUnsupported)
}

// AddMany implements [Adder].
func (p PassThrough) AddMany(ctx context.Context, items []Item) ([][]byte, error) {
	if adder, ok := AdderOf(p.L2); ok {
		return adder.AddMany(ctx, items)
	}
	return nil, unsupported("add")
}

// SwapMany implements [Swapper].
func (p PassThrough) SwapMany(ctx context.Context, swaps []Swap) ([]bool, error) {
	if swapper, ok := SwapperOf(p.L2); ok {
		return swapper.SwapMany(ctx, swaps)
	}
	return nil, unsupported("swap")
}

// LeaseMany implements [Leaser].
func (p PassThrough) LeaseMany(ctx context.Context, keys []string, want LeaseRequest) ([]Lease, error) {
	if leaser, ok := LeaserOf(p.L2); ok {
		return leaser.LeaseMany(ctx, keys, want)
	}
	return nil, unsupported("lease")
}

// FillMany implements [Leaser].
func (p PassThrough) FillMany(ctx context.Context, items []Item, token string) ([]Fill, error) {
	if leaser, ok := LeaserOf(p.L2); ok {
		return leaser.FillMany(ctx, items, token)
	}
	return nil, unsupported("fill")
}

// RenewMany implements [Leaser].
func (p PassThrough) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	if leaser, ok := LeaserOf(p.L2); ok {
		return leaser.RenewMany(ctx, keys, token, ttl)
	}
	return nil, unsupported("renew")
}

// ReleaseMany implements [Leaser].
func (p PassThrough) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	if leaser, ok := LeaserOf(p.L2); ok {
		return leaser.ReleaseMany(ctx, keys, token)
	}
	return nil, unsupported("release")
}

// History implements [Historian].
func (p PassThrough) History(ctx context.Context) (string, error) {
	if historian, ok := HistorianOf(p.L2); ok {
		return historian.History(ctx)
	}
	return "", unsupported("history")
}

// Scan implements [Scanner].
func (p PassThrough) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	if scanner, ok := ScannerOf(p.L2); ok {
		return scanner.Scan(ctx, prefix, f)
	}
	return unsupported("scan")
}

// DeletePrefix implements [PrefixDeleter].
func (p PassThrough) DeletePrefix(ctx context.Context, prefix string) (int64, error) {
	if deleter, ok := PrefixDeleterOf(p.L2); ok {
		return deleter.DeletePrefix(ctx, prefix)
	}
	return 0, unsupported("delete a prefix")
}

// Prune implements [Pruner].
func (p PassThrough) Prune(ctx context.Context) (int64, error) {
	if pruner, ok := PrunerOf(p.L2); ok {
		return pruner.Prune(ctx)
	}
	return 0, unsupported("prune")
}
