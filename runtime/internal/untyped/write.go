package untyped

import (
	"context"
	"errors"

	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/guard"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/store"
)

// A Verb says what becomes of a [Target].
type Verb uint8

// The verbs.
const (
	Delete Verb = iota // keys, and entries with tags
	Expire             // the same
	Set                // the entry of the only key
	Clear              // a namespace
	Call               // what a function of another package changes
)

// A Target is what a write changes: entries of a cache, or of the store that it is bound to.
type Target struct {
	Verb      Verb
	Cache     *Cache
	Keys      []any
	Value     any // of Set
	Tags      []string
	Namespace []string // of Clear
	Call      func(context.Context) error
}

// Write changes targets, each although another one fails, all in the time of one write: stores
// at the same time, and of one store first what is invalidated, each kind in one call, and then
// what is set. Its error joins theirs.
func Write(ctx context.Context, w budget.Write, targets []Target) error {
	wr := &writing{ctx: budget.Begin(ctx, w)}
	for i := range targets {
		wr.add(&targets[i])
	}
	lanes := make([]func() error, len(wr.lanes))
	for i, l := range wr.lanes {
		lanes[i] = func() error { return wr.run(l) }
	}
	return errors.Join(append(wr.errs, guard.Together(lanes))...)
}

// A writing is a call of [Write].
type writing struct {
	ctx   context.Context
	lanes []*lane
	errs  []error // of what could not be tried
}

// A lane is what is changed in one store, or by functions that know their stores themselves.
type lane struct {
	store   *store.Store // nil for the latter
	changes []*invalidation
	first   []func() error
	then    []func() error
}

// An invalidation is what becomes of keys and tags of one store in one call.
type invalidation struct {
	verb       Verb
	mode       invalidate.Mode
	keys, tags []string
}

func (w *writing) lane(s *store.Store) *lane {
	for _, l := range w.lanes {
		if l.store == s {
			return l
		}
	}
	l := &lane{store: s}
	w.lanes = append(w.lanes, l)
	return l
}

func (w *writing) add(t *Target) {
	if t.Verb == Call {
		l := w.lane(nil)
		l.first = append(l.first, func() error { return t.Call(w.ctx) })
		return
	}
	b, err := t.Cache.Binding()
	if err != nil {
		w.errs = append(w.errs, err)
		return
	}
	l := w.lane(b.Store)
	switch t.Verb {
	case Set:
		l.then = append(l.then, func() error { return t.Cache.Set(w.ctx, t.Keys[0], t.Value, nil) })
	case Clear:
		l.first = append(l.first, func() error {
			return b.Invalidate.Clear(w.ctx, entry.Cache{Namespace: t.Namespace}, b.mode())
		})
	default:
		keys, err := t.Cache.texts(b, t.Keys)
		if err != nil {
			w.errs = append(w.errs, err)
		}
		if len(keys) > 0 {
			in := l.change(t.Verb, b.mode())
			in.keys = append(in.keys, keys...)
		}
		if len(t.Tags) > 0 { // of them everybody is told
			in := l.change(t.Verb, invalidate.Mode{Log: b.mode().Log})
			in.tags = append(in.tags, t.Tags...)
		}
	}
}

// change returns the call in which keys and tags are changed in that way. It logs its error if
// all that it changes is to.
func (l *lane) change(verb Verb, m invalidate.Mode) *invalidation {
	for _, in := range l.changes {
		if in.verb == verb && in.mode.Silent == m.Silent {
			in.mode.Log = in.mode.Log && m.Log
			return in
		}
	}
	in := &invalidation{verb: verb, mode: m}
	l.changes = append(l.changes, in)
	return in
}

// run makes the changes of one lane.
func (w *writing) run(l *lane) error {
	var first []func() error
	for _, in := range l.changes {
		keys, v := entry.Distinct(in.keys), l.store.Invalidate
		if in.verb == Delete {
			first = append(first, func() error { return v.Invalidate(w.ctx, keys, in.tags, in.mode) })
			continue
		}
		if len(keys) > 0 {
			first = append(first, func() error { return v.Expire(w.ctx, keys, in.mode) })
		}
		if len(in.tags) > 0 {
			first = append(first, func() error { return v.ExpireByTag(w.ctx, in.tags, in.mode) })
		}
	}
	return errors.Join(guard.Together(append(first, l.first...)), guard.Together(l.then))
}
