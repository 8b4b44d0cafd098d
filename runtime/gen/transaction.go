package gen

import "github.com/cachegen/cachegen/runtime"

// InTransaction returns a handle on the entries of c for a wrapper that is bound to a database
// transaction, or c itself unless inTx. Readers of the handle call their loaders, and neither use
// nor fill the cache; Get and the like find nothing. What the handle changes is held by the context
// (see runtime.Collect), and fails with runtime.ErrNotCollected if the context holds nothing.
//
// There is one such handle for all transactions, so that a call allocates nothing after the first.
// A nil c, and a c that is such a handle, is returned as it is.
func InTransaction[K comparable, V any](c *runtime.Cache[K, V], inTx bool) *runtime.Cache[K, V] {
	if !inTx || c == nil {
		return c
	}
	outside := c.Untyped()
	if outside.InTransaction() {
		return c
	}
	if inside, ok := outside.Inside().(*runtime.Cache[K, V]); ok {
		return inside
	}
	inside := new(runtime.Cache[K, V])
	inside.Untyped().ForTransaction(outside)
	return outside.Keep(inside).(*runtime.Cache[K, V])
}
