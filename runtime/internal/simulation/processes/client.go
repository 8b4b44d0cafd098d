package processes

import (
	"context"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/servers"
)

// A client carries out one operation, on a goroutine of its own.
type client struct {
	*Process
	op *record.Op
}

type opKey struct{}

// opOf returns the operation for which a call is made, or nil.
func opOf(ctx context.Context) *record.Op {
	o, _ := ctx.Value(opKey{}).(*record.Op)
	return o
}

// Begin begins an operation in a process. One that changes rows changes them in the database
// first, as a program does.
func (w *World) Begin(o *record.Op, p *Process) {
	o.Process, o.Began, o.Ended = &p.Process, w.Moment(), record.NotYet
	o.Got, o.Told = make(map[int]int), make(map[*record.Process][]record.Telling)
	if o.Kind.Changes() && o.Kind != record.Transaction {
		w.change(o)
	}
	p.Busy++
	p.Closing = p.Closing || o.Kind == record.Close
	w.Record.Ops = append(w.Record.Ops, o)
	c := &client{p, o}
	go func() {
		defer func() {
			o.Panic = recover()
			w.mu.Lock()
			defer w.mu.Unlock()
			w.done = append(w.done, c)
		}()
		o.Err = c.do(context.WithValue(context.Background(), opKey{}, o))
	}()
}

// change changes the rows of an operation in the database.
func (w *World) change(o *record.Op) {
	o.Wrote, o.Needs = make(map[int]int), make(map[int]int)
	changed := o.Rows
	if o.Kind != record.DeleteMany {
		changed = o.Rows[:1]
	}
	for _, row := range changed {
		w.Versions[row]++
		o.Wrote[row] = w.Versions[row]
	}
	for row := range w.Versions {
		if o.Reaches(row) {
			o.Needs[row] = w.Versions[row]
		}
	}
}

// endOp notes that an operation has ended.
func (w *World) endOp(c *client) {
	c.op.Ended = w.Moment()
	c.Busy--
	if c.op.Kind == record.Close {
		c.leave()
	}
	w.Notef(c.Process, "%v ends: %s", c.op, c.op.Outcome())
}

// do carries the operation out.
func (c *client) do(ctx context.Context) error {
	o, row := c.op, 0
	if len(o.Rows) > 0 {
		row = o.Rows[0]
	}
	load := func(ctx context.Context) (servers.Value, error) {
		found, err := c.load(ctx, []int{row})
		return found[row], err
	}
	switch o.Kind {
	case record.Get:
		v, ok, err := c.cache.Get(ctx, row)
		return c.read(map[int]servers.Value{row: v}, ok, err)
	case record.GetOrSet:
		v, err := c.cache.GetOrSet(ctx, row, load)
		return c.read(map[int]servers.Value{row: v}, err == nil, err)
	case record.ForceFresh:
		v, err := c.cache.GetOrSet(ctx, row, load, runtime.ForceFresh())
		return c.read(map[int]servers.Value{row: v}, err == nil, err)
	case record.GetMany:
		found, err := c.cache.GetMany(ctx, o.Rows)
		return c.read(found, true, err)
	case record.GetOrSetMany:
		found, err := c.cache.GetOrSetMany(ctx, o.Rows, c.load)
		return c.read(found, true, err)
	case record.Set:
		return c.cache.Set(ctx, row, servers.Value{Row: row, Version: o.Wrote[row]})
	case record.Delete:
		return c.cache.Delete(ctx, row)
	case record.DeleteMany:
		return c.cache.DeleteMany(ctx, o.Rows...)
	case record.DeleteByRowTag:
		return c.store.DeleteByTag(ctx, rowTag(row))
	case record.DeleteByGroup:
		return c.store.DeleteByTag(ctx, groupTag(row))
	case record.Expire:
		return c.cache.Expire(ctx, row)
	case record.ExpireByTag:
		return c.store.ExpireByTag(ctx, rowTag(row))
	case record.Clear:
		return c.cache.Clear(ctx)
	case record.Write:
		return gen.Write(ctx, gen.Writer{Function: "processes.Write"}, gen.Delete(c.cache, row), gen.DeleteByTag(c.cache, rowTag(row)))
	case record.Transaction:
		return c.transact(ctx)
	case record.Close:
		ctx, cancel := context.WithTimeout(ctx, CloseTime)
		defer cancel()
		return c.store.Close(ctx)
	}
	return errors.New("simulation: no such operation")
}

// read notes what a client has read.
func (c *client) read(found map[int]servers.Value, ok bool, err error) error {
	if ok {
		for row, v := range found {
			c.op.Got[row] = v.Version
		}
	}
	return err
}

// Why a transaction was not committed.
var (
	ErrRolledBack = errors.New("simulation: the database has rolled the transaction back")
	ErrUnclear    = errors.New("simulation: the connection was lost before the database has answered a commit")
)

// transact changes a row in a transaction, invalidates it, reads what it has changed, and
// commits. What is invalidated is carried out after the commit.
func (c *client) transact(outside context.Context) error {
	o, row := c.op, c.op.Rows[0]
	ctx, collected := runtime.Collect(outside)
	defer collected.Rollback()
	if c.world.Mutation == InvalidatesBeforeCommit {
		ctx = outside
	}
	invalidate := func() error { return c.cache.Delete(ctx, row) }
	if o.ID%2 == 0 {
		invalidate = func() error { return c.store.DeleteByTag(ctx, rowTag(row)) }
	}
	if err := invalidate(); err != nil {
		return err
	}
	if c.world.Mutation != InvalidatesBeforeCommit {
		inside := func(context.Context) (servers.Value, error) {
			return servers.Value{Row: row, Version: o.Uncommitted()}, nil
		}
		v, err := c.cache.GetOrSet(ctx, row, inside)
		if errors.Is(err, runtime.ErrClosed) {
			return err
		}
		if err != nil || v.Version != o.Uncommitted() {
			return fmt.Errorf("simulation: %v reads version %d inside, with the error %v", o, v.Version, err)
		}
	}
	if err := collected.WriteOutbox(outside, func(context.Context, string) error { return nil }); err != nil {
		collected.Rollback()
		return err
	}
	switch err := c.commit(ctx, o); {
	case err == nil:
		return collected.Commit(outside)
	case errors.Is(err, ErrUnclear):
		return collected.Unclear(outside)
	default:
		collected.Rollback()
		return nil
	}
}
