package faketier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// An Outbox is a drivers.Outbox in memory, and the database that it is part of. The zero value is
// ready. Several stores may use one, as several processes use one table; each of them has what
// [Outbox.Process] returns.
type Outbox struct {
	mu        sync.Mutex
	rows      map[drivers.OutboxID]*row
	appended  int
	down      error
	listeners []drivers.Listener
	before    hook[func(op string, entries int) error]
	calls     map[string]int
}

// SetBefore has f run before each operation, without the lock held; an error is the operation's.
// Nil ends that.
func (o *Outbox) SetBefore(f func(op string, entries int) error) { o.before.set(f) }

type row struct {
	drivers.OutboxEntry
	n            int
	due, created time.Time
}

// Down makes every operation fail with err until it is called with nil.
func (o *Outbox) Down(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = err
}

// Calls returns how many operations of a name there were.
func (o *Outbox) Calls(op string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls[op]
}

// Rows returns the committed entries, the oldest first.
func (o *Outbox) Rows() []drivers.OutboxEntry {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []drivers.OutboxEntry
	for _, r := range o.sorted() {
		all = append(all, r.OutboxEntry)
	}
	return all
}

// Put adds a committed entry that is due.
func (o *Outbox) Put(e drivers.OutboxEntry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.put(&row{OutboxEntry: e, due: time.Now(), created: time.Now()})
}

func (o *Outbox) put(r *row) {
	if o.rows == nil {
		o.rows = make(map[drivers.OutboxID]*row)
	}
	o.appended++
	r.n = o.appended
	o.rows[r.ID] = r
}

func (o *Outbox) sorted() []*row {
	var all []*row
	for _, r := range o.rows {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *row) int { return cmp.Compare(a.n, b.n) })
	return all
}

// do runs f with the lock held.
func (o *Outbox) do(ctx context.Context, op string, entries int, f func()) error {
	if before := o.before.get(); before != nil {
		if err := before(op, entries); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down != nil {
		return fmt.Errorf("faketier: %s: %w", op, o.down)
	}
	if o.calls == nil {
		o.calls = make(map[string]int)
	}
	o.calls[op]++
	f()
	return nil
}

// A Tx is a transaction of the program.
type Tx struct {
	outbox *Outbox
	rows   []*row
}

// Begin begins a transaction.
func (o *Outbox) Begin() *Tx { return &Tx{outbox: o} }

// Exec executes a statement of Append.
func (t *Tx) Exec(ctx context.Context, statement string) error {
	var id, payload, store []byte
	var wait int64
	if _, err := fmt.Sscanf(statement, "append %x %x .%x %d", &id, &store, &payload, &wait); err != nil {
		return err
	}
	return t.outbox.do(ctx, "append", 1, func() {
		now := time.Now()
		e := drivers.OutboxEntry{ID: drivers.OutboxID(id), Store: string(store), Payload: payload}
		t.rows = append(t.rows, &row{OutboxEntry: e, due: now.Add(time.Duration(wait)), created: now})
	})
}

// Commit makes what was appended visible.
func (t *Tx) Commit() {
	t.outbox.mu.Lock()
	for _, r := range t.rows {
		t.outbox.put(r)
	}
	listeners := slices.Clone(t.outbox.listeners)
	t.outbox.mu.Unlock()
	if len(t.rows) > 0 {
		for _, l := range listeners {
			l.Message(nil)
		}
	}
	t.rows = nil
}

// Rollback drops what was appended.
func (t *Tx) Rollback() { t.rows = nil }

// A Process is the driver of one process.
type Process struct {
	outbox *Outbox
	mu     sync.Mutex
	closed bool
	dead   bool
}

// Kill makes the process do nothing any more in the database.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

var errDead = errors.New("faketier: this process is dead")

// Process returns a driver.
func (o *Outbox) Process() *Process { return &Process{outbox: o} }

func (p *Process) do(ctx context.Context, op string, entries int, f func()) error {
	p.mu.Lock()
	closed, dead := p.closed, p.dead
	p.mu.Unlock()
	switch {
	case dead:
		return errDead
	case closed:
		return fmt.Errorf("faketier: %s: %w", op, drivers.ErrClosed)
	}
	return p.outbox.do(ctx, op, entries, f)
}

// Append implements drivers.Outbox.
func (p *Process) Append(ctx context.Context, exec drivers.Exec, entries []drivers.OutboxEntry, wait time.Duration) error {
	for _, e := range entries {
		if len(e.Payload) > drivers.MaxOutboxPayload || len(e.Payload) == 0 {
			return drivers.ErrRefused
		}
		if err := exec(ctx, fmt.Sprintf("append %x %x .%x %d", e.ID[:], e.Store, e.Payload, wait)); err != nil {
			return err
		}
	}
	return nil
}

// Take implements drivers.Outbox.
func (p *Process) Take(ctx context.Context, r drivers.OutboxRequest) (taken []drivers.OutboxEntry, err error) {
	err = p.do(ctx, "take", 0, func() {
		now := time.Now()
		for _, row := range p.outbox.sorted() {
			if len(taken) < r.Max && slices.Contains(r.Stores, row.Store) && !row.due.After(now) {
				row.due = now.Add(r.Hold)
				row.Attempts++
				row.Age = now.Sub(row.created)
				taken = append(taken, row.OutboxEntry)
			}
		}
	})
	if err == errDead { // nobody hears of it
		err = nil
	}
	return taken, err
}

// Postpone implements drivers.Outbox.
func (p *Process) Postpone(ctx context.Context, ids []drivers.OutboxID, wait time.Duration) error {
	return p.do(ctx, "postpone", len(ids), func() {
		for _, id := range ids {
			if row := p.outbox.rows[id]; row != nil {
				row.due = time.Now().Add(wait)
			}
		}
	})
}

// Remove implements drivers.Outbox.
func (p *Process) Remove(ctx context.Context, ids []drivers.OutboxID) error {
	return p.do(ctx, "remove", len(ids), func() {
		for _, id := range ids {
			delete(p.outbox.rows, id)
		}
	})
}

// Close implements drivers.Outbox.
func (p *Process) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

// A Notifying is a Process that tells of commits.
type Notifying struct{ *Process }

// Notify implements drivers.OutboxNotifier.
func (n Notifying) Notify(l drivers.Listener) (stop func(), err error) {
	n.outbox.mu.Lock()
	n.outbox.listeners = append(n.outbox.listeners, l)
	n.outbox.mu.Unlock()
	l.Up()
	return func() {
		n.outbox.mu.Lock()
		defer n.outbox.mu.Unlock()
		n.outbox.listeners = slices.DeleteFunc(n.outbox.listeners, func(other drivers.Listener) bool { return other == l })
	}, nil
}
