package untyped

import (
	"context"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/runtime/internal/collect"
)

// ErrNotCollected says that a change inside a transaction has nothing that holds it until the
// commit.
var ErrNotCollected = errors.New("cachegen: a change inside a transaction is not held until the commit: use a context of runtime.Collect or of package runtime/transaction")

// A handle for a transaction is on the entries of another handle, for what is bound to a database
// transaction: its readers call their loaders, whatever the context, and its changes have to be
// held. It is bound to what the other one is bound to, and has no binding of its own: so the fast
// path finds nothing in it, and pays nothing.

// ForTransaction makes c, a zero Cache, a handle for a transaction on the entries of another one.
func (c *Cache) ForTransaction(outside *Cache) {
	c.definition, c.outside = outside.definition, outside
}

// Outside returns the handle that c is a handle for a transaction of; nil if it is none.
func (c *Cache) Outside() *Cache { return c.outside }

// InTransaction reports whether c is a handle for a transaction.
func (c *Cache) InTransaction() bool { return c.outside != nil }

// Inside returns what Keep has kept: the handle for a transaction, with its types, or nil.
func (c *Cache) Inside() any { return c.inside.Load() }

// Keep keeps the handle for a transaction on c's entries, unless one is kept already, and returns
// the one that is. Such a handle belongs to no transaction in particular.
func (c *Cache) Keep(handle any) any {
	if c.inside.CompareAndSwap(nil, handle) {
		return handle
	}
	return c.inside.Load()
}

// MustCollect returns an error unless changes with ctx are held until a commit, on behalf of who.
func MustCollect(ctx context.Context, who string) error {
	if collect.Of(ctx).Holds() {
		return nil
	}
	return fmt.Errorf("%w (%s)", ErrNotCollected, who)
}

// mayChange fails in a handle for a transaction, if a change with ctx would be made at once.
func (c *Cache) mayChange(ctx context.Context) error {
	if c.outside == nil {
		return nil
	}
	return MustCollect(ctx, c.Label())
}
