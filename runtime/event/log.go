package event

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/cachegen/cachegen/runtime/internal/keytext"
)

// LogHooks returns Hooks that log every event at the given level, and failures at least as
// warnings. A nil logger is slog.Default(). LogHooks logs keys, which may be personal data: of
// many keys the first three, long keys cut, and keys with strange characters quoted.
func LogHooks(logger *slog.Logger, level slog.Level) Hooks {
	if logger == nil {
		logger = slog.Default()
	}
	log := func(err error, text string, attrs ...slog.Attr) {
		at := level
		if err != nil {
			at = max(at, slog.LevelWarn)
			attrs = append(attrs, slog.Any("err", err))
		}
		logger.LogAttrs(context.Background(), at, "cachegen: "+text, attrs...)
	}
	invalidated := func(text string) func(Invalidation) {
		return func(e Invalidation) {
			log(e.Err, text, slog.String("store", e.Store), slog.Any("keys", names(e.Keys)), slog.Any("tags", names(e.Tags)),
				slog.String("namespace", keytext.Show(e.Namespace)), slog.String("cache", e.Cache))
		}
	}
	message := func(text string) func(Message) {
		return func(e Message) {
			log(e.Err, text, slog.String("store", e.Store), slog.String("kind", e.Kind), slog.Any("targets", names(e.Targets)))
		}
	}
	return Hooks{
		Hit: func(e Hit) {
			log(nil, "hit", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.String("key", keytext.Show(e.Key)),
				slog.String("tier", e.Tier.String()), slog.Bool("stale", e.Stale), slog.Bool("not_found", e.NotFound))
		},
		Miss: func(e Miss) {
			log(nil, "miss", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.String("key", keytext.Show(e.Key)))
		},
		Loaded: func(e Load) {
			log(e.Err, "loaded", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.Any("keys", names(e.Keys)),
				slog.Duration("took", e.Took), slog.Bool("refresh", e.Refresh), slog.Bool("background", e.Background))
		},
		Skipped: func(e Skip) {
			log(nil, "not loaded in the background", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.Int("keys", e.Keys),
				slog.Int("running", e.Running), slog.Int("left", e.Left))
		},
		Written: func(e Write) {
			log(nil, "written", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.String("key", keytext.Show(e.Key)), slog.Bool("loaded", e.Loaded))
		},
		Refused: func(e Refusal) {
			log(e.Err, "refused", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.String("key", keytext.Show(e.Key)), slog.String("tier", e.Tier.String()))
		},
		Deleted: invalidated("deleted"), Expired: invalidated("expired"), Cleared: invalidated("cleared"),
		Published: message("bus: published"), Received: message("bus: received"),
		Operation: func(e Operation) {
			log(e.Err, "shared tier", slog.String("store", e.Store), slog.String("op", e.Op), slog.Int("keys", e.Keys), slog.Duration("took", e.Took))
		},
		Breaker: func(e BreakerChange) {
			log(e.Err, "circuit breaker", slog.String("store", e.Store), slog.String("state", e.State), slog.String("only", e.Only))
		},
		Pending: func(e Pending) {
			log(e.Err, "pending invalidations", slog.String("store", e.Store), slog.Int("pending", e.Pending))
		},
		Outbox: func(e Outbox) {
			log(e.Err, "entries of the outbox", slog.String("store", e.Store), slog.Int("entries", e.Entries), slog.Int("attempts", e.Attempts), slog.Duration("age", e.Age))
		},
		Unreadable: func(e Unreadable) {
			log(e.Err, "entry is unreadable", slog.String("store", e.Store), slog.String("cache", e.Cache), slog.String("key", keytext.Show(e.Key)), slog.Bool("schema", e.Schema))
		},
	}
}

// names returns the first of names for a log line.
func names(all []string) []string {
	some := keytext.ShowEach(all)
	if n := len(all) - len(some); n > 0 {
		some = append(some, fmt.Sprintf("and %d more", n))
	}
	return some
}
