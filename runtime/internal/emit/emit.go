// Package emit tells a program what its store does: events for its hooks, and log lines
// about what no caller is told.
//
// Hooks and logger are replaced as a whole and read without a lock. Neither is called
// while a lock of the runtime is held, but where event.Hooks says so.
package emit

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/ratelog"
)

// An Emitter is that of one store.
type Emitter struct {
	Store   string
	hooks   atomic.Pointer[event.Hooks]
	log     atomic.Pointer[slog.Logger]
	limiter ratelog.Limiter
}

// New returns an emitter for the store of that name.
func New(store string, logger *slog.Logger, hooks event.Hooks) *Emitter {
	e := &Emitter{Store: store}
	e.hooks.Store(&hooks)
	e.SetLogger(logger)
	return e
}

// SetLogger replaces the logger.
func (e *Emitter) SetLogger(l *slog.Logger) { e.log.Store(l.With("store", e.Store)) }

// Add adds hooks.
func (e *Emitter) Add(hooks event.Hooks) {
	all := event.Join(*e.hooks.Load(), hooks)
	e.hooks.Store(&all)
}

// Hooks returns the hooks.
func (e *Emitter) Hooks() *event.Hooks { return e.hooks.Load() }

// Warn logs what went wrong and no caller is told, at most once a second for each text.
func (e *Emitter) Warn(text string, err error, attrs ...any) {
	suppressed, ok := e.limiter.Allow(text)
	if !ok {
		return
	}
	attrs = append(attrs, "err", err)
	if suppressed > 0 {
		attrs = append(attrs, "suppressed", suppressed)
	}
	e.log.Load().Warn("cachegen: "+text, attrs...)
}

// Info logs what somebody may want to know who runs the program, and need not do anything about.
func (e *Emitter) Info(text string) { e.log.Load().Info("cachegen: " + text) }

// Event calls a hook if there is one.
func Event[E any](e *Emitter, hook func(E), ev E) {
	if hook == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			e.Warn("hook panicked", fmt.Errorf("%v", p))
		}
	}()
	hook(ev)
}

// Hit tells of an item that was served.
func (e *Emitter) Hit(cache string, it *entry.Item, tier event.Tier, stale bool) {
	if hook := e.Hooks().Hit; hook != nil {
		Event(e, hook, event.Hit{Store: e.Store, Cache: cache, Key: it.Key, Tier: tier, Stale: stale, NotFound: it.Presence != entry.Present})
	}
}

// Refused tells of an item that a tier does not keep: the hooks each time, and, unless that
// is the shared tier, the log once for each cache, since it may be each read that loads such
// a value again. Nil is no refusal.
func (e *Emitter) Refused(kind *entry.Kind, key string, tier event.Tier, err error) {
	if err == nil {
		return
	}
	text := "memory: a value is not kept, which is logged once for a cache"
	if tier == 0 {
		text = "a value cannot be copied and is not kept, which is logged once for a cache"
	}
	if tier != event.L2 && kind.ToldRefused.CompareAndSwap(false, true) {
		e.log.Load().Warn("cachegen: "+text, "cache", kind.Cache, "err", err)
	}
	Event(e, e.Hooks().Refused, event.Refusal{Store: e.Store, Cache: kind.Cache, Key: key, Tier: tier, Err: err})
}

// Miss tells of a key that a read has found nothing for.
func (e *Emitter) Miss(cache, key string) {
	if hook := e.Hooks().Miss; hook != nil {
		Event(e, hook, event.Miss{Store: e.Store, Cache: cache, Key: key})
	}
}
