// Package collect holds what a database transaction changes in caches until the transaction has
// ended: then all of it is carried out, or dropped.
//
// A [Collected] is in the context of what belongs to the transaction. Package invalidate asks for
// it ([Of]) before it changes anything, and gives the change to [Collected.Hold]. Readers ask
// [Collected.Covers], and do not use the cache where the transaction has changed it. What is held
// is in a form that does not grow with repetitions (see [Changes]), by store.
//
// A Collected inside another one, as of a savepoint, has its changes taken over by that when it
// is committed. One whose transaction has ended holds nothing any more: a change that comes late
// is made at once, since nobody knows whether the data has changed, and once more with the commit
// of one around it that has not ended.
//
// The mutex of a Collected guards all of it. It is held for no I/O and for no other's mutex. The
// package makes no change itself: a [Store] does.
package collect

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/guard"
)

// ErrDone says that a Collected has been committed or rolled back before.
var ErrDone = errors.New("cachegen: what was collected has been committed or rolled back already")

// A Store makes the changes that were held for it. Stores are compared.
type Store interface {
	// CarryOut makes changes, each although another one fails, and joins their errors. through
	// says that everybody was reached, which an error that is only logged does not tell.
	CarryOut(ctx context.Context, c *Changes) (through bool, err error)
	// HasOutbox reports whether the store has an outbox, into which Leave writes changes with exec,
	// in the transaction.
	HasOutbox() bool
	Leave(ctx context.Context, exec Exec, c *Changes) (Left, error)
	// Warn logs what no caller is told.
	Warn(text string, err error)
}

// A Collected is what is held for one transaction.
type Collected struct{ *state }

// A state is a Collected, apart from it, so that it can tell that nobody has the Collected any
// more.
type state struct {
	outer *Collected   // what it is inside of; its readers are inside of that, too
	into  []*Collected // what takes over its changes; empty if they are made
	alone bool         // they are made all the same, and nothing is set

	mu        sync.Mutex
	done      bool // it holds nothing any more
	stores    []*held
	functions []string // those that have changed the data
	told      bool     // that a change came late
	of        any      // the transaction; see SetOf
}

// A held is what is held for one store.
type held struct {
	store Store
	*Changes
	outbox
}

type contextKey struct{}

var (
	made atomic.Bool  // a context has been made that collects
	open atomic.Int64 // how many have not ended
)

// Open reports whether there is a transaction in this process. A reader asks it before [Of].
func Open() bool { return open.Load() != 0 }

// Of returns what changes with ctx are held by, whether or not that has ended, or nil.
func Of(ctx context.Context) *Collected {
	if !made.Load() || ctx == nil {
		return nil
	}
	c, _ := ctx.Value(contextKey{}).(*Collected)
	return c
}

// Without returns a context whose changes are not held.
func Without(ctx context.Context) context.Context {
	if Of(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, (*Collected)(nil))
}

// An In says what a transaction has to do with that of its context.
type In int

// The kinds.
const (
	Inside  In = iota // it is a part of that, such as a savepoint
	Apart             // it commits by itself
	Unknown           // one of the two
)

// New returns a context that collects. in is what the transaction has to do with those that ctx
// is of and that have not ended; of is the one that it is [Inside], and nil is the innermost.
func New(ctx context.Context, in In, of *Collected) (context.Context, *Collected) {
	made.Store(true)
	open.Add(1)
	outer := Of(ctx)
	for outer != nil && outer.ended() {
		outer = outer.outer
	}
	c := &Collected{&state{outer: outer}}
	switch {
	case outer == nil || in == Apart:
	case in == Unknown: // each of them may be the one
		c.alone = true
		for ; outer != nil; outer = outer.outer {
			c.into = append(c.into, outer)
		}
	case of != nil:
		c.into = []*Collected{of}
	default:
		c.into = []*Collected{outer}
	}
	goruntime.AddCleanup(c, (*state).lost, c.state)
	return context.WithValue(ctx, contextKey{}, c), c
}

// SetOf remembers which transaction it is of, a value that can be compared.
func (c *Collected) SetOf(transaction any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of = transaction
}

// Find returns what is held for a transaction, of c and of those that it is inside of.
func (c *Collected) Find(transaction any) *Collected {
	for ; c != nil; c = c.outer {
		if of := c.transaction(); of != nil && of == transaction {
			return c
		}
	}
	return nil
}

func (s *state) transaction() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return nil
	}
	return s.of
}

func (s *state) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// Hold lets change add to what is held for a store, on behalf of a function of the program, if
// that is known. If the transaction has ended, it returns false, and the caller makes the change. A
// transaction around it that has not ended may be the one that has changed the data: then the
// change, as a deletion, is made with that one's commit as well.
func (c *Collected) Hold(s Store, function string, change func(*Changes)) bool {
	c.mu.Lock()
	late, tell := c.done, c.done && !c.told
	if late {
		c.told = true
	} else {
		h := c.heldFor(s)
		change(h.Changes)
		h.changed = true
		c.addFunctions(function)
	}
	c.mu.Unlock()
	if late && c.outer != nil {
		again := new(Changes)
		change(again)
		again.SetNothing()
		c.outer.Hold(s, function, func(mine *Changes) { mine.Absorb(again) })
	}
	if tell {
		s.Warn("a change came with the context of a transaction that has ended: it is made at once, and what was to be set is deleted", ErrDone)
	}
	return !late
}

// Holds reports whether c, or one that it is inside of, has not ended.
func (c *Collected) Holds() bool {
	for ; c != nil; c = c.outer {
		if !c.ended() {
			return true
		}
	}
	return false
}

// heldFor returns what is held for a store. The mutex is held.
func (s *state) heldFor(store Store) *held {
	for _, h := range s.stores {
		if h.store == store {
			return h
		}
	}
	h := &held{store: store, Changes: new(Changes)}
	s.stores = append(s.stores, h)
	return h
}

func (s *state) addFunctions(names ...string) {
	for _, name := range names {
		if name != "" && !slices.Contains(s.functions, name) {
			s.functions = append(s.functions, name)
		}
	}
}

// Covers reports whether a transaction that has not ended, this one or one that it is inside of,
// has changed an entry: its key, or one of the stamps that it carries.
func (c *Collected) Covers(s Store, key string, stamps []entry.StampRef) bool {
	for ; c != nil; c = c.outer {
		if c.covers(s, key, stamps) {
			return true
		}
	}
	return false
}

func (s *state) covers(store Store, key string, stamps []entry.StampRef) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.stores {
		if h.store != store {
			continue
		}
		return h.coversKey(key) || slices.ContainsFunc(stamps, func(ref entry.StampRef) bool { return h.CoversStamp(ref.Cell.Name) })
	}
	return false
}

// Commit makes the changes that are held, or has them taken over by the transaction that this one
// is a part of.
func (c *Collected) Commit(ctx context.Context) error { return c.end(ctx, false) }

// Unclear is Commit of a transaction of which nobody knows how it ended: nothing is set.
func (c *Collected) Unclear(ctx context.Context) error { return c.end(ctx, true) }

// Rollback drops what is held. After another end it does nothing.
func (c *Collected) Rollback() {
	if _, _, ok := c.take(); ok {
		c.forget()
	}
}

// take ends the transaction: from now on changes are not held. What is held still covers entries,
// until forget.
func (s *state) take() (stores []*held, functions []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return nil, nil, false
	}
	s.done = true
	open.Add(-1)
	return s.stores, s.functions, true
}

func (s *state) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stores, s.of = nil, nil
}

func (c *Collected) end(ctx context.Context, unclear bool) error {
	if ctx == nil { // the changes would be lost
		ctx = context.Background()
	}
	stores, functions, ok := c.take()
	if !ok {
		return ErrDone
	}
	defer c.forget()
	if unclear || c.alone {
		c.setNothing(stores)
	}
	taken := true
	for _, outer := range c.into {
		taken = outer.absorb(stores, functions) && taken
	}
	if taken && len(c.into) > 0 && !c.alone {
		return nil
	}
	if !taken { // the outer one has ended before its part
		c.setNothing(stores)
	}
	return carryOut(ctx, stores, functions, taken && !unclear && !c.alone)
}

// setNothing makes deletions of what was to be set. Readers may be asking what is covered.
func (s *state) setNothing(stores []*held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range stores {
		h.SetNothing()
	}
}

// absorb takes over what a transaction inside has held, unless this one has ended.
func (c *Collected) absorb(stores []*held, functions []string) bool {
	for _, h := range stores {
		if !c.Hold(h.store, "", func(mine *Changes) { mine.Absorb(h.Changes) }) {
			return false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addFunctions(functions...)
	return true
}

// carryOut makes the changes of all stores at the same time, as one write. committed says that the
// transaction was surely committed.
func carryOut(ctx context.Context, stores []*held, functions []string, committed bool) error {
	ctx = budget.Begin(Without(ctx), budget.Write{Function: strings.Join(functions, ", ")})
	var do []func() error
	for _, h := range stores {
		if !h.Empty() {
			h.warnOfChanges()
			do = append(do, func() error {
				through, err := h.store.CarryOut(ctx, h.Changes)
				if through && committed {
					h.done()
				}
				return err
			})
		}
	}
	return guard.Together(do)
}

// lost is called when nobody can end the transaction any more.
func (s *state) lost() {
	stores, _, ok := s.take()
	if !ok {
		return
	}
	for _, h := range stores {
		if !h.Empty() {
			h.store.Warn("changes that were collected in a transaction are lost", fmt.Errorf("neither Commit nor Rollback was called: defer Rollback where Collect is called"))
		}
	}
}
