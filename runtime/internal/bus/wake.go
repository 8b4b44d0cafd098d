package bus

import (
	"context"

	"github.com/cachegen/cachegen/runtime/internal/breaker"
)

// maxWakes bounds how many keys wait to be told of in a wake-up. Who is not told asks again
// after a while anyway.
const maxWakes = 10_000

// wakes are the keys whose leases have ended, and of which the others are not told yet. It is
// a part of the sender, whose mutex guards it.
type wakes struct {
	keys    []string
	running bool
}

// PublishFilled tells the other processes that the leases of keys have ended, soon and without
// keeping its caller. Nobody is told again if that fails, and while the bus takes nothing it
// is not tried.
func (c *Conn) PublishFilled(keys []string) {
	if c == nil || len(keys) == 0 || c.breaker.State() != breaker.Closed {
		return
	}
	s := &c.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(keys), maxWakes-len(s.wakes.keys))
	s.wakes.keys = append(s.wakes.keys, keys[:n]...)
	if !s.wakes.running && c.begin() {
		s.wakes.running = true
		go func() {
			defer c.running.Done()
			for keys := c.nextWakes(); len(keys) > 0; keys = c.nextWakes() {
				c.wake(keys)
			}
		}()
	}
}

// nextWakes returns the keys that wait.
func (c *Conn) nextWakes() (keys []string) {
	s := &c.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, s.wakes.keys = s.wakes.keys, nil
	s.wakes.running = len(keys) > 0
	return keys
}

// wake publishes wake-ups until one fails. Messages that count do not wait for them: those are
// no reason to be late, and have no numbers that could come in the wrong order.
func (c *Conn) wake(keys []string) {
	for limit, _ := c.limits(); len(keys) > 0; {
		n := fit(keys, limit)
		if c.tell([]Change{{Filled, keys[:n]}}) != nil {
			return
		}
		keys = keys[n:]
	}
}

// tell publishes a message that does not count: what it costs that it fails is not worth an
// error, a second try or a look at the breaker.
func (c *Conn) tell(changes []Change) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.timeout)
	defer cancel()
	return c.try(ctx, Append(nil, c.message(changes)))
}
