package history

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/clock"
)

// counterTTL is how long the record of a process is kept: a process that has ended leaves
// nothing for longer, and one that was idle for longer begins anew.
const counterTTL = 24 * time.Hour

// A Counter is a number of this process in a tier that does not tell its history. It is raised
// while the store is used, by compare-and-swap, and is read together with the store's stamp. Is
// it lower than this process knows it, or absent, the tier has gone back, or has lost it: both
// are answered in the same way. What the tier loses within the time between two raises may go
// unnoticed.
type Counter struct {
	Key string
	// Every is how often it is raised at most.
	Every time.Duration
	// Swap carries out a swap.
	Swap func(drivers.Swap) (swapped bool, err error)
	// Go runs a function in the background, unless the store is closed.
	Go func(func())
	// WentBack is called once for each time that the number has gone back. Until it returns,
	// no read is believed.
	WentBack func()

	mu       sync.Mutex
	low      uint64 // what is known to be in the tier; 0: nothing
	high     uint64 // the highest that may be there
	until    int64  // when the tier forgets the record by itself, as it was when low was stored
	next     int64  // not to be raised before
	turn     uint64 // how often it has gone back
	reacting bool
}

// A Look is a read of the record that begins.
type Look struct{ low, turn uint64 }

// Look begins a read of the record.
func (c *Counter) Look() Look {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Look{c.low, c.turn}
}

// Saw ends a read of the record. It fails with [ErrWentBack] if what was read with it is not to
// be believed.
func (c *Counter) Saw(look Look, value []byte) error {
	found := uint64(0)
	if len(value) == 8 {
		found = binary.BigEndian.Uint64(value)
	}
	believed, first := c.judge(look, found)
	if first {
		c.WentBack()
		c.reacted(found)
	}
	if next, ok := c.raise(); ok {
		look := c.Look()
		c.Go(func() {
			until := clock.Add(clock.Now(), counterTTL) // before it is stored
			swapped, err := c.Swap(drivers.Swap{Key: c.Key, Old: value, New: binary.BigEndian.AppendUint64(nil, next), TTL: counterTTL})
			if swapped && err == nil {
				c.raised(look, next, until)
			}
		})
	}
	if !believed {
		return ErrWentBack
	}
	return nil
}

// judge reports whether a number is one that the tier may have now, and if not, whether the
// caller is the first to see it.
func (c *Counter) judge(look Look, found uint64) (believed, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.reacting || look.turn != c.turn:
		return false, false
	case look.low == 0, found >= look.low && found <= c.high:
		return true, false
	case found == 0 && clock.Now() >= c.until: // this process was idle for so long
		c.low = 0
		return true, false
	}
	c.reacting = true
	c.turn++
	return false, true
}

// reacted takes what was found for what there is, if it can be a number of this process.
func (c *Counter) reacted(found uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reacting, c.low, c.next = false, 0, 0
	if found <= c.high {
		c.low = found
	}
}

// raise returns the number that is to be stored next, if it is time.
func (c *Counter) raise() (next uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := clock.Now()
	if c.reacting || now < c.next {
		return 0, false
	}
	c.next = clock.Add(now, c.Every)
	c.high++ // a swap whose answer was lost takes no effect after the next one
	return c.high, true
}

// raised says that a number has been stored.
func (c *Counter) raised(look Look, number uint64, until int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if look.turn == c.turn && number > c.low {
		c.low, c.until = number, until
	}
}
