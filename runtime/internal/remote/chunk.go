package remote

import "github.com/cachegen/cachegen/drivers"

// ReadChunk returns how many of n keys are to be read at a time; most, if not zero, is what the
// user allows.
func (t *Tier) ReadChunk(n, most int) int { return t.pace.reads.Of(n, most) }

// WriteChunk is ReadChunk for keys that are changed.
func (t *Tier) WriteChunk(n, most int) int { return t.pace.writes.Of(n, most) }

func valueSize(items []drivers.Item) func(int) int {
	return func(i int) int { return len(items[i].Key) + len(items[i].Value) }
}
