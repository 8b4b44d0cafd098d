package remote

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// inDoubt remembers the keys of writes that have failed and may still take effect: a
// server may have got what its client gave up. A change of such a key is not over when
// it has succeeded; the key is deleted once more when nothing can take effect any more.
type inDoubt struct {
	n     atomic.Int64
	mu    sync.Mutex
	until map[string]int64 // on [clock.Mono]: a clock that is set does not end a doubt
	all   int64            // until when any key may be one of them
	last  int64            // until when there may be any
}

// maxInDoubt bounds how many keys are remembered one by one.
const maxInDoubt = 10_000

// add remembers keys until a time.
func (d *inDoubt) add(keys []string, until int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until == nil {
		d.until = make(map[string]int64)
	}
	d.last = max(d.last, until)
	if len(d.until)+len(keys) > maxInDoubt {
		d.forgetPast()
	}
	if len(d.until)+len(keys) > maxInDoubt {
		d.all = max(d.all, until)
	} else {
		for _, key := range keys {
			d.until[key] = until
		}
	}
	d.count()
}

// forgetPast is called under mu.
func (d *inDoubt) forgetPast() {
	t := clock.Mono()
	for key, until := range d.until {
		if t >= until {
			delete(d.until, key)
		}
	}
	if t >= d.all {
		d.all = 0
	}
}

func (d *inDoubt) count() {
	n := int64(len(d.until))
	if d.all != 0 {
		n++
	}
	d.n.Store(n)
}

// of returns until when an earlier write of key may take effect; 0 if none may.
func (d *inDoubt) of(key string) int64 {
	if d.n.Load() == 0 {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t := clock.Mono()
	if t >= d.last { // one by one only when there is no room: this is asked of every key that changes
		clear(d.until)
		d.all, d.last = 0, 0
		d.count()
		return 0
	}
	if until := max(d.until[key], d.all); until > t {
		return until
	}
	return 0
}

// InDoubtUntil returns until when an earlier write of key may still take effect; 0 if
// none may.
func (t *Tier) InDoubtUntil(key string) int64 { return t.inDoubt.of(key) }

// MayTakeEffect reports whether a write that failed with err may take effect all the same.
func MayTakeEffect(err error) bool {
	return err != nil && !errors.Is(err, drivers.ErrRefused) && !errors.Is(err, ErrCircuitOpen)
}

// markInDoubt remembers the entries that a write which failed with err may still store.
func (t *Tier) markInDoubt(items []drivers.Item, err error) {
	if !MayTakeEffect(err) || errors.Is(err, drivers.ErrAnswered) { // what is refused takes no effect later
		return
	}
	var keys []string
	for _, it := range items {
		if !strings.HasPrefix(it.Key[len(t.Prefix):], "!") { // of a stamp, any that differs will do
			keys = append(keys, it.Key)
		}
	}
	t.inDoubt.add(keys, clock.Add(clock.Mono(), clock.Multiply(2, t.Timeout)))
}
