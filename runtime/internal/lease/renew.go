package lease

import (
	"maps"
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// renewAfter sees to it that the leases are renewed in a while, or at once. It is called under
// leases.mu.
func (h *Holding) renewAfter(d time.Duration) {
	switch {
	case h.closed || len(h.uses) == 0:
	case h.timer == nil:
		h.timer = time.AfterFunc(max(d, 0), h.renew)
	case d <= 0: // sooner than the others
		h.timer.Reset(0)
	}
}

// renew renews the leases that can still be used, gives back the others, and sees to the next
// time.
func (h *Holding) renew() {
	l := h.leases
	byToken := h.beginRenewal()
	if byToken == nil {
		return
	}
	defer l.work.Leave()
	for _, token := range slices.Sorted(maps.Keys(byToken)) {
		uses := byToken[token]
		keys := make([]string, len(uses))
		for i, u := range uses {
			keys[i] = u.key
		}
		began := clock.Mono()
		has, _ := l.remote.Renew(l.work.Context, keys, token, l.TTL)
		l.mu.Lock()
		for i, has := range has {
			if has {
				uses[i].until = clock.Add(began, l.TTL)
			} else {
				l.end(uses[i].lease)
			}
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !h.closed {
		h.timer.Reset(l.TTL / 3)
	}
}

// beginRenewal returns the leases to be renewed. If there may be some, the caller has entered
// the work of the store; nil says that the holding is closed.
func (h *Holding) beginRenewal() map[string][]use {
	l := h.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.closed || !l.work.EnterUnlessDone() {
		return nil
	}
	byToken := make(map[string][]use)
	var useless []string
	for _, key := range slices.Sorted(maps.Keys(h.uses)) {
		u := h.uses[key]
		switch {
		case u.over:
		case u.flight.Poisoned():
			useless = append(useless, u.key)
		default:
			byToken[u.token] = append(byToken[u.token], u)
		}
	}
	h.release(useless...)
	return byToken
}
