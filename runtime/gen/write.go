package gen

import (
	"context"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/typed"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
)

// A Writer is an annotated function that changes what is cached.
type Writer struct {
	// Function is its name, as in a runtime.InvalidationError.
	Function string
	// Errors is what the directive says becomes of errors; zero leaves that to caches and stores.
	Errors InvalidationErrors
	// InTransaction says that the function has changed data in a transaction that has not been
	// committed. Write then changes nothing at once: it fails unless its context collects.
	InTransaction bool
}

// A Target is what a [Writer] changes.
type Target untyped.Target

// Write changes targets after a function has done its work: all of them, although one fails, in
// the time of one runtime.L2Timeout, and stores at the same time. Of one store all keys and tags
// that are deleted go in one call. What is set comes after what is invalidated.
func Write(ctx context.Context, w Writer, targets ...Target) error {
	if w.InTransaction {
		if err := untyped.MustCollect(ctx, w.Function); err != nil {
			return err
		}
	}
	all := make([]untyped.Target, len(targets))
	for i, t := range targets {
		all[i] = untyped.Target(t)
	}
	return untyped.Write(ctx, budget.Write{Function: w.Function, Errors: w.Errors.given()}, all)
}

// Delete is runtime.Cache.DeleteMany as a target.
func Delete[K comparable, V any](c *runtime.Cache[K, V], keys ...K) Target {
	return Target{Verb: untyped.Delete, Cache: c.Untyped(), Keys: typed.Box(keys)}
}

// Expire is runtime.Cache.Expire as a target.
func Expire[K comparable, V any](c *runtime.Cache[K, V], keys ...K) Target {
	return Target{Verb: untyped.Expire, Cache: c.Untyped(), Keys: typed.Box(keys)}
}

// Set is runtime.Cache.Set as a target.
func Set[K comparable, V any](c *runtime.Cache[K, V], key K, value V) Target {
	return Target{Verb: untyped.Set, Cache: c.Untyped(), Keys: []any{key}, Value: value}
}

// An Untyped is a runtime.Cache of any type.
type Untyped interface{ Untyped() *untyped.Cache }

// DeleteByTag is runtime.Store.DeleteByTag as a target, of the store that c is bound to.
func DeleteByTag(c Untyped, tags ...runtime.Tag) Target {
	return Target{Verb: untyped.Delete, Cache: c.Untyped(), Tags: texts(tags)}
}

// ExpireByTag is runtime.Store.ExpireByTag as a target, of the store that c is bound to.
func ExpireByTag(c Untyped, tags ...runtime.Tag) Target {
	return Target{Verb: untyped.Expire, Cache: c.Untyped(), Tags: texts(tags)}
}

// Clear is runtime.Namespace.Clear as a target, of the store that c is bound to.
func Clear(c Untyped, namespace string) Target {
	return Target{Verb: untyped.Clear, Cache: c.Untyped(), Namespace: []string{namespace}}
}

// Call is what a generated function of another package changes.
func Call(f func(context.Context) error) Target { return Target{Verb: untyped.Call, Call: f} }
