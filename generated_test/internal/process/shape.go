package process

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/file"
	"github.com/cachegen/cachegen/runtime"
)

// InEveryShape runs f in virtual time, once for each shape that a store can have: a memory
// tier, a shared tier or both, and a bus or none. What generated code promises holds in all
// of them. f gets the stores of one process: main, the default, and [Local].
func InEveryShape(t *testing.T, f func(t *testing.T, stores runtime.Stores)) {
	t.Helper()
	for _, shape := range []struct {
		name        string
		l1, l2, bus bool
	}{
		{"memory", true, false, false},
		{"memory and bus", true, false, true},
		{"shared", false, true, false},
		{"shared and bus", false, true, true},
		{"both", true, true, false},
		{"both and bus", true, true, true},
	} {
		t.Run(shape.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var options []runtime.StoreOption
				if shape.l1 {
					options = append(options, tier())
				}
				if shape.l2 {
					options = append(options, runtime.L2(file.New(t.TempDir(), file.Options{NoSync: true})))
				}
				if shape.bus {
					options = append(options, runtime.Bus(&bus{}))
				}
				f(t, open(t, options...))
			})
		})
	}
}

// A bus reaches the subscribers in this process. It keeps no order between publishers, as
// any bus may.
type bus struct {
	mu        sync.Mutex
	listeners map[*drivers.Listener]string // and their channels
}

// Publish implements drivers.Bus.
func (b *bus) Publish(_ context.Context, channel string, message []byte) error {
	b.mu.Lock()
	var to []drivers.Listener
	for l, c := range b.listeners {
		if c == channel {
			to = append(to, *l)
		}
	}
	b.mu.Unlock()
	for _, l := range to {
		l.Message(message)
	}
	return nil
}

// Subscribe implements drivers.Bus.
func (b *bus) Subscribe(channel string, l drivers.Listener) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listeners == nil {
		b.listeners = make(map[*drivers.Listener]string)
	}
	b.listeners[&l] = channel
	l.Up()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.listeners, &l)
	}, nil
}

// Close implements drivers.Bus.
func (b *bus) Close() error { return nil }

// complaints fails a test for each log line of level WARN or above: nothing fails in these
// tests but loaders.
type complaints struct {
	slog.Handler
	t testing.TB
}

// Handle implements slog.Handler.
func (c complaints) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && !strings.Contains(r.Message, "load failed") {
		c.t.Errorf("the store complains: %s", r.Message)
	}
	return c.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (c complaints) WithAttrs(attrs []slog.Attr) slog.Handler {
	return complaints{c.Handler.WithAttrs(attrs), c.t}
}

// WithGroup implements slog.Handler.
func (c complaints) WithGroup(name string) slog.Handler {
	return complaints{c.Handler.WithGroup(name), c.t}
}
