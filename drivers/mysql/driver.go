package mysql

import (
	"context"
	"errors"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

// The methods are declared one by one, and not promoted from sqltable.Table, because
// documentation does not show methods that are promoted from an internal package.

// A Driver is a shared tier in a table. It has the capabilities [drivers.Adder],
// [drivers.Swapper], [drivers.Leaser], [drivers.Historian], [drivers.Scanner],
// [drivers.PrefixDeleter], [drivers.Pruner] and [drivers.Checker]. Its methods may be called by
// many goroutines at once.
type Driver struct{ table *sqltable.Table }

var (
	_ sqltable.Store    = (*Driver)(nil)
	_ drivers.Historian = (*Driver)(nil)
)

// GetMany returns the values of keys in their order, nil where a key is absent. See
// [drivers.L2].
func (d *Driver) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	return d.table.GetMany(ctx, keys)
}

// SetMany stores items, in place of what their keys had. A large batch is stored in several
// statements, each of which is atomic. See [drivers.L2].
func (d *Driver) SetMany(ctx context.Context, items []drivers.Item) error {
	return d.table.SetMany(ctx, items)
}

// DeleteMany removes keys. See [drivers.L2].
func (d *Driver) DeleteMany(ctx context.Context, keys []string) error {
	return d.table.DeleteMany(ctx, keys)
}

// AddMany stores the items whose keys are absent, and returns the value that each key has
// then. See [drivers.Adder].
func (d *Driver) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	return d.table.AddMany(ctx, items)
}

// SwapMany replaces each value that is still the one that the swap names, and returns which
// swaps were performed. Several swaps of one key are performed in their order. See
// [drivers.Swapper].
func (d *Driver) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	return d.table.SwapMany(ctx, swaps)
}

// LeaseMany asks for leases of keys, and returns what it found. See [drivers.Leaser].
func (d *Driver) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	return d.table.LeaseMany(ctx, keys, want)
}

// FillMany stores the items whose leases token has, ends these leases, and returns what it did
// with each. See [drivers.Leaser].
func (d *Driver) FillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	return d.table.FillMany(ctx, items, token)
}

// RenewMany lets the leases that token has end after ttl from now. See [drivers.Leaser].
func (d *Driver) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	return d.table.RenewMany(ctx, keys, token, ttl)
}

// ReleaseMany ends the leases of keys that token has, and returns which of those somebody
// awaits. See [drivers.Leaser].
func (d *Driver) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	return d.table.ReleaseMany(ctx, keys, token)
}

// Scan calls f with the keys that begin with prefix, some of them at a time. While f runs,
// Scan holds no lock and no connection. See [drivers.Scanner].
func (d *Driver) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	return d.table.Scan(ctx, prefix, f)
}

// DeletePrefix removes the keys that begin with prefix, some hundred keys at a time, and
// returns how many it has removed. If it fails, what it has removed by then stays removed. See
// [drivers.PrefixDeleter].
func (d *Driver) DeletePrefix(ctx context.Context, prefix string) (int64, error) {
	return d.table.DeletePrefix(ctx, prefix)
}

// Prune removes the expired items, and returns how many it has removed. It removes some
// hundred items at a time, so that other writers need not wait long. If it fails, what it has
// removed by then stays removed. See [drivers.Pruner].
func (d *Driver) Prune(ctx context.Context) (int64, error) { return d.table.Prune(ctx) }

// History returns a text that names the server and the history of its data: the server's UUID (in
// MariaDB its host, port and server id), and the second in which it was started. If the server
// does not tell when it was started, a restart is not noticed.
//
// The driver asks when an operation has failed since it asked last, and after a second, but only
// when History is called. So a server that was started anew, or another one that has taken its
// place, is noticed at once if an operation has failed meanwhile, and after a second at the
// latest. A database that is replaced on a running server, as by a restore of a dump, is not
// noticed. See [drivers.Historian].
func (d *Driver) History(ctx context.Context) (string, error) { return d.table.History(ctx) }

// Err returns why the driver cannot be used, or nil. See [drivers.Checker].
func (d *Driver) Err() error {
	if d.table == nil {
		return errors.New("mysql: zero Driver: make it with mysql.New")
	}
	return d.table.Err()
}

// Close ends the pruning in the background and closes the prepared statements. If the server
// does not answer, Close waits for a second at most. Calls that are running, and later ones,
// fail with [drivers.ErrClosed]. The *sql.DB stays open. See [drivers.L2].
func (d *Driver) Close() error { return d.table.Close() }
