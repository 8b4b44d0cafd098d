package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
)

// An Exec executes a statement in a transaction of the program.
type Exec = func(ctx context.Context, statement string) error

// A Left is what was written into an outbox.
type Left interface {
	// Done says that the transaction was committed, and that everybody was reached.
	Done()
}

// An outbox is what was written of the changes that are held for one store.
type outbox struct {
	left    []Left
	changed bool // there is something that was not written
}

// Leave writes what is held into the outboxes of its stores, in the transaction. A part of another
// transaction leaves that to the other.
func (c *Collected) Leave(ctx context.Context, exec Exec) error {
	if len(c.into) > 0 && !c.alone {
		return nil
	}
	stores, changes, err := c.unwritten()
	for i, h := range stores {
		left, errStore := h.store.Leave(ctx, exec, changes[i])
		if errStore != nil { // and with it the transaction has failed
			return failed(errStore)
		}
		c.mu.Lock()
		h.left = append(h.left, left)
		c.mu.Unlock()
	}
	return failed(err)
}

func failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cachegen: write the outbox: %w", err)
}

// unwritten returns the stores of which something was not written, and all that is held for them.
func (c *Collected) unwritten() (stores []*held, changes []*Changes, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return nil, nil, ErrDone
	}
	for _, h := range c.stores {
		if h.changed && !h.Empty() && h.store.HasOutbox() {
			h.changed = false
			stores, changes = append(stores, h), append(changes, h.Changes.clone())
		}
	}
	return stores, changes, nil
}

func (c *Changes) clone() *Changes {
	copied := *c
	copied.Keys, copied.Tags, copied.Clears, copied.Sets = maps.Clone(c.Keys), maps.Clone(c.Tags), maps.Clone(c.Clears), maps.Clone(c.Sets)
	return &copied
}

// done says that what was written has been carried out.
func (o *outbox) done() {
	for _, left := range o.left {
		left.Done()
	}
}

// warnOfChanges logs that a transaction was committed of which not everything is in the outbox.
func (h *held) warnOfChanges() {
	if h.changed && h.store.HasOutbox() {
		h.store.Warn("a transaction was committed without its changes in the outbox: they are lost if the process dies now",
			errors.New("call WriteOutbox last before the commit"))
	}
}
