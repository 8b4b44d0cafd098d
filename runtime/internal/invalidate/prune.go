package invalidate

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/background"
)

// pruning removes from the shared tier, behind those who clear, what they have made invalid.
type pruning struct {
	mu      sync.Mutex
	running bool
	again   bool   // somebody has cleared since it began
	prefix  string // of the keys that are to be looked at then
}

// pruneBehind removes entries that a clear has just made invalid, and whose keys begin with
// prefix. One prune runs at a time. Nobody waits for it, and a store that is closed ends it.
func (v *Invalidator) pruneBehind(prefix string) {
	if !v.Remote.CanPruneInvalid() || !v.pruning.begin(prefix) {
		return
	}
	go func() {
		for again := true; again; prefix, again = v.pruning.next() {
			v.prune(prefix)
		}
	}()
}

// begin reports whether a prune is to begin now. If one is running, another follows it.
func (p *pruning) begin(prefix string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running {
		p.running = true
		return true
	}
	if p.again {
		prefix = common(prefix, p.prefix)
	}
	p.again, p.prefix = true, prefix
	return false
}

// next returns what to look at after a prune has ended, if anything.
func (p *pruning) next() (prefix string, again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.again = p.again, false
	return p.prefix, p.running
}

// prune carries out a prune. A store that is closing waits for the batch that is under way.
func (v *Invalidator) prune(prefix string) {
	_, err := v.Remote.PruneInvalid(v.Work.Context, prefix, func(batch func() error) error {
		if !v.Work.Enter() {
			return background.ErrClosed
		}
		defer v.Work.Leave()
		return batch()
	})
	if err != nil && !errors.Is(err, background.ErrClosed) && !errors.Is(err, drivers.ErrClosed) && !errors.Is(err, context.Canceled) {
		v.Emit.Warn("shared tier: remove what was cleared", err)
	}
}

// common returns what two texts begin with.
func common(a, b string) string {
	for !strings.HasPrefix(b, a) {
		a = a[:len(a)-1]
	}
	return a
}
