package lease

import (
	"context"
	"errors"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/remote"
)

// A Filled says what became of an item that was to be stored. If it was not stored and there is
// no error, the load does not have the lease any more: its key has been changed, or the load has
// taken longer than it was able to renew the lease.
type Filled struct {
	Stored bool
	Err    error
}

// Fill stores items under the leases of their keys, which end with that. Of an item that has an
// error, the lease is to be released.
func (h *Holding) Fill(ctx context.Context, items []drivers.Item) []Filled {
	filled := make([]Filled, len(items))
	var tokens []string
	byToken := make(map[string][]int)
	leases := make([]*lease, len(items))
	for i, it := range items {
		if leases[i] = h.of(it.Key); leases[i] == nil {
			continue
		}
		token := leases[i].token
		if byToken[token] == nil {
			tokens = append(tokens, token)
		}
		byToken[token] = append(byToken[token], i)
	}
	for _, token := range tokens {
		at := byToken[token]
		err := h.fill(ctx, items, at, leases, filled)
		if len(at) > 1 && errors.Is(err, drivers.ErrRefused) {
			// One that the tier refuses does not keep the others from being stored.
			for _, i := range at {
				if filled[i].Err != nil {
					_ = h.fill(ctx, items, []int{i}, leases, filled)
				}
			}
		}
	}
	return filled
}

// fill stores items that have one token.
func (h *Holding) fill(ctx context.Context, items []drivers.Item, at []int, leases []*lease, filled []Filled) error {
	l, some := h.leases, make([]drivers.Item, len(at))
	for n, i := range at {
		some[n] = items[i]
	}
	fills, err := l.remote.FillLeased(ctx, some, leases[at[0]].token)
	keys, awaited := make([]string, len(fills)), make([]bool, len(fills))
	l.mu.Lock()
	for n, f := range fills {
		keys[n], awaited[n] = some[n].Key, f.Awaited
		filled[at[n]] = Filled{Stored: f.Stored}
		l.end(leases[at[n]])
	}
	l.mu.Unlock()
	for _, i := range at[len(fills):] {
		// Without an answer, who has stood still has as good as lost the lease.
		if l.has(leases[i]) || !remote.MayTakeEffect(err) {
			filled[i] = Filled{Err: err}
		}
	}
	l.tell(keys, awaited)
	return err
}

// tell tells the other processes of those of keys whose leases were awaited.
func (l *Leases) tell(keys []string, awaited []bool) {
	var told []string
	for i, was := range awaited {
		if was {
			told = append(told, keys[i])
		}
	}
	if len(told) > 0 && l.Filled != nil {
		l.Filled(told)
	}
}
