package processes

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// An outboxConn is a process's connection to the outbox in the database.
type outboxConn struct{ process *Process }

var _ drivers.Outbox = (*outboxConn)(nil)

// written is what a transaction has written into the outbox.
type written struct {
	entries []drivers.OutboxEntry
	wait    time.Duration
}

// Append implements drivers.Outbox. What is appended is there when the transaction commits.
func (b *outboxConn) Append(ctx context.Context, _ drivers.Exec, entries []drivers.OutboxEntry, wait time.Duration) error {
	w := b.process.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Mutation != ForgetsOutbox {
		w.written[opOf(ctx)] = written{slices.Clone(entries), wait}
	}
	return nil
}

func (b *outboxConn) ask(ctx context.Context, name string, effect func(), result func() string) error {
	c := &steps.Call{Party: &b.process.Party, At: steps.Database, Name: name, Once: true, Result: result}
	c.Effect = func(int, int) error {
		effect()
		return nil
	}
	return b.process.world.Pass(ctx, c)
}

// Take implements drivers.Outbox.
func (b *outboxConn) Take(ctx context.Context, request drivers.OutboxRequest) (taken []drivers.OutboxEntry, err error) {
	w := b.process.world
	err = b.ask(ctx, "takes from the outbox",
		func() { taken = w.Outbox.Take(request) },
		func() string { return fmt.Sprintf("%d entries", len(taken)) })
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// Postpone implements drivers.Outbox.
func (b *outboxConn) Postpone(ctx context.Context, ids []drivers.OutboxID, wait time.Duration) error {
	ids = slices.Clone(ids)
	return b.ask(ctx, fmt.Sprintf("postpones %d of the outbox", len(ids)), func() { b.process.world.Outbox.Postpone(ids, wait) }, nil)
}

// Remove implements drivers.Outbox.
func (b *outboxConn) Remove(ctx context.Context, ids []drivers.OutboxID) error {
	ids = slices.Clone(ids)
	return b.ask(ctx, fmt.Sprintf("removes %d from the outbox", len(ids)), func() { b.process.world.Outbox.Remove(ids) }, nil)
}

// Close implements drivers.Outbox.
func (b *outboxConn) Close() error { return nil }
