package invalidate

import (
	"strings"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/fence"
)

// A Handler carries out what the bus reports.
type Handler struct{ *Invalidator }

var _ bus.Handler = Handler{}

// Connected leaves nothing that may have been missed confirmed, and tries at once what is
// pending. Often the bus and the shared tier are one server.
func (h Handler) Connected() {
	h.Remote.TryNow()
	h.Missed()
	h.Outbox.Wake()
}

// Disconnected has every item looked at anew, so that it finds its new limit.
func (h Handler) Disconnected() { h.Memory.Recheck() }

// Missed leaves nothing confirmed: any of it may have changed, and what is loaded now may lag. The
// shared tier would tell of that, but not everybody asks it.
func (h Handler) Missed() {
	h.Lag.All()
	h.Memory.Unconfirm()
}

// Woken tells those who wait for a lease that it has ended.
func (h Handler) Woken(keys []string) { h.Memory.Waiters.Wake(keys...) }

// Received takes over what another process has changed.
func (h Handler) Received(m bus.Change) {
	if h.Remote.Exists() && (m.Kind == bus.Drop || m.Kind == bus.Expire) {
		h.Outbox.RedeleteLater(m.Names) // what this process has written too late
	}
	switch m.Kind {
	case bus.Drop, bus.Expire:
		h.Lag.Keys(m.Names)
	case bus.DeleteStamp, bus.ExpireStamp:
		h.Lag.Stamps(m.Names)
	}
	switch m.Kind {
	case bus.Drop:
		h.Memory.Invalidate(m.Names, func(_ int, hash uint64, _ fence.Mark) { h.Memory.Delete(hash) })
	case bus.Expire:
		h.Memory.Invalidate(m.Names, func(i int, hash uint64, _ fence.Mark) { h.Memory.Expire(m.Names[i], hash) })
	case bus.DeleteStamp, bus.ExpireStamp:
		for _, name := range m.Names {
			h.Stamps.Change(name, m.Kind == bus.ExpireStamp, h.Remote.Exists())
		}
	}
}

// Changed takes over what anybody has changed in the shared tier, by hand for example. The
// server does not tell who it was: of what this process has written itself, the tier is
// asked what it holds.
func (h Handler) Changed(keys []string) {
	var others, own []string
	for _, key := range keys {
		if h.Remote.WroteLately(key) {
			own = append(own, key)
		} else {
			others = append(others, key)
		}
	}
	h.changed(others)
	if len(own) > 0 {
		h.tellApart(own)
	}
}

// changed takes over what others have changed in the shared tier.
func (h Handler) changed(keys []string) {
	var entries []string
	for _, key := range keys {
		name, ok := strings.CutPrefix(key, h.Remote.Prefix)
		reserved, isReserved := strings.CutPrefix(name, "!")
		switch {
		case !ok:
		case !isReserved:
			entries = append(entries, key)
		case h.Remote.Exists() && strings.HasPrefix(reserved, "s:"): // made, extended, changed or removed
			h.Stamps.Suspect(reserved[2:])
		}
	}
	if len(entries) > 0 {
		emit.Event(h.Emit, h.Emit.Hooks().Received, event.Message{Store: h.Emit.Store, Kind: "changed", Targets: entries})
		h.Memory.Invalidate(entries, func(_ int, hash uint64, _ fence.Mark) { h.Memory.Delete(hash) })
	}
}
