package wrap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// capability returns a capability of the inner tier, for an operation on so many keys.
// query is one of the queries of package drivers. It fails only for a caller who did not
// ask the query about the wrapper.
func capability[C any](w *wrapper, operation string, keys int, query func(drivers.L2) (C, bool)) (c C, err error) {
	if err := w.usable(operation, keys); err != nil {
		return c, err
	}
	c, ok := query(w.inner)
	if !ok {
		err = w.failed(operation, keys, errors.ErrUnsupported)
	}
	return c, err
}

// LeaseMany asks again where the inner tier has found a value that cannot be decoded: it is
// absent, and so it is no reason not to take the lease.
func (w *wrapper) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	leaser, err := capability(w, "lease", len(keys), drivers.LeaserOf)
	if err != nil {
		return nil, err
	}
	leases, err := w.lease(ctx, leaser, keys, want)
	if err != nil {
		return nil, err
	}
	var again []string
	var at []int
	for i, l := range leases {
		if want.IfAbsent && !l.Taken && l.Holder == "" && l.Value == nil {
			again, at = append(again, keys[i]), append(at, i)
		}
	}
	if len(again) == 0 {
		return leases, nil
	}
	want.IfAbsent = false
	second, err := w.lease(ctx, leaser, again, want)
	if err != nil {
		return nil, err
	}
	var filled []string // by another, in the meantime
	for j, i := range at {
		if leases[i] = second[j]; leases[i].Taken && leases[i].Value != nil {
			leases[i].Taken = false
			filled = append(filled, keys[i])
		}
	}
	if len(filled) > 0 {
		if _, err := leaser.ReleaseMany(ctx, filled, want.Token); err != nil {
			return nil, err
		}
	}
	return leases, nil
}

// lease returns what the inner tier found, with decoded values.
func (w *wrapper) lease(ctx context.Context, leaser drivers.Leaser, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	leases, err := leaser.LeaseMany(ctx, keys, want)
	if err != nil {
		return nil, err
	}
	if len(leases) != len(keys) {
		return nil, w.failed("lease", len(keys), fmt.Errorf("the tier returned %d results", len(leases)))
	}
	for i := range leases {
		leases[i].Value = w.decode(keys[i], leases[i].Value)
	}
	return leases, nil
}

func (w *wrapper) FillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	leaser, err := capability(w, "fill", len(items), drivers.LeaserOf)
	if err != nil {
		return nil, err
	}
	encoded, err := w.encode("fill", items)
	if err != nil {
		return nil, err
	}
	return leaser.FillMany(ctx, encoded, token)
}

func (w *wrapper) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	leaser, err := capability(w, "renew", len(keys), drivers.LeaserOf)
	if err != nil {
		return nil, err
	}
	return leaser.RenewMany(ctx, keys, token, ttl)
}

func (w *wrapper) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	leaser, err := capability(w, "release", len(keys), drivers.LeaserOf)
	if err != nil {
		return nil, err
	}
	return leaser.ReleaseMany(ctx, keys, token)
}

func (w *wrapper) History(ctx context.Context) (string, error) {
	historian, err := capability(w, "history", 0, drivers.HistorianOf)
	if err != nil {
		return "", err
	}
	return historian.History(ctx)
}

func (w *wrapper) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	scanner, err := capability(w, "scan", 0, drivers.ScannerOf)
	if err != nil {
		return err
	}
	return scanner.Scan(ctx, prefix, f)
}

func (w *wrapper) DeletePrefix(ctx context.Context, prefix string) (int64, error) {
	deleter, err := capability(w, "delete a prefix", 0, drivers.PrefixDeleterOf)
	if err != nil {
		return 0, err
	}
	return deleter.DeletePrefix(ctx, prefix)
}

func (w *wrapper) Prune(ctx context.Context) (int64, error) {
	pruner, err := capability(w, "prune", 0, drivers.PrunerOf)
	if err != nil {
		return 0, err
	}
	return pruner.Prune(ctx)
}
