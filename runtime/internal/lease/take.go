package lease

import (
	"context"
	"maps"
	"slices"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/remote"
)

// An answer is what was found out about the lease of a key.
type answer struct {
	taken bool
	drivers.Lease
	known bool // the tier has answered
	later bool // it was not asked for yet
}

// take asks for the leases of keys. An error is why some have no answer: those are not taken.
func (h *Holding) take(ctx context.Context, keys []*Key, want drivers.LeaseRequest) ([]answer, error) {
	answers := make([]answer, len(keys))
	open := h.share(keys, answers)
	if len(open) == 0 {
		return answers, nil
	}
	if err := h.request(ctx, keys, open, want, answers); err != nil {
		return answers, err
	}
	// What this store itself has left behind, or cannot use any more, is in nobody's way.
	var own []int
	byToken := make(map[string][]string)
	for _, i := range open {
		if holder := answers[i].Holder; h.leases.own(holder) {
			own = append(own, i)
			byToken[holder] = append(byToken[holder], keys[i].Name)
		}
	}
	for _, token := range slices.Sorted(maps.Keys(byToken)) {
		names := byToken[token]
		awaited, err := h.leases.remote.Release(ctx, names, token)
		h.leases.tell(names, awaited)
		if err != nil {
			return answers, err
		}
	}
	if len(own) == 0 {
		return answers, nil
	}
	return answers, h.request(ctx, keys, own, want, answers)
}

// share takes those leases that another load of this store has and that may be shared, and
// returns which keys are still open.
func (h *Holding) share(keys []*Key, answers []answer) (open []int) {
	l := h.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, k := range keys {
		if other := l.byKey[k.Name]; k.Share && other != nil && !h.closed {
			other.users++
			h.use(other, k.Flight)
			answers[i].taken = true
			k.Seen = nil // by whom and before what is not known
			continue
		}
		open = append(open, i)
	}
	if len(open) < len(keys) {
		h.renewAfter(l.TTL / 3)
	}
	return open
}

// request asks the tier for the leases of those keys that are open, some at a time. Where that
// takes so long that they could not be renewed in time, the rest is left for later.
func (h *Holding) request(ctx context.Context, keys []*Key, open []int, want drivers.LeaseRequest, answers []answer) error {
	want.Token, want.TTL = h.leases.newToken(h.fingerprint, keys[open[0]].Name), h.leases.TTL
	for began := clock.Mono(); len(open) > 0; {
		n := h.leases.remote.WriteChunk(len(open), 0)
		if err := h.requestSome(ctx, keys, open[:n], want, answers); err != nil {
			return err
		}
		if open = open[n:]; len(open) > 0 && clock.Span(began, clock.Mono()) > h.leases.TTL/3 {
			for _, i := range open {
				answers[i].later = true
			}
			break
		}
		budget.Answered(ctx)
	}
	return nil
}

func (h *Holding) requestSome(ctx context.Context, keys []*Key, open []int, want drivers.LeaseRequest, answers []answer) error {
	l, names := h.leases, make([]string, len(open))
	for n, i := range open {
		names[n] = keys[i].Name
	}
	asked := clock.Mono()
	found, err := l.remote.Lease(ctx, names, want)
	l.mu.Lock()
	defer l.mu.Unlock()
	if remote.MayTakeEffect(err) {
		l.giveBack(&back{token: want.Token, keys: names[len(found):], lands: clock.Add(asked, clock.Multiply(2, l.remote.Timeout))})
	}
	var late []string // the load has been given up meanwhile
	for n, f := range found {
		i := open[n]
		answers[i] = answer{Lease: f, known: true}
		switch {
		case !f.Taken:
		case h.closed:
			late = append(late, names[n])
		default:
			taken := &lease{key: names[n], token: want.Token, users: 1, until: clock.Add(asked, l.TTL)}
			l.byKey[names[n]] = taken
			h.use(taken, keys[i].Flight)
			answers[i].taken = true
		}
	}
	if len(late) > 0 {
		l.giveBack(&back{token: want.Token, keys: late})
	}
	h.renewAfter(l.TTL/3 - clock.Span(asked, clock.Mono()))
	return err
}
