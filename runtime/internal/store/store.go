// Package store makes the rooms of one store, connects them, and closes them in order.
//
// The rooms are made once, each of those before it, and do not change. Every lock is in a
// room; a Store has none of its own.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/fill"
	"github.com/cachegen/cachegen/runtime/internal/guard"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/lag"
	"github.com/cachegen/cachegen/runtime/internal/lease"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/lookup"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/prune"
	"github.com/cachegen/cachegen/runtime/internal/random"
	"github.com/cachegen/cachegen/runtime/internal/relay"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/tagwatch"
)

// A Config is what a store is made of. What the fields mean is documented at the options of
// package runtime.
type Config struct {
	Name          string
	Prefix        string // without its colon
	L1            drivers.L1
	L2            drivers.L2
	Bus           drivers.Bus
	Outbox        drivers.Outbox
	Logger        *slog.Logger
	Hooks         event.Hooks
	MaxLoadTime   time.Duration
	L2Timeout     time.Duration
	L2SoftTimeout time.Duration
	BreakFor      time.Duration
	StampTrust    time.Duration
	ReplicaLag    time.Duration
	OutboxPoll    time.Duration
	Background    int
	Errors        Errors
	Twice         []string    // options that may be given once
	Replaced      []io.Closer // what those had that were given before
	Nil           []string    // options that were given nil
}

// Replace keeps what a second option of its kind replaces: it is an error, and is closed.
func (c *Config) Replace(before io.Closer, option string) {
	if before != nil {
		c.Twice, c.Replaced = append(c.Twice, option), append(c.Replaced, before)
	}
}

// Refuse says that an option was given nil, if it was.
func (c *Config) Refuse(isNil bool, option string) {
	if isNil {
		c.Nil = append(c.Nil, option)
	}
}

// CheckDefaults refuses what a configuration that several stores share cannot have.
func (c *Config) CheckDefaults() error {
	switch {
	case len(c.Nil) > 0:
		return fmt.Errorf("%s: given nil", strings.Join(c.Nil, ", "))
	case c.BreakFor < 0:
		return fmt.Errorf("L2CircuitBreakerDuration %v is negative", c.BreakFor)
	}
	return nil
}

// Check refuses a configuration that no store can have.
func (c *Config) Check() error {
	if err := c.CheckDefaults(); err != nil {
		return err
	}
	switch {
	case c.Name == "":
		return errors.New("the name is empty")
	case len(c.Twice) > 0:
		return fmt.Errorf("%s: given more than once", strings.Join(c.Twice, ", "))
	case c.L1 == nil && c.L2 == nil:
		return errors.New("it has no tier: give it L1, L2 or both")
	case strings.ContainsAny(c.Prefix, "!@") || strings.HasSuffix(c.Prefix, ":"):
		return fmt.Errorf("prefix %q contains ! or @, or ends with a colon", c.Prefix)
	case c.MaxLoadTime <= 0:
		return fmt.Errorf("MaxLoadTime %v is not positive", c.MaxLoadTime)
	case c.L2Timeout <= 0:
		return fmt.Errorf("L2Timeout %v is not positive", c.L2Timeout)
	case c.L2SoftTimeout < 0:
		return fmt.Errorf("L2SoftTimeout %v is negative", c.L2SoftTimeout)
	case c.L2SoftTimeout > c.L2Timeout:
		return fmt.Errorf("L2SoftTimeout %v is above L2Timeout %v", c.L2SoftTimeout, c.L2Timeout)
	case c.StampTrust <= 0:
		return fmt.Errorf("StampTrust %v is not positive", c.StampTrust)
	case c.ReplicaLag < 0:
		return fmt.Errorf("ReplicaLag %v is negative", c.ReplicaLag)
	case c.OutboxPoll <= 0:
		return fmt.Errorf("OutboxPoll %v is not positive", c.OutboxPoll)
	case c.Outbox != nil && len(c.Prefix)+1+len(c.Name) > relay.MaxName:
		return fmt.Errorf("name and prefix have more than %d bytes, which a store with an Outbox cannot have", relay.MaxName-1)
	case c.Background < 0:
		return fmt.Errorf("MaxBackground %d is negative", c.Background)
	}
	for _, driver := range []any{c.L1, c.L2, c.Bus, c.Outbox} {
		if checker, ok := drivers.CheckerOf(driver); ok {
			if err := guard.Call(checker.Err); err != nil {
				return err
			}
		}
	}
	return nil
}

// Errors make the errors that callers get.
type Errors struct {
	L2           func(store, op string, err error) error
	Invalidation func(function, store, op string, targets []string, err error) error
	Panic        func(value any, stack []byte) error
}

// A Store is the rooms of one store.
type Store struct {
	Name       string
	Prefix     string
	Emit       *emit.Emitter
	Random     random.Source
	Work       *background.Work
	Stamps     *stamp.Table
	Bus        *bus.Conn // nil without a bus
	Remote     *remote.Tier
	Memory     *memory.Memory
	Outbox     *outbox.Outbox
	Lookups    *lookup.Lookups
	Pruner     *prune.Pruner
	Invalidate *invalidate.Invalidator

	leases *lease.Leases
	config Config
}

// New makes a store of a configuration that Check accepts, and joins its bus. If it fails,
// what the store was to have is closed.
func New(c Config) (*Store, error) {
	c.take()
	if c.Prefix != "" {
		c.Prefix += ":"
	}
	s := &Store{Name: c.Name, Prefix: c.Prefix, config: c}
	s.Emit = emit.New(c.Name, cmp.Or(c.Logger, slog.Default()), c.Hooks)
	s.Random = random.ForStore(c.Name)
	s.Work = background.New(c.Background)
	s.Stamps = stamp.NewTable(s.Random)
	if c.Bus != nil {
		s.Bus = bus.New(c.Bus, s.Emit, c.Prefix, s.Random("bus"), c.L2Timeout, c.StampTrust)
	}
	queue := new(pending.Queue)
	watch, counter := s.watchHistory(c.L2)
	s.Remote = remote.New(remote.Config{
		Driver: c.L2, Prefix: c.Prefix, Timeout: c.L2Timeout, SoftTimeout: c.L2SoftTimeout, StampTrust: c.StampTrust, BreakFor: c.BreakFor,
		Stamps: s.Stamps, Pending: queue, Work: s.Work, Emit: s.Emit,
		Fail:    func(op string, err error) error { return c.Errors.L2(c.Name, op, err) },
		Watched: s.Bus.Watched,
		Closed:  func() { s.Outbox.Wake() },
		History: watch, Counter: counter,
	})
	s.Memory = memory.New(memory.Config{
		Driver: c.L1, Prefix: c.Prefix, Seed: random.HashSeed(),
		Stamps: s.Stamps, Remote: s.Remote, Bus: s.Bus,
	})
	marks, held := lag.New(c.ReplicaLag, c.MaxLoadTime), lag.Tier{Tier: s.Remote, Span: c.ReplicaLag}
	s.Outbox = outbox.New(s.Work.Context, queue, s.Stamps, held, s.Memory, s.Bus, s.Emit)
	s.leases = lease.New(s.Remote, &s.Memory.Waiters, s.Work, s.Emit, s.Random)
	s.leases.HeldBack = c.ReplicaLag > 0
	s.leases.Filled = s.Bus.PublishFilled
	if s.Remote.Exists() && !s.leases.On() {
		s.Emit.Info("the shared tier gives no leases: each process loads for itself, and a load may store what another process has just deleted")
	}
	s.Lookups = &lookup.Lookups{
		Memory: s.Memory, Remote: s.Remote, Stamps: s.Stamps, Work: s.Work, Emit: s.Emit,
		Load: &load.Loader{
			Memory: s.Memory, Remote: s.Remote, Outbox: s.Outbox, Stamps: s.Stamps, Work: s.Work, Emit: s.Emit,
			Tags: &tagwatch.Tags{Remote: s.Remote}, Leases: s.leases, Lag: marks, Held: held,
			Fill:        &fill.Filler{Remote: s.Remote, Outbox: s.Outbox, Fence: &s.Memory.Fence, Emit: s.Emit},
			MaxLoadTime: c.MaxLoadTime, Panicked: c.Errors.Panic,
		},
	}
	s.Pruner = &prune.Pruner{Remote: s.Remote, Work: s.Work, Emit: s.Emit}
	s.Invalidate = &invalidate.Invalidator{
		Memory: s.Memory, Remote: held, Outbox: s.Outbox, Bus: s.Bus, Stamps: s.Stamps, Work: s.Work, Emit: s.Emit, Lag: marks,
		Fail: func(function, op string, targets []string, err error) error {
			return c.Errors.Invalidation(function, c.Name, op, targets, err)
		},
		Cleared: s.Pruner.Behind,
	}
	if s.Bus == nil {
		s.joinRelay()
		return s, nil
	}
	s.Bus.OnTaken(s.Outbox.Wake)
	if err := s.Bus.Join(invalidate.Handler{Invalidator: s.Invalidate}); err != nil {
		s.Work.Cancel()
		s.leases.Stop()
		s.Memory.Stop()
		return nil, errors.Join(fmt.Errorf("join the bus: %w", err), c.release())
	}
	s.joinRelay()
	return s, nil
}

// joinRelay begins to carry out what transactions have left for the store. It is the last thing,
// because entries are carried out from then on.
func (s *Store) joinRelay() {
	if s.config.Outbox == nil {
		return
	}
	s.Invalidate.Relay = relay.Join(relay.Config{
		Driver: s.config.Outbox, Prefix: s.Prefix, Poll: s.config.OutboxPoll, Timeout: s.config.L2Timeout,
		Random: s.Random, Emit: s.Emit, CarryOut: s.Invalidate.CarryOut,
	})
}

// Ready asks the shared tier whether it has all that it needs, and waits for the bus.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.Remote.Ready(ctx); err != nil {
		return fmt.Errorf("cachegen: store %s: shared tier: %w", s.Name, err)
	}
	if err := s.Bus.WaitConnected(ctx); err != nil {
		return fmt.Errorf("cachegen: store %s: its bus is not connected: %w", s.Name, err)
	}
	return nil
}
