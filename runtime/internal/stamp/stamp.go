// Package stamp remembers, in one process, the stamps that invalidate many entries at
// once. Others call a stamp a tag version.
//
// A tag, a namespace, a cache and the store itself each have a stamp: two random
// numbers. An entry carries the stamps that were current before its load began, and is
// valid while they are still current. Deleting by tag is writing a new stamp, however
// many entries there are. No clock is compared with another machine's. A stamp that is
// lost and made anew never equals the old one: losing one costs loads, and never makes
// an invalidated entry valid again. So that there is no stamp is as good as another stamp:
// nothing is valid under it.
//
// Locks: the table's change mutex is held by whatever moves the epoch. Each shard's mutex
// guards its map of cells and is locked inside it. A cell's state is replaced as a whole
// and read without a lock. The order of writes matters, and is stated where it does.
package stamp

import (
	"hash/maphash"
	"math"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/random"
)

const (
	shards  = 64
	stripes = 4096
)

// A Table holds the cells of one store. Cells that no entry, load or caller
// refers to any more are forgotten by the garbage collector, so that the table
// grows with the entries in memory and not with all tags ever seen.
type Table struct {
	random random.Source
	seed   maphash.Seed
	shards [shards]struct {
		mu    sync.Mutex
		cells map[string]weak.Pointer[Cell]
	}

	// epoch moves with every change of any stamp. An entry that was found valid
	// at an epoch is valid as long as the epoch stands.
	epoch atomic.Uint64
	// known counts cells that were given their first stamp, or that of the shared
	// tier after a change.
	known atomic.Uint64
	// generation counts the gaps: the moments after which changes may have been missed.
	generation atomic.Uint64
	// change serialises what moves the epoch.
	change sync.Mutex
	// distrusted is the epoch since which nothing that was read before is believed;
	// guarded by change.
	distrusted uint64
	// changed holds, for each stripe of names, the epoch of its last change. It
	// answers for names that had no cell when they were invalidated.
	changed [stripes]atomic.Uint64
}

// NewTable returns an empty table whose new stamps are made of a source's numbers.
func NewTable(source random.Source) *Table {
	t := &Table{random: source, seed: random.HashSeed()}
	for i := range t.shards {
		t.shards[i].cells = make(map[string]weak.Pointer[Cell])
	}
	t.epoch.Store(1)
	return t
}

// Half returns half a stamp of name that has never been before.
func (t *Table) Half(name string) uint64 { return t.random.NonZero(name) }

// Epoch returns the number of the last change.
func (t *Table) Epoch() uint64 { return t.epoch.Load() }

// Cell returns the cell of name. The caller keeps it for as long as its stamp matters.
func (t *Table) Cell(name string) *Cell {
	shard := &t.shards[maphash.String(t.seed, name)%shards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if c := shard.cells[name].Value(); c != nil {
		return c
	}
	c := &Cell{Name: name}
	shard.cells[name] = weak.Make(c)
	goruntime.AddCleanup(c, t.forget, name)
	return c
}

// forget removes name after its cell has been collected, unless it has a new one.
func (t *Table) forget(name string) {
	shard := &t.shards[maphash.String(t.seed, name)%shards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if p, ok := shard.cells[name]; ok && p.Value() == nil {
		delete(shard.cells, name)
	}
}

// Len returns the number of names that are remembered.
func (t *Table) Len() int {
	n := 0
	for i := range t.shards {
		t.shards[i].mu.Lock()
		n += len(t.shards[i].cells)
		t.shards[i].mu.Unlock()
	}
	return n
}

func (t *Table) stripe(name string) *atomic.Uint64 {
	return &t.changed[maphash.String(t.seed, name)%stripes]
}

// ChangedSince reports whether name may have changed after epoch. It is right
// about names that have no cell. Of a change that is under way, it says so before
// [Cell.Current] shows it: read the stamp first, then ask.
func (t *Table) ChangedSince(name string, epoch uint64) bool {
	return t.stripe(name).Load() > epoch
}

// Announce says that name is about to change, here or in the shared tier.
// Whatever was loaded before it can no longer be stored under name.
func (t *Table) Announce(name string) {
	t.change.Lock()
	defer t.change.Unlock()
	t.move(name)
}

func (t *Table) move(name string) {
	next := t.epoch.Load() + 1
	t.stripe(name).Store(next)
	t.epoch.Store(next)
}

// Change says that one half of name's stamp has changed: nothing that was stored
// under the old one is valid. What the new one is, is not taken from whoever says
// so: of several changes, their order in the shared tier is not known here, and
// messages come late or twice. With a shared tier the stamp is read from there
// before it is used; without one, shared is false, a new half is made here.
func (t *Table) Change(name string, expire, shared bool) {
	t.change.Lock()
	defer t.change.Unlock()
	c := t.existing(name)
	if c == nil || c.state.Load() == nil { // nothing here refers to it
		t.move(name)
		return
	}
	old := c.state.Load()
	r, trustUntil := old.Record, int64(math.MinInt64)
	if r.Delete == 0 { // there was none
		t.set(c, &state{trustUntil: trustUntil, made: true})
		return
	}
	if expire {
		r.Expire = t.Half(name)
	} else {
		r.Delete = t.Half(name)
	}
	if !shared {
		trustUntil = old.trustUntil
	}
	t.set(c, &state{Record: r, trustUntil: trustUntil, made: shared})
}

// existing returns the cell of name if there is one.
func (t *Table) existing(name string) *Cell {
	shard := &t.shards[maphash.String(t.seed, name)%shards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	return shard.cells[name].Value()
}

// set installs a stamp that differs. The order matters: see ChangedSince, and
// readers that look at the epoch last.
func (t *Table) set(c *Cell, s *state) {
	next := t.epoch.Load() + 1
	t.stripe(c.Name).Store(next)
	c.state.Store(s)
	t.epoch.Store(next)
}

// A Moment is when a read of the shared tier begins.
type Moment struct {
	epoch, known uint64
	at           int64
}

// Moment returns the present one.
func (t *Table) Moment() Moment { return Moment{epoch: t.Epoch(), known: t.Known(), at: clock.Now()} }

// At returns when it was, on [clock.Now]. What was read is trusted from then on: a process may
// be stopped while it reads.
func (m Moment) At() int64 { return m.at }

// Learn installs a stamp that was read from the shared tier, or with a zero record that
// there is none, unless name has changed since the read began, another read has found another
// stamp meanwhile, or all have been distrusted: then what was read may be the older one, and
// Learn returns false.
func (t *Table) Learn(c *Cell, r Record, trustUntil int64, since Moment) bool {
	t.change.Lock()
	defer t.change.Unlock()
	if t.ChangedSince(c.Name, since.epoch) || since.epoch < t.distrusted {
		return false
	}
	learned := &state{Record: r, trustUntil: trustUntil}
	old := c.state.Load()
	if old != nil && !old.provided && old.Value != r.Value && c.known.Load() > since.known {
		return false
	}
	switch {
	case old == nil:
		t.first(c, learned)
	case old.Value == r.Value:
		c.state.Store(learned) // nothing that is stored here changes its meaning
	case old.made: // the change is known already, and whether there was another is not
		t.first(c, learned)
		t.epoch.Store(t.epoch.Load() + 1)
	case old.Delete == 0: // nothing was valid
		t.first(c, learned)
	case old.over(clock.Wall()): // nobody has to have changed it; whether somebody has is not known
		t.first(c, learned)
		t.epoch.Store(t.epoch.Load() + 1)
	default:
		t.set(c, learned)
	}
	return true
}

// Keep remembers that the shared tier keeps v until a time.
func (t *Table) Keep(c *Cell, v Value, until int64) {
	t.change.Lock()
	defer t.change.Unlock()
	if s := c.state.Load(); s != nil && s.Value == v {
		kept := *s
		kept.Until = until
		c.state.Store(&kept)
	}
}

// first is called under change.
func (t *Table) first(c *Cell, s *state) {
	c.known.Store(t.known.Add(1))
	c.state.Store(s)
}

// Known returns a number to ask [Cell.KnownSince] about.
func (t *Table) Known() uint64 { return t.known.Load() }

// KnownSince reports whether c had a stamp when [Table.Known] returned n. Only
// then does ChangedSince tell of everything that happened to it since.
func (c *Cell) KnownSince(n uint64) bool { return c.state.Load() != nil && c.known.Load() <= n }

// Provide installs a new stamp, which only this process knows, if c has none, and returns the
// stamp that c has then.
func (t *Table) Provide(c *Cell, trustUntil int64) Value {
	t.change.Lock()
	defer t.change.Unlock()
	if s := c.state.Load(); s != nil && s.Delete != 0 {
		return s.Value
	}
	v := Value{t.Half(c.Name), t.Half(c.Name)}
	t.first(c, &state{Record: Record{Value: v}, trustUntil: trustUntil, provided: true})
	return v
}

// Prolong believes the stamp of c until trustUntil, if that is later, unless all have
// been distrusted since epoch.
func (t *Table) Prolong(c *Cell, trustUntil int64, epoch uint64) {
	t.change.Lock()
	defer t.change.Unlock()
	if s := c.state.Load(); s != nil && s.trustUntil < trustUntil && epoch >= t.distrusted {
		c.state.Store(s.until(trustUntil))
	}
}

// Doubt makes the stamp of c be read again before it is used.
func (t *Table) Doubt(c *Cell) {
	t.change.Lock()
	defer t.change.Unlock()
	if s := c.state.Load(); s != nil {
		c.state.Store(s.until(math.MinInt64))
	}
}

// Suspect makes the stamp of name be read again before it is used, if it is known here, and
// every entry be looked at anew: somebody has written it, and may have changed it.
func (t *Table) Suspect(name string) {
	t.change.Lock()
	defer t.change.Unlock()
	c := t.existing(name)
	if c == nil {
		return
	}
	if s := c.state.Load(); s != nil {
		c.state.Store(s.until(math.MinInt64))
		t.epoch.Store(t.epoch.Load() + 1)
	}
}

// Generation returns the number of the last gap. What was obtained in an earlier one may
// have been changed without this process knowing.
func (t *Table) Generation() uint64 { return t.generation.Load() }

// Gap says that changes may have been missed until now: a new generation begins. With a
// shared tier every stamp is read from there again before it is used.
func (t *Table) Gap(shared bool) {
	t.change.Lock()
	defer t.change.Unlock()
	t.generation.Add(1) // before the epoch: who sees the new epoch sees this, too
	if !shared {
		t.epoch.Store(t.epoch.Load() + 1)
		return
	}
	for i := range t.shards {
		shard := &t.shards[i]
		shard.mu.Lock()
		for _, p := range shard.cells {
			if c := p.Value(); c != nil {
				if s := c.state.Load(); s != nil {
					c.state.Store(s.until(math.MinInt64))
				}
			}
		}
		shard.mu.Unlock()
	}
	t.distrusted = t.epoch.Load() + 1
	t.epoch.Store(t.distrusted)
}

// Touch moves the epoch without changing a stamp: every entry is looked at anew.
func (t *Table) Touch() {
	t.change.Lock()
	defer t.change.Unlock()
	t.epoch.Store(t.epoch.Load() + 1)
}
