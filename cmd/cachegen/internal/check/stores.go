package check

import (
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
)

// inStore sets the handle through which w reaches a store, for a target that is a tag or namespace.
func (p targetRule) inStore(w *facts.Writer, t *facts.Target, store string) bool {
	if t.Handle = p.storeHandle(w, store); t.Handle == nil {
		p.addf(t.Pos, diag.Target, "%s cannot reach the store of %s: only generic types have caches in it", w.Label(), t.Text).
			Hintf("annotate a function that is not generic, or move this one to the generic type")
		return false
	}
	return true
}

// storeHandle picks a cache of a store for tags, if possible one that the writer has a handle on
// anyway.
func (p targetRule) storeHandle(w *facts.Writer, store string) *facts.Cache {
	rank := func(c *facts.Cache) int {
		switch {
		case w.Recv != nil && c.Recv == w.Recv:
			return 0
		case c.Recv == nil:
			return 1
		}
		return 2
	}
	var best *facts.Cache
	for _, c := range p.Caches {
		if c.Generic() && rank(c) > 0 {
			continue // which of its caches?
		}
		if c.Store == store && (best == nil || rank(c) < rank(best)) {
			best = c
		}
	}
	return best
}
