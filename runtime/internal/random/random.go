// Package random is where the runtime gets its random numbers from, so that a
// simulation can give it others: those of a seed that it can run again. Goroutines that draw at
// the same time do so in any order: therefore who draws says what the number is for, and a
// simulation gives each thing its own sequence.
//
// A [Source] may be called by many goroutines at once. The package holds two lock-free
// variables, which only the simulation writes.
package random

import (
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
)

// A Source returns random numbers. What a number is for, a key or a stamp, is for simulations alone.
type Source func(what string) uint64

// Below returns a number from 0 up to, but not including, n, which is positive.
func (s Source) Below(what string, n int64) int64 { return int64(s(what) % uint64(n)) }

// NonZero returns a number that is not 0.
func (s Source) NonZero(what string) uint64 {
	for {
		if n := s(what); n != 0 {
			return n
		}
	}
}

var replaced atomic.Pointer[func(store string) Source]

// ForStore returns the source of the store of that name: math/rand/v2's, unless it has
// been replaced.
func ForStore(store string) Source {
	if f := replaced.Load(); f != nil {
		return (*f)(store)
	}
	return func(string) uint64 { return rand.Uint64() }
}

// Replace makes ForStore call f, for stores that are made from now on, until restore is
// called. It is for the simulation.
func Replace(f func(store string) Source) (restore func()) {
	old := replaced.Swap(&f)
	return func() { replaced.Store(old) }
}

var seed atomic.Pointer[maphash.Seed]

// HashSeed returns a new seed for hashes, of which some results depend: whose stripes two
// names share. It is the same each time if it has been replaced.
func HashSeed() maphash.Seed {
	if s := seed.Load(); s != nil {
		return *s
	}
	return maphash.MakeSeed()
}

// ReplaceHashSeed makes HashSeed return s, until restore is called. It is for the simulation,
// which takes one under which none of its names share a stripe.
func ReplaceHashSeed(s maphash.Seed) (restore func()) {
	old := seed.Swap(&s)
	return func() { seed.Store(old) }
}
