package nodes

import (
	"context"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/runtime"
)

// Why a transaction was not committed.
var (
	errRolledBack = errors.New("simulation: the database has rolled the transaction back")
	errUnclear    = errors.New("simulation: the connection was lost before the database has answered a commit")
)

// uncommitted is the version of a row that a transaction has changed, before it is committed.
// Nobody else may see it.
func (o *op) uncommitted() int { return -1 - o.id }

// transact changes a row in a transaction, invalidates it, reads what it has changed, and
// commits. What is invalidated is carried out after the commit.
func (o *op) transact(outside context.Context) error {
	c, row := o.node.cache, o.rows[0]
	ctx, collected := runtime.Collect(outside)
	defer collected.Rollback()
	if o.node.run.mutation == InvalidatesBeforeCommit {
		ctx = outside
	}
	invalidate := func() error { return c.Delete(ctx, row) }
	if o.id%2 == 0 {
		invalidate = func() error { return o.node.store.DeleteByTag(ctx, rowTag(row)) }
	}
	if err := invalidate(); err != nil {
		return err
	}
	v, err := c.GetOrSet(ctx, row, func(context.Context) (Value, error) { return Value{row, o.uncommitted()}, nil })
	if errors.Is(err, runtime.ErrClosed) {
		return err
	}
	if err != nil || v.Version != o.uncommitted() {
		return fmt.Errorf("simulation: %v reads version %d inside, with the error %v", o, v.Version, err)
	}
	switch err := o.node.commit(ctx, o); {
	case err == nil:
		return collected.Commit(outside)
	case errors.Is(err, errUnclear):
		return collected.Unclear(outside)
	default:
		collected.Rollback()
		return nil
	}
}

// commit commits the transaction of an operation. It waits at the gate, as a loader does.
func (n *node) commit(ctx context.Context, o *op) error {
	c := &call{node: n, at: atDatabase, name: o.name() + " commits", once: true, commits: true}
	c.effect = func(int, int) error {
		n.run.change(o)
		return nil
	}
	return n.run.pass(ctx, c)
}
