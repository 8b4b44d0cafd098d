package drivers_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

func TestAPassThroughFailsForWhatTheTierBehindLacks(t *testing.T) {
	p := drivers.PassThrough{L2: struct{ drivers.L2 }{newEverything()}}
	ctx := t.Context()
	_, add := p.AddMany(ctx, nil)
	_, swap := p.SwapMany(ctx, nil)
	_, lease := p.LeaseMany(ctx, nil, drivers.LeaseRequest{Token: "token", TTL: time.Minute})
	_, fill := p.FillMany(ctx, nil, "token")
	_, renew := p.RenewMany(ctx, nil, "token", time.Minute)
	_, release := p.ReleaseMany(ctx, nil, "token")
	_, history := p.History(ctx)
	_, prefix := p.DeletePrefix(ctx, "")
	_, prune := p.Prune(ctx)
	for _, err := range []error{add, swap, lease, fill, renew, release, history, p.Scan(ctx, "", nil), prefix, prune} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
	}
}
