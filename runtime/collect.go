package runtime

import (
	"context"

	"github.com/cachegen/cachegen/runtime/internal/collect"
)

// Collected is what was changed with a context of [Collect], and waits for the end of a database
// transaction. [Collected.Commit], [Collected.Unclear] or [Collected.Rollback] ends it. Its methods
// may be called by several goroutines.
type Collected struct{ collected *collect.Collected }

// Collect returns a context for what belongs to one database transaction. What is changed with
// this context, in any cache and store, is held until the transaction has ended: each Delete,
// Expire, Invalidate, DeleteByTag, ExpireByTag, Clear, Set and Pull, and what annotated functions
// change. After the transaction has been committed, [Collected.Commit] carries all of it out. If
// the transaction was rolled back, [Collected.Rollback] drops all of it. So no other caller can
// load the old row after the invalidation, and before the commit, and keep it.
//
//	ctx, collected := runtime.Collect(ctx)
//	defer collected.Rollback() // nothing, after Commit
//	tx, err := db.BeginTx(ctx, nil)
//	...
//	if err := tx.Commit(); err != nil {
//		return err
//	}
//	return collected.Commit(ctx)
//
// Package transaction does this for many libraries; its functions also tell how a commit has
// failed.
//
// Reads with the context are reads inside the transaction, which may see rows that nobody else
// sees. What the transaction has changed, by key or by a tag, namespace or clear that the entry
// has, is not served from the cache: the loader is called. Everything else may be served from the
// cache. What the loader returns is not kept, and not shared with other callers; it is called by
// the caller itself, with its context, and [HardTimeout] and [Grace] do not count. Get and the
// like find nothing of what the transaction has changed, also not what it has Set. Pull leaves the
// value there for others until the commit. After the transaction, go on with the context from
// before: what is loaded with this one is not kept even then.
//
// If ctx is itself one of Collect that has not ended, what is collected here is a part of what is
// collected there, as for a savepoint: Commit hands it on, and Rollback drops this part. For a
// transaction that commits by itself, give Collect the context from before the outer one.
//
// A change that comes with the context when the transaction has ended is made at once, because
// the data may have changed, and a Set then removes the value that is there. The first such change
// is logged. So does nothing get lost that a goroutine of the transaction does late.
//
// The changes wait in memory, a key or a tag once, however often it is changed. Of one store there
// may be 100,000; if there are more, the whole store is cleared at the end. Of more than 1000 values
// that were Set, and of a value whose key or tag anybody has changed since, the key is deleted
// instead. If the program ends before Commit has returned, what was collected is lost, unless the
// stores have an [Outbox]. It is lost, too, if neither Commit nor Rollback is called, which is logged
// when the garbage collector notices it.
func Collect(ctx context.Context) (context.Context, *Collected) {
	ctx, c := collect.New(ctx, collect.Inside, nil)
	return ctx, &Collected{c}
}

// WriteOutbox writes what was collected into the outboxes of its stores ([Outbox]), so that it is
// carried out although the process dies after the commit. Call it last in the transaction, before
// the database commits. exec executes a statement, which has no parameters, in the transaction. It
// must be one of the database that has the outbox.
//
//	err = collected.WriteOutbox(ctx, func(ctx context.Context, statement string) error {
//		_, err := tx.ExecContext(ctx, statement)
//		return err
//	})
//
// If WriteOutbox fails, roll the transaction back. A value that was Set is not written: its key is
// removed if others carry it out. Of a transaction with more than about 2 MB of keys and tags, the
// whole store is cleared then. Stores without an outbox write nothing. Inside another [Collect]
// that has not ended, WriteOutbox writes nothing: the outer one does. After Commit, Unclear or
// Rollback it returns [ErrCollectDone].
func (c *Collected) WriteOutbox(ctx context.Context, exec func(ctx context.Context, statement string) error) error {
	return c.must().Leave(ctx, exec)
}

// Commit carries out what was collected, all stores at the same time, in the time of one write: see
// [L2Timeout]. Call it when the database has committed. First everything is invalidated, then
// values are stored that were Set and not invalidated afterwards. Loads of others that have
// begun before are not kept. Commit goes on if ctx is cancelled.
//
// If not everybody was reached, the error is an [InvalidationError], as of the methods that were
// called: the transaction itself has been committed, and the rest is tried again in the background.
// Its Function names the annotated functions that have changed something, separated by commas.
// Errors of several stores are joined. Inside another Collect, Commit hands on what was collected
// and returns nil. A second Commit, or one after Rollback, returns [ErrCollectDone].
func (c *Collected) Commit(ctx context.Context) error { return c.must().Commit(ctx) }

// Unclear is [Collected.Commit] for a transaction of which the caller cannot know whether it was
// committed, because the connection was lost before the database has answered. It invalidates
// everything that was collected, which is right in either case, and stores no value that was Set:
// the keys of these are deleted.
func (c *Collected) Unclear(ctx context.Context) error { return c.must().Unclear(ctx) }

// Rollback drops what was collected: the data is as it was. After Commit, Unclear or Rollback it
// does nothing.
func (c *Collected) Rollback() { c.must().Rollback() }
