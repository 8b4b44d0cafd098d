package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/guard"
)

const (
	// batch is how many entries are taken at a time.
	batch = 100
	// longestPause is the longest time between two tries of a store whose shared tier is away.
	longestPause = 10 * time.Second
	// longestRetry is the longest time between two tries of an entry that fails by itself.
	longestRetry = 5 * time.Minute
)

// A pause is how long a store takes no entries, because its shared tier is away. Only the goroutine
// that looks uses it.
type pause struct {
	until time.Time
	next  time.Duration
}

// longer begins a pause that is longer than the one before.
func (p *pause) longer(now time.Time, first time.Duration) {
	p.next = min(max(2*p.next, first), max(longestPause, first))
	p.until = now.Add(p.next)
}

// look takes entries and carries them out. more says that there may be others at once. again is
// when to look at the latest because of what was found.
func (r *Relay) look(now time.Time) (more bool, again time.Time, err error) {
	members, names, hold := r.ready(now)
	if len(names) == 0 {
		return false, again, nil
	}
	var taken []drivers.OutboxEntry
	err = r.operation(r.ctx, func(ctx context.Context) (err error) {
		taken, err = r.driver.Take(ctx, drivers.OutboxRequest{Stores: names, Max: batch, Hold: hold})
		return err
	})
	if err != nil {
		return false, again, err
	}
	byName := make(map[string][]drivers.OutboxEntry)
	for _, e := range taken {
		byName[e.Store] = append(byName[e.Store], e)
	}
	outcomes := make([]outcome, len(members))
	var running sync.WaitGroup
	for i, m := range members {
		if entries := byName[m.name]; len(entries) > 0 {
			running.Go(func() { outcomes[i] = m.carryOut(r.ctx, entries) })
		}
	}
	running.Wait()
	for i, m := range members {
		o := &outcomes[i]
		r.remove(ids(o.done))
		for _, e := range o.bad {
			err = errors.Join(err, r.postpone([]drivers.OutboxEntry{e}, m.retry(e.Attempts)))
		}
		switch {
		case len(o.away) > 0:
			m.pause.longer(time.Now(), m.Poll)
			err = errors.Join(err, r.postpone(o.away, m.Poll))
		case len(o.done) > 0:
			m.pause = pause{}
		}
		if m.pause.until.After(now) && (again.IsZero() || m.pause.until.Before(again)) {
			again = m.pause.until
		}
	}
	return len(taken) >= batch/2, again, err // a driver may return fewer than it was asked for
}

// ready returns the members that are not in a pause, their names, and how long what they take is
// held.
func (r *Relay) ready(now time.Time) (members []*Member, names []string, hold time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		if now.Before(m.pause.until) {
			continue
		}
		members, names = append(members, m), append(names, m.name)
		// All that a change does has one Timeout, and begins anew if there is a lot to do. If it
		// takes longer than this, another process does the same.
		hold = max(hold, m.Poll+4*m.Timeout)
	}
	return members, names, hold
}

func (m *Member) retry(attempts int) time.Duration {
	wait := m.Poll
	for range attempts {
		if wait *= 2; wait >= longestRetry {
			return longestRetry
		}
	}
	return wait
}

func (r *Relay) postpone(entries []drivers.OutboxEntry, wait time.Duration) error {
	return r.operation(r.ctx, func(ctx context.Context) error { return r.driver.Postpone(ctx, ids(entries), wait) })
}

func ids(entries []drivers.OutboxEntry) []drivers.OutboxID {
	all := make([]drivers.OutboxID, len(entries))
	for i, e := range entries {
		all[i] = e.ID
	}
	return all
}

// An outcome is what became of entries.
type outcome struct {
	done []drivers.OutboxEntry // everybody was reached
	away []drivers.OutboxEntry // somebody was not, and may be later
	bad  []drivers.OutboxEntry // they fail by themselves
}

// carryOut carries out entries of the store, all at once if that succeeds.
func (m *Member) carryOut(ctx context.Context, entries []drivers.OutboxEntry) (o outcome) {
	all := new(collect.Changes)
	var readable []drivers.OutboxEntry
	for _, e := range entries {
		c, err := decode(e.Payload, m.Prefix)
		if err != nil {
			o.bad = append(o.bad, e)
			m.tell([]drivers.OutboxEntry{e}, "an entry of the outbox cannot be read; it is kept", err)
			continue
		}
		readable = append(readable, e)
		all.Absorb(c)
	}
	if len(readable) == 0 {
		return o
	}
	err := m.make(ctx, all)
	if err == nil {
		m.tell(readable, "", nil)
		o.done = readable
		return o
	}
	if len(readable) == 1 || !fault(err) {
		m.failed(&o, readable, err)
		return o
	}
	for _, e := range readable { // the others must not wait for one that is at fault
		c, _ := decode(e.Payload, m.Prefix)
		one := []drivers.OutboxEntry{e}
		if err := m.make(ctx, c); err != nil {
			m.failed(&o, one, err)
			continue
		}
		m.tell(one, "", nil)
		o.done = append(o.done, e)
	}
	return o
}

func (m *Member) failed(o *outcome, entries []drivers.OutboxEntry, err error) {
	if fault(err) {
		o.bad = append(o.bad, entries...)
		m.tell(entries, "an entry of the outbox cannot be carried out; it is kept, and tried again", err)
		return
	}
	o.away = append(o.away, entries...)
	m.tell(entries, "entries of the outbox are carried out later", err)
}

// fault reports whether an error is about what is to be done, and not about who was to be reached.
func fault(err error) bool {
	return errors.Is(err, drivers.ErrRefused) || errors.Is(err, guard.ErrPanic)
}

// errNotThrough is why an entry stays if nobody has said why.
var errNotThrough = errors.New("somebody was not reached")

func (m *Member) make(ctx context.Context, c *collect.Changes) error {
	return guard.Call(func() error {
		through, err := m.CarryOut(ctx, c)
		if err == nil && !through {
			return errNotThrough
		}
		return err
	})
}

// tell tells hooks, and the log if something went wrong.
func (m *Member) tell(entries []drivers.OutboxEntry, text string, err error) {
	ev := event.Outbox{Store: m.Emit.Store, Entries: len(entries), Err: err}
	for _, e := range entries {
		ev.Attempts, ev.Age = max(ev.Attempts, e.Attempts), max(ev.Age, e.Age)
	}
	if err != nil {
		m.Emit.Warn(text, err, "entries", ev.Entries, "attempts", ev.Attempts, "age", fmt.Sprint(ev.Age))
	}
	emit.Event(m.Emit, m.Emit.Hooks().Outbox, ev)
}
