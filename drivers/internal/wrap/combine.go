package wrap

import "github.com/cachegen/cachegen/drivers"

// tier is what every wrapper is.
type tier interface {
	drivers.L2
	drivers.Checker
}

const (
	adds = 1 << iota
	swaps
	leases
	scans
	prefixes
	prunes
)

func capabilities(inner drivers.L2) (c int) {
	if _, ok := inner.(drivers.Adder); ok {
		c |= adds
	}
	if _, ok := inner.(drivers.Swapper); ok {
		c |= swaps
	}
	if _, ok := inner.(drivers.Leaser); ok {
		c |= leases
	}
	if _, ok := inner.(drivers.Scanner); ok {
		c |= scans
	}
	if _, ok := inner.(drivers.PrefixDeleter); ok {
		c |= prefixes
	}
	if _, ok := inner.(drivers.Pruner); ok {
		c |= prunes
	}
	return c
}

// combine shows of w what its tier has. Who asks for a capability does so with a type
// assertion, so each combination is a type of its own.
func combine(w *wrapper) drivers.L2 {
	c := capabilities(w.inner)
	if c&leases != 0 {
		return combineLeasing(w, c&^leases)
	}
	return combineOthers(w, c)
}
