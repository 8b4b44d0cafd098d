//go:build !race

package seeds

// Slower is how many times fewer seeds are run because the race detector is on.
const Slower = 1
