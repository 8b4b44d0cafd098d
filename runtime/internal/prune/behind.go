package prune

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/background"
)

// behind is the prune behind those who clear.
type behind struct {
	mu      sync.Mutex
	running bool
	again   bool   // somebody has cleared since it began
	prefix  string // of the keys that are to be looked at then
}

// Behind removes entries that a clear has just made invalid, and whose keys begin with
// prefix. One prune runs at a time. Nobody waits for it, and a store that is closed ends it.
func (p *Pruner) Behind(prefix string) {
	if !p.can() || !p.behind.begin(prefix) {
		return
	}
	go func() {
		for again := true; again; prefix, again = p.behind.next() {
			p.prune(prefix)
		}
	}()
}

// begin reports whether a prune is to begin now. If one is running, another follows it.
func (b *behind) begin(prefix string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		b.running = true
		return true
	}
	if b.again {
		prefix = common(prefix, b.prefix)
	}
	b.again, b.prefix = true, prefix
	return false
}

// next returns what to look at after a prune has ended, if anything.
func (b *behind) next() (prefix string, again bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running, b.again = b.again, false
	return b.prefix, b.running
}

// prune carries out a prune. A store that is closing waits for the batch that is under way.
func (p *Pruner) prune(prefix string) {
	_, err := p.invalid(p.Work.Context, prefix, func(batch func() error) error {
		if !p.Work.Enter() {
			return background.ErrClosed
		}
		defer p.Work.Leave()
		return batch()
	})
	if err != nil && !errors.Is(err, background.ErrClosed) && !errors.Is(err, drivers.ErrClosed) && !errors.Is(err, context.Canceled) {
		p.Emit.Warn("shared tier: remove what was cleared", err)
	}
}

// common returns what two texts begin with.
func common(a, b string) string {
	for !strings.HasPrefix(b, a) {
		a = a[:len(a)-1]
	}
	return a
}
