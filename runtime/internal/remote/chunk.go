package remote

import (
	"context"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/pace"
)

// chunkBytes bounds the values of a chunk that is written.
const chunkBytes = 4 << 20

// ReadChunk returns how many of n keys are to be read at a time; most, if not zero, is what the
// user allows.
func (t *Tier) ReadChunk(n, most int) int { return t.pace.reads.Of(n, most) }

// WriteChunk is ReadChunk for keys that are changed.
func (t *Tier) WriteChunk(n, most int) int { return t.pace.writes.Of(n, most) }

// chunked runs do for ranges of n keys, one after the other, until one fails or ctx ends. size
// returns the bytes of a key's value; nil: they do not count.
func (t *Tier) chunked(ctx context.Context, p *pace.Pace, n int, limit time.Duration, size func(i int) int, do func(from, to int) error) error {
	for from := 0; from == 0 || from < n; {
		to, bytes := from, 0
		for most := p.Keys(); to < n && to-from < most; to++ {
			if size != nil {
				if bytes += size(to); bytes > chunkBytes && to > from {
					break
				}
			}
		}
		if from > 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		began := time.Now()
		err := do(from, to)
		p.Took(to-from, time.Since(began), limit, err)
		if err != nil || n == 0 {
			return err
		}
		from = to
	}
	return nil
}

func valueSize(items []drivers.Item) func(int) int {
	return func(i int) int { return len(items[i].Key) + len(items[i].Value) }
}
