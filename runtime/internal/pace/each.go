package pace

import (
	"context"
	"time"
)

// chunkBytes bounds the values of a chunk that is written.
const chunkBytes = 4 << 20

// Each runs do for ranges of n keys, one after the other, until one fails or ctx ends. limit is
// the time limit of each. size returns the bytes of a key's value; nil: they do not count.
func (p *Pace) Each(ctx context.Context, n int, limit time.Duration, size func(i int) int, do func(from, to int) error) error {
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
