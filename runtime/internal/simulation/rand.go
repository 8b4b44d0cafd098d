package simulation

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

// A lockedRand is random numbers that the goroutines of one part of a simulation share.
// Which of them gets which number is up to their order, and goroutines of one instant run
// in any order, also in virtual time. So each part has a sequence of its own: a number more
// that is drawn in one part changes nothing in another.
type lockedRand struct {
	mu  sync.Mutex
	rng *rand.Rand // guarded by mu
}

// newRand returns the numbers of one part of the simulation of a seed.
func newRand(seed uint64, part string) *lockedRand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(part))
	return &lockedRand{rng: rand.New(rand.NewPCG(seed, h.Sum64()))}
}

// uint64 is a random.Source.
func (r *lockedRand) uint64(string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rng.Uint64()
}

// below returns a number from 0 up to, but not including, n; 0 if n is not positive.
func (r *lockedRand) below(n int64) int64 {
	if n <= 0 {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rng.Int64N(n)
}

// happens is true n times in a thousand.
func (r *lockedRand) happens(n int) bool { return n > 0 && r.below(1000) < int64(n) }

// upTo returns a duration up to d, to the nanosecond: hardly two things happen at once.
func (r *lockedRand) upTo(d time.Duration) time.Duration { return time.Duration(r.below(int64(d) + 1)) }

// pick returns one of several.
func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }
