// Package doubt remembers the keys of writes that have failed and may still take effect: a
// server may have got what its client gave up. A change of such a key is not over when it has
// succeeded; the key is deleted once more when nothing can take effect any more.
//
// [Keys] has one mutex, which guards all of it and is held for a few instructions. While no
// write is in doubt, no lock is taken.
package doubt

import (
	"sync"
	"sync/atomic"

	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// Keys are those of writes in doubt. The zero Keys is ready.
type Keys struct {
	n     atomic.Int64
	mu    sync.Mutex
	until map[string]int64 // on [clock.Mono]: a clock that is set does not end a doubt
	all   int64            // until when any key may be one of them
	last  int64            // until when there may be any
}

// most bounds how many keys are remembered one by one.
const most = 10_000

// Add remembers keys until a time.
func (d *Keys) Add(keys []string, until int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until == nil {
		d.until = make(map[string]int64)
	}
	d.last = max(d.last, until)
	if len(d.until)+len(keys) > most {
		d.forgetPast()
	}
	if len(d.until)+len(keys) > most {
		d.all = max(d.all, until)
	} else {
		for _, key := range keys {
			d.until[key] = until
		}
	}
	d.count()
}

// forgetPast is called under mu.
func (d *Keys) forgetPast() {
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

func (d *Keys) count() {
	n := int64(len(d.until))
	if d.all != 0 {
		n++
	}
	d.n.Store(n)
}

// Until returns until when an earlier write of key may take effect; 0 if none may.
func (d *Keys) Until(key string) int64 {
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
