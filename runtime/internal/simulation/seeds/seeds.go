// Package seeds has the flags of the simulation, so that every package below simulation
// accepts them: go test gives its flags to all packages that it tests.
//
//	go test ./runtime/internal/simulation/... -run Simulation -seeds 10000
//	go test ./runtime/internal/simulation/... -run Simulation -seed 4711
//	go test ./runtime/internal/simulation/... -run Simulation -for 3m
package seeds

import (
	"flag"
	"math"
	"testing"
	"time"
)

var (
	count = flag.Uint64("seeds", 0, "run so many seeds of the simulation")
	first = flag.Uint64("first", 0, "begin with this seed")
	one   = flag.String("seed", "", "run one seed of the simulation, and say what happens")
	span  = flag.Duration("for", 0, "run seeds of the simulation for so long")
)

// usual is how many seeds go test runs by itself, and short how many with -short.
const usual, short = 1600, 240

// One returns the seed that is to be repeated, if there is one.
func One() (seed uint64, ok bool) {
	if *one == "" {
		return 0, false
	}
	for _, digit := range *one {
		if digit < '0' || digit > '9' {
			panic("the flag -seed must be a number")
		}
		seed = 10*seed + uint64(digit-'0')
	}
	return seed, true
}

// First returns the seed to begin with.
func First() uint64 { return *first }

// Count returns how many seeds are to be run.
func Count() uint64 {
	switch {
	case *count > 0:
		return *count
	case *span > 0:
		return math.MaxInt64
	case testing.Short():
		return short / Slower
	}
	return usual / Slower
}

// More reports whether there is time for more seeds in a test that has begun then.
func More(began time.Time) bool { return *span == 0 || time.Since(began) < *span }
