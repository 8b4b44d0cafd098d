package sqlite

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

// The methods are declared one by one, and not promoted from sqltable.Table, because
// documentation does not show methods that are promoted from an internal package.

// A Driver is a shared tier in one table, with the capabilities [drivers.Adder],
// [drivers.Swapper], [drivers.Leaser], [drivers.Scanner], [drivers.PrefixDeleter],
// [drivers.Pruner] and [drivers.Checker]. Its methods may be called by many goroutines
// at once.
type Driver struct{ table *sqltable.Table }

var _ sqltable.Store = (*Driver)(nil)

// GetMany implements [drivers.L2].
func (d *Driver) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	return d.table.GetMany(ctx, keys)
}

// SetMany implements [drivers.L2]. A large batch is stored in several statements, each of
// which is atomic.
func (d *Driver) SetMany(ctx context.Context, items []drivers.Item) error {
	return d.table.SetMany(ctx, items)
}

// DeleteMany implements [drivers.L2].
func (d *Driver) DeleteMany(ctx context.Context, keys []string) error {
	return d.table.DeleteMany(ctx, keys)
}

// AddMany implements [drivers.Adder].
func (d *Driver) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	return d.table.AddMany(ctx, items)
}

// SwapMany implements [drivers.Swapper]. Several swaps of one key are performed in their
// order.
func (d *Driver) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	return d.table.SwapMany(ctx, swaps)
}

// LeaseMany implements [drivers.Leaser].
func (d *Driver) LeaseMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	return d.table.LeaseMany(ctx, keys, token, ttl)
}

// FillMany implements [drivers.Leaser].
func (d *Driver) FillMany(ctx context.Context, items []drivers.Item, token string) ([]bool, error) {
	return d.table.FillMany(ctx, items, token)
}

// ReleaseMany implements [drivers.Leaser].
func (d *Driver) ReleaseMany(ctx context.Context, keys []string, token string) error {
	return d.table.ReleaseMany(ctx, keys, token)
}

// Scan implements [drivers.Scanner]. It calls f between statements: while f runs, Scan
// holds no lock and no connection.
func (d *Driver) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	return d.table.Scan(ctx, prefix, f)
}

// DeletePrefix implements [drivers.PrefixDeleter]. It removes some hundred keys at a
// time; those removed by a call that then fails stay removed.
func (d *Driver) DeletePrefix(ctx context.Context, prefix string) (int64, error) {
	return d.table.DeletePrefix(ctx, prefix)
}

// Prune implements [drivers.Pruner]. It removes some hundred items at a time, so that
// other writers are not kept waiting; those removed by a call that then fails stay
// removed.
func (d *Driver) Prune(ctx context.Context) (int64, error) { return d.table.Prune(ctx) }

// Err implements [drivers.Checker]: it returns why the options are unusable, or nil.
func (d *Driver) Err() error { return d.table.Err() }

// Close implements [drivers.L2]. It ends background pruning and closes the prepared
// statements, for at most a second if the server does not answer. Calls that are running
// fail with [drivers.ErrClosed].
func (d *Driver) Close() error { return d.table.Close() }
