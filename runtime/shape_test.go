package runtime_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A shape is which tiers a store has: a memory tier, a shared tier, with or without leases, or
// both, and a bus or none. What a test promises of a cache holds in every shape, unless the test
// names its tiers itself.
type shape struct {
	name                string
	l1, l2, bus, leases bool
}

var shapes = []shape{
	{name: "memory", l1: true},
	{name: "memory and bus", l1: true, bus: true},
	{name: "shared", l2: true, leases: true},
	{name: "shared and bus", l2: true, bus: true, leases: true},
	{name: "shared without leases", l2: true},
	{name: "both", l1: true, l2: true, leases: true},
	{name: "both and bus", l1: true, l2: true, bus: true, leases: true},
	{name: "both without leases", l1: true, l2: true},
	{name: "both and bus without leases", l1: true, l2: true, bus: true},
}

// tiers returns the tiers of one process, which shares them with nobody.
func (s shape) tiers() runtime.StoreOption { return s.team()() }

// team returns what gives each process of a team its tiers: a memory tier of its own, and
// the shared tier and the bus that all of them have.
func (s shape) team() func() runtime.StoreOption {
	var shared faketier.Shared
	var bus faketier.Bus
	return func() runtime.StoreOption {
		var options []runtime.StoreOption
		if s.l1 {
			options = append(options, memoryTier())
		}
		switch {
		case s.leases:
			options = append(options, runtime.L2(&shared))
		case s.l2:
			options = append(options, runtime.L2(faketier.Unleased(&shared)))
		}
		if s.bus {
			options = append(options, runtime.Bus(&bus))
		}
		return runtime.All(options...)
	}
}

// years returns n years, and n times ten minutes with a bus: its heartbeats of years would take
// hours.
func (s shape) years(n int) time.Duration {
	if s.bus {
		return time.Duration(n) * 10 * time.Minute
	}
	return time.Duration(n) * 365 * 24 * time.Hour
}

// inEveryShape runs f once for each shape, in virtual time.
func inEveryShape(t *testing.T, f func(t *testing.T, in shape)) {
	t.Helper()
	for _, in := range shapes {
		t.Run(in.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { f(t, in) })
		})
	}
}

// inEveryShapeWithMemory runs f for the shapes that have a memory tier.
func inEveryShapeWithMemory(t *testing.T, f func(t *testing.T, in shape)) {
	t.Helper()
	inEveryShape(t, func(t *testing.T, in shape) {
		if in.l1 {
			f(t, in)
		}
	})
}

// inEveryShapeOutside runs f once for each shape, in real time, for what cannot run in a
// bubble.
func inEveryShapeOutside(t *testing.T, f func(t *testing.T, in shape)) {
	t.Helper()
	for _, in := range shapes {
		t.Run(in.name, func(t *testing.T) { f(t, in) })
	}
}

// Complaints that a test asks for, by its name. They hold for its subtests, too.
var asked struct {
	sync.Mutex
	of map[string][]string
}

// What may be told of a shared tier that fails, and of a bus.
var (
	theSharedTierFails = []string{"shared tier", "breaker "}
	theBusFails        = []string{"bus"}
)

// mayTell says that stores of this test may complain: each text is a part of a log line of
// level WARN or above, or of an event of a failure. A complaint that no test has asked for
// fails the test.
func mayTell(t testing.TB, texts ...string) {
	t.Helper()
	asked.Lock()
	defer asked.Unlock()
	if asked.of == nil {
		asked.of = make(map[string][]string)
	}
	asked.of[t.Name()] = append(asked.of[t.Name()], texts...)
}

func isAsked(test, complaint string) bool {
	asked.Lock()
	defer asked.Unlock()
	for {
		for _, text := range asked.of[test] {
			if strings.Contains(complaint, text) {
				return true
			}
		}
		i := strings.LastIndexByte(test, '/')
		if i < 0 {
			return false
		}
		test = test[:i]
	}
}

// silence is what a store tells when it was kept from hearing its bus, as a busy machine does.
const silence = "bus: messages may have been missed, what memory has is confirmed before it is served"

// complaints is a log handler, and hooks, that remember what a store tells only if
// something has failed. What a loader returns is no failure of the store.
type complaints struct {
	mu    sync.Mutex
	lines []string
}

func (c *complaints) add(words ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, strings.Join(words, " "))
}

func (c *complaints) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (c *complaints) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *complaints) WithGroup(string) slog.Handler      { return c }

func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	if r.Message == silence && r.Time.Year() > 2000 { // in virtual time, which begins in 2000, nobody waits for the machine
		return nil
	}
	line := "log " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	c.add(line)
	return nil
}

func (c *complaints) options() runtime.StoreOption {
	failed := func(what string, err error) {
		if err != nil {
			c.add(what, err.Error())
		}
	}
	invalidation := func(e event.Invalidation) { failed("invalidation", e.Err) }
	message := func(e event.Message) { failed("message", e.Err) }
	return runtime.All(runtime.Logger(slog.New(c)), runtime.Hooks(event.Hooks{
		Breaker:    func(e event.BreakerChange) { c.add("breaker", e.State) },
		Pending:    func(e event.Pending) { failed("pending", e.Err) },
		Operation:  func(e event.Operation) { failed("operation "+e.Op, e.Err) },
		Unreadable: func(e event.Unreadable) { failed("unreadable", e.Err) },
		Refused:    func(e event.Refusal) { failed("refused", e.Err) },
		Deleted:    invalidation, Expired: invalidation, Cleared: invalidation,
		Published: message, Received: message,
	}))
}

// check fails the test for each complaint that it has not asked for.
func (c *complaints) check(t testing.TB) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	told := make(map[string]bool)
	for _, line := range c.lines {
		if !told[line] && !isAsked(t.Name(), line) {
			told[line] = true
			t.Errorf("the store complains: %s\n(a test that asks for this says so with mayTell)", line)
		}
	}
}
