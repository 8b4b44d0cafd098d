package storetest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/cachegen/cachegen/runtime/event"
)

// A Record is what a store has told its hooks and its log, a line each: the name of the
// hook, or the level of the log, in lower case, and what happened. The zero value is
// ready.
type Record struct {
	mu    sync.Mutex
	lines []string
}

// Lines returns what was told under a word, without the word.
func (r *Record) Lines(word string) (lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			lines = append(lines, rest)
		}
	}
	return lines
}

// Told reports whether a line under a word contains text.
func (r *Record) Told(word, text string) bool {
	return slices.ContainsFunc(r.Lines(word), func(line string) bool { return strings.Contains(line, text) })
}

// Forget empties the record.
func (r *Record) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = nil
}

func (r *Record) add(err error, words ...any) {
	line := strings.Join(strings.Fields(fmt.Sprintln(words...)), " ")
	if err != nil {
		line += ": " + err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

// word returns name if it is so, and nothing if not.
func word(so bool, name string) string {
	if so {
		return name
	}
	return ""
}

func (r *Record) hooks() event.Hooks {
	invalidation := func(hook string) func(event.Invalidation) {
		return func(e event.Invalidation) {
			r.add(e.Err, hook, strings.Join(slices.Concat(e.Keys, e.Tags), ","), e.Namespace, e.Cache)
		}
	}
	message := func(hook string) func(event.Message) {
		return func(e event.Message) { r.add(e.Err, hook, e.Kind, strings.Join(e.Targets, ",")) }
	}
	return event.Hooks{
		Hit: func(e event.Hit) {
			r.add(nil, "hit", e.Key, e.Tier, word(e.Stale, "stale"), word(e.NotFound, "notfound"))
		},
		Miss: func(e event.Miss) { r.add(nil, "miss", e.Key) },
		Loaded: func(e event.Load) {
			r.add(e.Err, "loaded", strings.Join(e.Keys, ","), word(e.Refresh, "refresh"), word(e.Background, "background"))
		},
		Written:    func(e event.Write) { r.add(nil, "written", e.Key, word(e.Loaded, "loaded")) },
		Deleted:    invalidation("deleted"),
		Expired:    invalidation("expired"),
		Cleared:    invalidation("cleared"),
		Published:  message("published"),
		Received:   message("received"),
		Operation:  func(e event.Operation) { r.add(e.Err, "operation", e.Op, e.Keys) },
		Breaker:    func(e event.BreakerChange) { r.add(e.Err, "breaker", e.Only, e.State) },
		Pending:    func(e event.Pending) { r.add(e.Err, "pending", e.Pending) },
		Refused:    func(e event.Refusal) { r.add(e.Err, "refused", e.Key, e.Tier) },
		Unreadable: func(e event.Unreadable) { r.add(e.Err, "unreadable", e.Key, word(e.Schema, "schema")) },
	}
}

// Enabled implements slog.Handler.
func (r *Record) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (r *Record) WithAttrs([]slog.Attr) slog.Handler { return r }

// WithGroup implements slog.Handler.
func (r *Record) WithGroup(string) slog.Handler { return r }

// Handle implements slog.Handler.
func (r *Record) Handle(_ context.Context, line slog.Record) error {
	words := []any{strings.ToLower(line.Level.String()), line.Message}
	line.Attrs(func(a slog.Attr) bool {
		words = append(words, a.Key+"="+a.Value.String())
		return true
	})
	r.add(nil, words...)
	return nil
}
