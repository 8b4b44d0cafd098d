// Package relay is between stores and the outbox of a program, a table in its database. It writes
// what a transaction changes into the outbox, in that transaction, and carries out what transactions
// have left there that were committed, by this process or by another.
//
// The process that commits carries out its own changes at once, and removes their entries behind
// its caller. Only if it cannot, because it has died or the shared tier is away, the entries are
// still there when they become due ([Config].Poll after they were written). Then whichever process
// looks first takes them, and holds them while it carries them out. An entry is removed when it is
// certain that everybody was reached, and not before: what a process merely remembers is lost with
// it.
//
// Entries say what is removed from the cache, never a value. So they may be carried out more than
// once, and in any order: a removal that is repeated, or late, costs a load. The order in which
// they are taken is only fair. That is enough for a key, too: whatever the order of two removals,
// after the later one of them nothing is left from before. And no order could be kept: transactions
// are not committed in the order in which they have written. Therefore nothing remembers how far
// it has read; an entry is there until it is removed.
//
// An entry that cannot be read, or that fails by itself, is kept and tried at growing distances, so
// that it holds up nobody; it is logged. If the shared tier is away, that is not the fault of an
// entry: then its store waits.
//
// The stores of a process that have the same outbox share a relay, with one goroutine that looks
// into the table, and one that removes entries while there are some to remove. Relay.mu guards the
// stores and what is to be removed. It is not held during I/O.
package relay

import (
	"context"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/guard"
	"github.com/cachegen/cachegen/runtime/internal/random"
)

// A Config is that of one store.
type Config struct {
	Driver drivers.Outbox
	// Prefix is what the keys of the store begin with.
	Prefix string
	// Poll is about how often the table is looked into, and how long the process that has written
	// an entry has to carry it out before others do.
	Poll time.Duration
	// Timeout is that of the store's shared tier.
	Timeout time.Duration
	Random  random.Source
	Emit    *emit.Emitter
	// CarryOut makes changes. through says that everybody was reached.
	CarryOut func(ctx context.Context, c *collect.Changes) (through bool, err error)
}

// MaxName is how long the prefix and the name of a store may be together.
const MaxName = drivers.MaxOutboxStore - 1

// A Member is a store in a relay.
type Member struct {
	Config
	name  string
	relay *Relay
	pause pause
}

// A Relay is that of one outbox in this process.
type Relay struct {
	driver drivers.Outbox
	random random.Source
	poke   chan struct{} // something has changed for the goroutine that looks
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{} // the goroutine that looks has ended

	began     time.Time
	listening atomic.Bool  // the driver tells of commits
	told      atomic.Int64 // when it has told last, in nanoseconds since began

	mu       sync.Mutex
	members  []*Member
	stopped  bool
	removals removals
}

// all are the relays of this process, by driver.
var all struct {
	sync.Mutex
	relays map[drivers.Outbox]*Relay
}

// Join makes a store a member of the relay of its outbox.
func Join(c Config) *Member {
	m := &Member{Config: c, name: c.Prefix + "!" + c.Emit.Store}
	all.Lock()
	defer all.Unlock()
	shared := reflect.ValueOf(c.Driver).Comparable()
	if shared && all.relays[c.Driver] != nil {
		m.relay = all.relays[c.Driver]
		m.relay.add(m)
		return m
	}
	r := &Relay{driver: c.Driver, random: c.Random, began: time.Now(), poke: make(chan struct{}, 1), ended: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.members, m.relay = []*Member{m}, r
	if shared {
		if all.relays == nil {
			all.relays = make(map[drivers.Outbox]*Relay)
		}
		all.relays[c.Driver] = r
	}
	go r.run()
	return m
}

func (r *Relay) add(m *Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members = append(r.members, m)
	r.tell()
}

// Leave takes the store out of the relay. Entries of the store are not taken any more, and those
// that were carried out are removed, until ctx is done. What is left stays in the table.
func (m *Member) Leave(ctx context.Context) {
	r := m.relay
	all.Lock()
	last := r.without(m)
	if last && all.relays[r.driver] == r {
		delete(all.relays, r.driver)
	}
	all.Unlock()
	r.flush(ctx)
	if !last {
		return
	}
	r.wake()
	select {
	case <-r.ended:
	case <-ctx.Done():
	}
	r.cancel() // what has not ended goes on for the time of one change
}

// without removes a member, and reports whether it was the last one.
func (r *Relay) without(m *Member) (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, other := range r.members {
		if other == m {
			r.members = append(r.members[:i:i], r.members[i+1:]...)
			break
		}
	}
	r.stopped = len(r.members) == 0
	return r.stopped
}

// wake makes the goroutine that looks think again about when to look.
func (r *Relay) wake() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// Write writes changes into the outbox, with exec in a transaction of the program. What it returns
// is told when they were carried out.
func (m *Member) Write(ctx context.Context, exec collect.Exec, c *collect.Changes) (collect.Left, error) {
	l := &left{relay: m.relay}
	var entries []drivers.OutboxEntry
	for _, record := range encode(c, m.Prefix) {
		e := drivers.OutboxEntry{Store: m.name, Payload: record}
		for i := range e.ID {
			if i%8 == 0 {
				putUint64(e.ID[i:], m.Random("outbox"))
			}
		}
		entries, l.ids = append(entries, e), append(l.ids, e.ID)
	}
	err := guard.Call(func() error { return m.Driver.Append(ctx, drivers.Exec(exec), entries, m.Poll) })
	if err != nil {
		return nil, err
	}
	return l, nil
}

// A left is what was written for one transaction.
type left struct {
	relay *Relay
	ids   []drivers.OutboxID
}

// Done says that it was committed and carried out.
func (l *left) Done() { l.relay.remove(l.ids) }
