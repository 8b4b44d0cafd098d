package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/breaker"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/guard"
)

// A sender publishes one message at a time, so that messages arrive in the order of their
// numbers, and all that callers want to say meanwhile goes into the next ones together. Who
// finds nothing under way publishes on his own goroutine.
type sender struct {
	mu      sync.Mutex // guards all of it, and what is open of a publication
	busy    bool       // a message is under way, or about to be
	waiting []*publication
	number  uint64 // of the last message that was tried
	taken   uint64 // of the last one that the bus has taken for certain
	takenAt int64  // when that was known, of clock.Mono
	wakes   wakes
}

// A publication is what one caller wants to say.
type publication struct {
	kind    Kind
	open    []string // not said yet
	end     time.Time
	patient bool
	left    bool // nobody waits for it any more
	err     error
	done    chan struct{} // closed when all is said, or err is why not
}

// Publish tells the other processes that names have changed, in as many messages as the bus
// needs for them, within the time that is left of a write. It returns those that the others have not been told of, with the error. After
// a failure it may fail without trying.
func (c *Conn) Publish(ctx context.Context, kind Kind, names []string) (open []string, err error) {
	if c == nil || len(names) == 0 {
		return nil, nil
	}
	p := &publication{kind: kind, open: names, end: endOf(ctx), patient: breaker.IsPatient(ctx)}
	if c.mayBegin(p) {
		c.send(ctx, []*publication{p})
		c.handOver()
		return p.open, p.err
	}
	return c.await(ctx, p)
}

// endOf returns when the time of ctx's write is over; far away if it is of none.
func endOf(ctx context.Context) time.Time {
	const forever = 365 * 24 * time.Hour
	return time.Now().Add(min(budget.Left(ctx), forever))
}

// mayBegin reports whether nothing is under way. If something is, p waits.
func (c *Conn) mayBegin(p *publication) bool {
	s := &c.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy {
		p.done = make(chan struct{})
		s.waiting = append(s.waiting, p)
		return false
	}
	s.busy = true
	return true
}

// handOver lets those go on who have waited, on a goroutine of its own: who has published does
// not wait for others.
func (c *Conn) handOver() {
	s := &c.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy = len(s.waiting) > 0 && c.begin(); s.busy {
		go func() {
			defer c.running.Done()
			c.sendWaiting()
		}()
	}
}

// sendWaiting publishes what waits, until nothing does.
func (c *Conn) sendWaiting() {
	s := &c.sender
	for {
		s.mu.Lock()
		some := s.waiting
		s.waiting = nil
		s.busy = len(some) > 0
		s.mu.Unlock()
		if len(some) == 0 {
			return
		}
		c.send(c.ctx, some)
	}
}

// await waits until p is said, or its time is over.
func (c *Conn) await(ctx context.Context, p *publication) (open []string, err error) {
	timer := time.NewTimer(time.Until(p.end))
	defer timer.Stop()
	select {
	case <-p.done:
		return p.open, p.err
	case <-timer.C:
		err = budget.ErrSpent
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.ctx.Done():
		err = drivers.ErrClosed
	}
	s := &c.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p.open) == 0 {
		return nil, nil
	}
	p.left = true
	s.waiting = slices.DeleteFunc(s.waiting, func(other *publication) bool { return other == p })
	return p.open, fmt.Errorf("publish to the bus: %w", err)
}

// send publishes what some say, and is the only one that does until it returns.
func (c *Conn) send(ctx context.Context, some []*publication) {
	for {
		changes, parts := c.pack(some)
		if len(parts) == 0 {
			return
		}
		err := c.publish(ctx, changes, parts)
		c.settle(parts, err)
	}
}

// A part is how many of the open names of a publication are in a message.
type part struct {
	of    *publication
	names int
}

// pack takes as much of what some say, in order, as one message holds, at least one name.
func (c *Conn) pack(some []*publication) (changes []Change, parts []part) {
	s := &c.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	limit, most := c.limits()
	size := headerSize
	for _, p := range some {
		if p.left || p.err != nil || len(p.open) == 0 {
			continue
		}
		n := 0
		for _, name := range p.open {
			kind, need := p.kind, nameSize+len(name)
			if headerSize+changeSize+need > most {
				kind, need = Suspect, 0
			}
			begins := len(changes) == 0 || changes[len(changes)-1].Kind != kind
			if begins {
				need += changeSize
			}
			if size += need; size > limit && len(changes) > 0 {
				break
			}
			if begins {
				changes = append(changes, Change{Kind: kind})
			}
			if last := &changes[len(changes)-1]; kind != Suspect {
				last.Names = append(last.Names, name)
			}
			n++
		}
		if n > 0 {
			parts = append(parts, part{p, n})
		}
		if n < len(p.open) {
			break
		}
	}
	return changes, parts
}

// limits returns how large a message is made, and how large one can be.
func (c *Conn) limits() (limit, most int) {
	if l, ok := drivers.MessageLimiterOf(c.bus); ok {
		most = l.MaxMessage()
		return min(maxMessage, most), most
	}
	return maxMessage, 1 << 62
}

// settle tells those whose names were in a message how that has ended.
func (c *Conn) settle(parts []part, err error) {
	s := &c.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, part := range parts {
		p := part.of
		if err == nil {
			p.open = p.open[part.names:]
		}
		p.err = err
		if (err != nil || len(p.open) == 0) && p.done != nil {
			close(p.done)
		}
	}
}

// publish publishes one message. It may take as long as the one of parts whose time is over
// last.
func (c *Conn) publish(ctx context.Context, changes []Change, parts []part) error {
	var limit time.Duration
	for _, part := range parts {
		limit = max(limit, min(c.timeout, time.Until(part.of.end)))
		if part.of.patient {
			ctx = breaker.Patient(ctx)
		}
	}
	if limit <= 0 {
		return fmt.Errorf("publish to the bus: %w", budget.ErrSpent)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticket, ok := c.breaker.AllowUrgent(ctx)
	if !ok {
		_, cause := c.breaker.Cause()
		return fmt.Errorf("publish to the bus: %w: %v", errNotTaken, cause)
	}
	m := c.next(changes)
	err := c.try(ctx, Append(nil, m))
	if err == nil {
		c.took(m)
	}
	c.breaker.Report(ticket, outcome(err), err)
	if err != nil {
		err = fmt.Errorf("publish to the bus: %w", err)
	}
	for _, change := range changes {
		if change.Kind == Suspect {
			c.emit.Warn("bus: a name is longer than a message can be, the others are told that anything may have changed", err)
		}
		emit.Event(c.emit, c.emit.Hooks().Published, event.Message{Store: c.emit.Store, Kind: change.Kind.String(), Targets: change.Names, Err: err})
	}
	return err
}

// next returns the next message that counts.
func (c *Conn) next(changes []Change) *Message {
	m := c.message(changes)
	s := &c.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	m.Number = s.number
	return m
}

// message returns a message that does not count.
func (c *Conn) message(changes []Change) *Message {
	s := &c.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &Message{Origin: c.origin, Sent: time.Duration(clock.Now() - c.made), Number: s.taken, Last: s.taken, Changes: changes}
	if s.taken > 0 {
		m.Ago = clock.Span(s.takenAt, clock.Mono())
	}
	return m
}

func (c *Conn) took(m *Message) {
	s := &c.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken, s.takenAt = m.Number, clock.Mono()
	c.hearing.tookCounted(c.sentAt(m))
}

// sentAt returns when an own message was sent.
func (c *Conn) sentAt(m *Message) int64 { return clock.Add(c.made, m.Sent) }

// try publishes a message. A connection that was cut is tried once more: a message that
// arrives twice does no harm.
func (c *Conn) try(ctx context.Context, message []byte) error {
	began := time.Now()
	publish := func() error { return c.bus.Publish(ctx, c.channel(), message) }
	err := guard.Call(publish)
	if err != nil && ctx.Err() == nil && outcome(err) == breaker.Failure && !errors.Is(err, drivers.ErrClosed) && !errors.Is(err, guard.ErrPanic) && time.Since(began) < c.timeout/2 {
		err = guard.Call(publish)
	}
	return err
}

func outcome(err error) breaker.Outcome {
	switch {
	case err == nil:
		return breaker.Success
	case errors.Is(err, drivers.ErrRefused), errors.Is(err, drivers.ErrAnswered): // it costs no time
		return breaker.Unknown
	}
	return breaker.Failure
}
