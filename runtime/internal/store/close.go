package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/guard"
	"github.com/cachegen/cachegen/runtime/internal/owner"
)

// closeTime bounds Close where its context has no deadline.
const closeTime = 10 * time.Second

// closeGrace is what is left for closing bus and tiers when the time of Close is over.
const closeGrace = 100 * time.Millisecond

// Close lets no work begin any more, waits for the loads that are running, carries out what
// is pending, and closes bus and tiers, all until ctx is done. Calling it again does
// nothing.
func (s *Store) Close(ctx context.Context) error {
	first, idle := s.Work.Close()
	if !first {
		return nil
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeTime)
		defer cancel()
	}
	var errs []error
	select {
	case <-idle:
	case <-ctx.Done():
		if n := s.Work.Count(); n > 0 {
			errs = append(errs, fmt.Errorf("cachegen: close store %s: calls and loads still running: %d: %w", s.Name, n, ctx.Err()))
		}
	}
	if s.Invalidate.Relay != nil {
		s.Invalidate.Relay.Leave(ctx)
	}
	if lost, err := s.Outbox.Drain(ctx); len(lost) > 0 {
		errs = append(errs, s.config.Errors.Invalidation("", s.Name, "close", lost, err))
	}
	s.Work.Cancel()
	s.leases.Stop()
	return errors.Join(append(errs, s.closeDrivers(ctx))...)
}

// closeDrivers leaves the bus and closes what the store has. What takes longer than ctx
// allows goes on in the background.
func (s *Store) closeDrivers(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		left := guard.Call(func() error { s.Bus.Leave(); return nil })
		s.Memory.Stop()
		done <- errors.Join(left, s.config.release())
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
		return fmt.Errorf("cachegen: close store %s: bus and tiers are still closing: %w", s.Name, ctx.Err())
	}
}

// Discard closes what a store was to have that is not made.
func (c *Config) Discard() {
	c.take()
	_ = c.release() // the caller hears why there is no store
}

// take says that one store more has the drivers.
func (c *Config) take() {
	for _, driver := range c.drivers() {
		owner.Take(driver)
	}
}

// release closes the drivers that no other store has.
func (c *Config) release() error {
	var errs []error
	for _, driver := range c.drivers() {
		if owner.Release(driver) {
			errs = append(errs, guard.Call(driver.Close))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) drivers() (all []io.Closer) {
	all = append(all, c.Replaced...)
	if c.Bus != nil {
		all = append(all, c.Bus)
	}
	if c.Outbox != nil {
		all = append(all, c.Outbox)
	}
	if c.L1 != nil {
		all = append(all, c.L1)
	}
	if c.L2 != nil {
		all = append(all, c.L2)
	}
	return all
}
