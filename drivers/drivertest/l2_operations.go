package drivertest

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// An operation is a call of a store's method.
type operation struct {
	verb    string // the word for it in errors
	run     func(context.Context) error
	offline bool // it need not ask the server
}

// online returns the operations that ask the server.
func (s l2) online() map[string]operation {
	all := s.operations()
	maps.DeleteFunc(all, func(_ string, o operation) bool { return o.offline })
	return all
}

// operations returns a call of every method that the store has.
func (s l2) operations() map[string]operation {
	x, y := s.key("x"), s.key("y")
	keys := []string{x}
	items := []drivers.Item{{Key: x, Value: []byte("x")}}
	all := map[string]operation{
		"SetMany":            {verb: "set", run: func(ctx context.Context) error { return s.SetMany(ctx, items) }},
		"DeleteMany":         {verb: "delete", run: func(ctx context.Context) error { return s.DeleteMany(ctx, keys) }},
		"GetMany":            {verb: "get", run: func(ctx context.Context) error { _, err := s.GetMany(ctx, []string{x, y}); return err }},
		"GetMany of one key": {verb: "get", run: func(ctx context.Context) error { _, err := s.GetMany(ctx, keys); return err }},
	}
	if a, ok := drivers.AdderOf(s.L2); ok {
		all["AddMany"] = operation{verb: "add", run: func(ctx context.Context) error { _, err := a.AddMany(ctx, items); return err }}
	}
	if w, ok := drivers.SwapperOf(s.L2); ok {
		all["SwapMany"] = operation{verb: "swap", run: func(ctx context.Context) error {
			_, err := w.SwapMany(ctx, []drivers.Swap{{Key: x, New: []byte("x")}})
			return err
		}}
	}
	if l, ok := drivers.LeaserOf(s.L2); ok {
		all["LeaseMany"] = operation{verb: "lease", run: func(ctx context.Context) error {
			_, err := l.LeaseMany(ctx, keys, drivers.LeaseRequest{Token: "token", TTL: time.Minute})
			return err
		}}
		all["FillMany"] = operation{verb: "fill", run: func(ctx context.Context) error { _, err := l.FillMany(ctx, items, "token"); return err }}
		all["RenewMany"] = operation{verb: "renew", run: func(ctx context.Context) error {
			_, err := l.RenewMany(ctx, keys, "token", time.Minute)
			return err
		}}
		all["ReleaseMany"] = operation{verb: "release", run: func(ctx context.Context) error { _, err := l.ReleaseMany(ctx, keys, "token"); return err }}
	}
	if h, ok := drivers.HistorianOf(s.L2); ok {
		all["History"] = operation{verb: "history", run: func(ctx context.Context) error { _, err := h.History(ctx); return err }, offline: true}
	}
	if c, ok := drivers.ScannerOf(s.L2); ok {
		all["Scan"] = operation{verb: "scan", run: func(ctx context.Context) error {
			return c.Scan(ctx, s.prefix, func([]string) error { return nil })
		}}
	}
	if p, ok := drivers.PrefixDeleterOf(s.L2); ok {
		all["DeletePrefix"] = operation{verb: "delete", run: func(ctx context.Context) error { _, err := p.DeletePrefix(ctx, s.prefix); return err }}
	}
	if p, ok := drivers.PrunerOf(s.L2); ok {
		all["Prune"] = operation{verb: "prune", run: func(ctx context.Context) error { _, err := p.Prune(ctx); return err }}
	}
	if c, ok := drivers.ReadyCheckerOf(s.L2); ok {
		all["Ready"] = operation{verb: "ready", run: c.Ready}
	}
	return all
}

func l2EndedContext(t *testing.T, s l2) {
	cancelled, cancel := context.WithCancel(s.ctx)
	cancel()
	late, cancel := context.WithDeadline(s.ctx, time.Now())
	defer cancel()
	for name, operation := range s.operations() {
		mustFail(t, name, operation.run(cancelled), context.Canceled)
		mustFail(t, name, operation.run(late), context.DeadlineExceeded)
	}
	s.expect(s.key("x"), nil)
}

func l2Close(t *testing.T, s l2) {
	s.set(drivers.Item{Key: s.key("x"), Value: []byte("x"), TTL: time.Hour})
	must(t, "Close", s.Close())
	must(t, "second Close", s.Close())
	for name, operation := range s.operations() {
		mustFail(t, name+" after Close", operation.run(s.ctx), drivers.ErrClosed)
	}
}
