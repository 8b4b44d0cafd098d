package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/breaker"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/generation"
	"github.com/cachegen/cachegen/runtime/internal/recovery"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// A Store is a memory tier, a shared tier, or both, with what callers of all its
// caches share: one flight per key, and the stamps of tags and namespaces. [NewStore]
// makes them; the zero Store is not usable.
type Store struct {
	name string
	storeConfig
	set   atomic.Pointer[storeSet] // of the Stores that this store is part of
	hooks atomic.Pointer[Hooks]
	log   atomic.Pointer[slog.Logger]

	seed     maphash.Seed
	clock    clock.Coarse
	stripes  generation.Stripes
	stamps   *stamp.Table
	flights  *flight.Group[*item]
	peers    *peers // nil without a bus
	gate     gate   // counts loads and refreshes; closed by Close
	spare    *semaphore.Weighted
	once     onceEach // pulls under way
	failures failures
	breaker  breaker.Breaker
	pending  recovery.Queue // invalidations that have not reached everyone
	late     late
	retries  retries
	keys     keyOwners

	base   context.Context // of work that no caller waits for
	cancel context.CancelFunc
	quiet  quiet // keeps a tier that is down from flooding the log
}

// NewStore makes a store. It needs a tier: [L1], [L2] or both. The name is what
// `store=` in a directive refers to. The store owns its tiers and bus from here
// on and closes them in [Store.Close]; clients and database handles stay the
// caller's.
func NewStore(name string, options ...StoreOption) (*Store, error) {
	c := storeConfig{
		maxLoadTime: DefaultMaxLoadTime,
		l2Timeout:   DefaultL2Timeout,
		stampTrust:  DefaultStampTrust,
		background:  DefaultBackground,
	}
	for _, o := range options {
		if o == nil {
			return nil, fmt.Errorf("cachegen: new store %q: a nil option", name)
		}
		o.applyToStore(&c)
	}
	if err := c.checkStore(name); err != nil {
		return nil, fmt.Errorf("cachegen: new store %q: %w", name, err)
	}
	if c.prefix != "" {
		c.prefix += ":"
	}
	s := &Store{
		name:        name,
		storeConfig: c,
		seed:        maphash.MakeSeed(),
		stamps:      stamp.NewTable(),
		flights:     flight.NewGroup[*item](),
		spare:       semaphore.NewWeighted(int64(c.background)),
	}
	hooks := none
	for _, h := range c.hooks {
		hooks = hooks.and(h)
	}
	s.hooks.Store(&hooks)
	s.setLogger(cmp.Or(c.logger, slog.Default()))
	s.breaker.Failures, s.breaker.Changed = breakAfter, s.breakerChanged
	s.breaker.PauseFor(c.breakFor.or(DefaultL2Pause))
	s.pending.Max = maxPending
	s.base, s.cancel = context.WithCancel(context.Background())
	if c.bus != nil {
		if err := s.join(); err != nil {
			s.cancel()
			return nil, fmt.Errorf("cachegen: new store %q: join the bus: %w", name, err)
		}
	}
	return s, nil
}

func (c *storeConfig) checkStore(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(c.refused) > 0:
		return fmt.Errorf("%s: given nil", strings.Join(c.refused, ", "))
	case c.l1 == nil && c.l2 == nil:
		return errors.New("it needs a tier: L1, L2 or both")
	case strings.ContainsAny(c.prefix, "!@") || strings.HasSuffix(c.prefix, ":"):
		return fmt.Errorf("prefix %q: want one without ! and @ that does not end with a colon", c.prefix)
	case c.maxLoadTime <= 0:
		return fmt.Errorf("MaxLoadTime %v is not positive", c.maxLoadTime)
	case c.l2Timeout <= 0:
		return fmt.Errorf("L2Timeout %v is not positive", c.l2Timeout)
	case c.l2Soft < 0:
		return fmt.Errorf("L2SoftTimeout %v is negative", c.l2Soft)
	case c.breakFor.d < 0:
		return fmt.Errorf("L2CircuitBreakerDuration %v is negative", c.breakFor.d)
	case c.stampTrust <= 0:
		return fmt.Errorf("StampTrust %v is not positive", c.stampTrust)
	case c.background < 0:
		return fmt.Errorf("MaxBackground %d is negative", c.background)
	}
	for _, tier := range []any{c.l1, c.l2, c.bus} {
		if checker, ok := drivers.CheckerOf(tier); ok {
			if err := checker.Err(); err != nil {
				return err
			}
		}
	}
	return c.check()
}

// Name returns the store's name.
func (s *Store) Name() string { return s.name }

// options returns what holds for a cache that says o itself.
func (s *Store) options(o settings) settings {
	o = o.or(s.settings)
	if set := s.set.Load(); set != nil {
		o = o.or(set.settings)
	}
	return o.or(defaults)
}

// valueCodec returns the codec of values that are not given a generated one.
func (s *Store) valueCodec() Codec {
	if s.codec != nil {
		return s.codec
	}
	if set := s.set.Load(); set != nil && set.codec != nil {
		return set.codec
	}
	return MsgPack
}

// function returns that of a definition's name, and the options that replace its own.
func (s *Store) function(name string) (*function, []Option) {
	set := s.set.Load()
	if set == nil || name == "" {
		return &anonymousFunction, nil
	}
	return set.functions.open(name)
}

func (s *Store) setLogger(l *slog.Logger) { s.log.Store(l.With("store", s.name)) }

func now() int64 { return time.Now().UnixNano() }

// Close stops the store: new loads, writes and reads past the memory tier fail
// with [ErrClosed]. It waits until running loads have ended and stored what they
// loaded, and tries again to carry out the invalidations that did not reach everyone,
// until ctx is done, or for 10 s if ctx has no deadline. Then it cancels the loads and
// says how many there were, and which invalidations are lost, with an
// [InvalidationError]. It closes the tiers and the bus. Calling it again does nothing.
func (s *Store) Close(ctx context.Context) error {
	first, idle := s.gate.close()
	if !first {
		return nil
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, drainTime)
		defer cancel()
	}
	var errs []error
	select {
	case <-idle:
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("cachegen: close store %s: %d loads were still running: %w", s.name, s.gate.count(), ctx.Err()))
	}
	errs = append(errs, s.drain(ctx))
	s.cancel()
	if s.peers != nil {
		s.peers.leave()
		errs = append(errs, s.bus.Close())
	}
	if s.l1 != nil {
		s.l1.Clear()
		errs = append(errs, s.l1.Close())
	}
	if s.l2 != nil {
		errs = append(errs, s.l2.Close())
	}
	s.clock.Stop()
	return errors.Join(errs...)
}

// Prune removes what is past its deadlines from a shared tier that does not do so
// by itself, and returns how many entries that were. Other stores return 0.
func (s *Store) Prune(ctx context.Context) (int64, error) {
	p, ok := drivers.PrunerOf(s.l2)
	if !ok {
		return 0, nil
	}
	n, err := p.Prune(ctx)
	if err != nil {
		return n, fmt.Errorf("cachegen: prune store %s: %w", s.name, err)
	}
	return n, nil
}
