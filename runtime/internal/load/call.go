package load

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/handle"
)

// callLoader calls the loader, several times if it is to be asked for so many keys only at
// a time. It returns when the loader does, although those who wait may have been told of a
// timeout before.
func (l *Loader) callLoader(ctx context.Context, cancel context.CancelCauseFunc, ld *Load, keys []*Key) {
	if ld.Request.Policy.HardTimeout > 0 {
		timer := time.AfterFunc(ld.Request.Policy.HardTimeout, func() {
			cancel(ErrTimeout)
			for _, k := range keys {
				l.finishOverdue(ld, k)
			}
			l.leave(ld)
		})
		defer timer.Stop()
	}
	size := len(keys)
	if ld.Request.Policy.BatchMax > 0 {
		size = ld.Request.Policy.BatchMax
	}
	for some := range slices.Chunk(keys, size) {
		err := ld.Panicked()
		if err == nil && some[0] != keys[0] {
			err = context.Cause(ctx)
		}
		if err == nil {
			l.callOnce(ctx, ld, some)
			continue
		}
		for _, k := range some {
			k.said.failed = err
		}
	}
}

// callOnce calls the loader for keys.
func (l *Loader) callOnce(ctx context.Context, ld *Load, keys []*Key) {
	var stale func() (*entry.Item, event.Reason)
	if len(keys) == 1 {
		stale = keys[0].stale
	}
	ctx, h := handle.New(ctx, &ld.Batch, !ld.Refresh, ld.Request.Kind.Copy, stale)
	began := time.Now()
	err := l.guarded(ctx, ld, keys)
	said := h.End(ld.Request.Kind.Cache)
	if said.Wrong != nil {
		l.Emit.Warn("a loader has given options that are wrong, nothing is kept", said.Wrong, "cache", ld.Request.Kind.Cache)
	}
	t := clock.Now()
	for _, k := range keys {
		k.said.at, k.said.handle = t, said
	}
	all := err == nil && said.Failure != nil
	if all {
		err = said.Failure
	}
	if err != nil {
		for _, k := range keys {
			if all || !k.said.found && k.said.none == nil {
				k.said.failed = err
			}
			if all {
				k.said.beside = nil
			}
		}
	}
	l.emitLoaded(ld, keys, time.Since(began), err)
}

// guarded turns a panic of the loader into its error.
func (l *Loader) guarded(ctx context.Context, ld *Load, keys []*Key) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = l.setPanicked(ld, p)
		}
	}()
	return ld.Request.Load(ctx, keys)
}

// emitLoaded tells of a loader that has returned.
func (l *Loader) emitLoaded(ld *Load, keys []*Key, took time.Duration, err error) {
	hook, onError := l.Emit.Hooks().Loaded, ld.Request.Policy.OnLoadError
	if hook == nil && (err == nil || onError == nil) {
		return
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Key
	}
	cache, background := ld.Request.Kind.Cache, ld.Batch.Background()
	if err != nil {
		emit.Event(l.Emit, onError, &event.LoadError{Store: l.Emit.Store, Cache: cache, Keys: names, Err: err, Background: background})
	}
	emit.Event(l.Emit, hook, event.Load{Store: l.Emit.Store, Cache: cache, Keys: names, Took: took, Err: err, Refresh: ld.Refresh, Background: background})
}

// finishOverdue finishes the flight of a key whose loader goes on beyond its hard timeout.
func (l *Loader) finishOverdue(ld *Load, k *Key) {
	defer func() {
		if v := recover(); v != nil { // of a driver: nobody else is there to catch it
			l.Emit.Warn("shared tier: driver panicked", fmt.Errorf("%v", v))
			k.flight.Finish(nil, ErrTimeout, true)
		}
	}()
	if l.Usable(l.Work.Context, k.fallback) {
		l.Memory.BackOff(k.Hash, k.fallback.Item, ld.Request.Policy.GraceBackoff)
		k.flight.Finish(k.fallback.Item, nil, true)
		return
	}
	// Before anyone is told, who might try again.
	failure := l.rememberFailure(k, &ld.Request.Policy, k.stamps, ErrTimeout, clock.Now())
	if !k.flight.Finish(nil, ErrTimeout, true) { // the load has ended just now
		if _, err := k.flight.Result(); err == nil {
			l.Memory.ForgetFailure(failure)
		}
	}
}
