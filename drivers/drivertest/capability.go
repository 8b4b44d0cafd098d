package drivertest

import (
	"strings"
	"testing"

	"github.com/cachegen/cachegen/drivers"
)

// An Option of [L2] is a [Capability] or [Limits].
type Option interface{ apply(*options) }

type options struct {
	required Capability
	limit    Limits
}

// A Capability is an optional capability of a shared tier, or several of them, combined with
// |. As an option of [L2] it says that the tier must have them.
type Capability uint

// The capabilities, each with its interface.
const (
	Adds            Capability = 1 << iota // [drivers.Adder]
	Swaps                                  // [drivers.Swapper]
	Leases                                 // [drivers.Leaser]
	Scans                                  // [drivers.Scanner]
	DeletesPrefixes                        // [drivers.PrefixDeleter]
	Prunes                                 // [drivers.Pruner]
	ReadyChecks                            // [drivers.ReadyChecker]
	TellsHistory                           // [drivers.Historian]
)

// capabilities has, in the order of the constants, the name of each interface, the query
// for it and the tests of it.
var capabilities = []struct {
	name  string
	has   func(drivers.L2) bool
	tests func(run func(string, func(*testing.T, l2)))
}{
	{"Adder", has(drivers.AdderOf), l2Adder},
	{"Swapper", has(drivers.SwapperOf), l2Swapper},
	{"Leaser", has(drivers.LeaserOf), l2Leaser},
	{"Scanner", has(drivers.ScannerOf), l2Scanner},
	{"PrefixDeleter", has(drivers.PrefixDeleterOf), l2PrefixDeleter},
	{"Pruner", has(drivers.PrunerOf), l2Pruner},
	{"ReadyChecker", has(readyCheckerOf), l2ReadyChecker},
	{"Historian", has(drivers.HistorianOf), l2Historian},
}

func readyCheckerOf(store drivers.L2) (drivers.ReadyChecker, bool) {
	return drivers.ReadyCheckerOf(store)
}

func has[C any](query func(drivers.L2) (C, bool)) func(drivers.L2) bool {
	return func(store drivers.L2) bool {
		_, ok := query(store)
		return ok
	}
}

// mustHave returns the capability that a query has found. Every handle to a store must have
// the capabilities of the first handle.
func mustHave[C any](capability C, ok bool) C {
	if !ok {
		panic("drivertest: a handle lacks a capability that another handle to the same store has")
	}
	return capability
}

// String returns the names of the interfaces.
func (c Capability) String() string {
	var names []string
	for i, capability := range capabilities {
		if c&(1<<i) != 0 {
			names = append(names, capability.name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (c Capability) apply(o *options) { o.required |= c }

// Of returns the capabilities that store has, as the functions of package drivers find them.
func Of(store drivers.L2) (c Capability) {
	for i, capability := range capabilities {
		if capability.has(store) {
			c |= 1 << i
		}
	}
	return c
}
