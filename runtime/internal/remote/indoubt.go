package remote

import (
	"errors"
	"strings"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// InDoubtUntil returns until when an earlier write of key may still take effect; 0 if
// none may.
func (t *Tier) InDoubtUntil(key string) int64 { return t.inDoubt.Until(key) }

// MayTakeEffect reports whether a write that failed with err may take effect all the same.
func MayTakeEffect(err error) bool {
	return err != nil && !errors.Is(err, drivers.ErrRefused) && !errors.Is(err, ErrCircuitOpen) && !budget.Spent(err)
}

// markInDoubt remembers the entries that a write which failed with err may still store.
func (t *Tier) markInDoubt(items []drivers.Item, err error) {
	if !MayTakeEffect(err) || errors.Is(err, drivers.ErrAnswered) { // what is refused takes no effect later
		return
	}
	var keys []string
	for _, it := range items {
		if !strings.HasPrefix(it.Key[len(t.Prefix):], "!") { // of a stamp, any that differs will do
			keys = append(keys, it.Key)
		}
	}
	t.inDoubt.Add(keys, clock.Add(clock.Mono(), clock.Multiply(2, t.Timeout)))
}
