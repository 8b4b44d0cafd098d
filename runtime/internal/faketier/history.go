package faketier

import (
	"context"
	"maps"

	"github.com/cachegen/cachegen/drivers"
)

var _ drivers.Historian = (*Shared)(nil)

// History implements drivers.Historian. It is no operation, as of a driver that has not to ask
// its server: neither Before nor After hears of it.
func (s *Shared) History(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return "", s.down
	}
	if s.unknown {
		return "", nil
	}
	return "history " + s.history, nil
}

// CannotTell says whether History does not know it.
func (s *Shared) CannotTell(unknown bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unknown = unknown
}

// Untold returns the tier as one that does not tell its history.
func Untold(s *Shared) drivers.L2 {
	return struct {
		drivers.L2
		drivers.Adder
		drivers.Swapper
	}{s, s, s}
}

// A Snapshot is what a tier held at a moment.
type Snapshot struct{ items map[string]stored }

// Snapshot returns what the tier holds. The zero Snapshot is an empty tier.
func (s *Shared) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Snapshot{maps.Clone(s.items)}
}

// Restore makes the tier hold what it held, and names its new history. TTLs have gone on.
func (s *Shared) Restore(to Snapshot, history string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items, s.history = maps.Clone(to.items), history
}
