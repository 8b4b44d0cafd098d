// Package remote is the tier that processes share, as one store sees it.
//
// A [Tier] runs each operation with a time limit, behind a circuit breaker, and tells the
// hooks. It reads entries together with the stamps that they are checked against, and
// keeps what this process knows of the stamps ([stamp.Table]) up to date. It never reads
// what a pending invalidation concerns: what lies there is what is to go. And it
// remembers which writes have failed but may still take effect ([Tier.InDoubtUntil]).
//
// A Tier decides neither when to load nor what to invalidate, and keeps nothing in
// memory but stamps. No lock is held during an operation: the breaker, the stamps and the
// writes in doubt each have their own, for a few instructions.
package remote

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/breaker"
	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/doubt"
	"github.com/cachegen/cachegen/runtime/internal/echo"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/history"
	"github.com/cachegen/cachegen/runtime/internal/pace"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// ErrCircuitOpen is the cause of an error while the circuit breaker lets no operation
// through.
var ErrCircuitOpen = errors.New("cachegen: circuit breaker open")

// errHeldBack is the cause while the server refuses operations of the kind.
var errHeldBack = fmt.Errorf("%w for such operations", ErrCircuitOpen)

// failuresToOpen is how many operations in a row have to fail for the breaker to open.
const failuresToOpen = 3

// A Config is what a Tier is made of.
type Config struct {
	Driver      drivers.L2 // nil in a store without a shared tier
	Prefix      string     // of all keys, with its colon
	Timeout     time.Duration
	SoftTimeout time.Duration // for reads that have a fallback; 0: as Timeout
	StampTrust  time.Duration
	BreakFor    time.Duration // how long the breaker stays open
	Stamps      *stamp.Table
	Pending     *pending.Queue
	Work        *background.Work
	Emit        *emit.Emitter
	// Fail makes the error of an operation that callers get.
	Fail func(op string, err error) error
	// Watched reports whether the bus reports what changes in the tier; nil: it does not.
	Watched func() bool
	// Closed is called when the breaker closes.
	Closed func()
	// History is asked whether answers may be believed; nil: they may. Counter is read with the
	// store's stamp while the driver does not tell its history; nil: nothing is.
	History *history.Watch
	Counter *history.Counter
}

// A Tier is the shared tier of a store. Without a driver, reads find nothing, changes do
// nothing, and stamps are this process's own.
type Tier struct {
	Config
	adder   drivers.Adder   // nil if the driver cannot add
	swapper drivers.Swapper // nil if the driver cannot compare and swap
	leaser  drivers.Leaser  // nil if the driver gives no leases
	breaker breaker.Breaker
	pace    struct{ reads, writes pace.Pace }
	refused struct{ reads, writes breaker.Breaker } // what the server does not let us do
	inDoubt doubt.Keys
	due     stamp.Due    // to be read again in the background
	written echo.Written // remembered while the bus watches the tier
}

// New returns a Tier.
func New(c Config) *Tier {
	t := &Tier{Config: c}
	t.written.Watched = c.Watched
	t.adder, _ = drivers.AdderOf(c.Driver)
	t.swapper, _ = drivers.SwapperOf(c.Driver)
	t.leaser, _ = drivers.LeaserOf(c.Driver)
	if t.History == nil {
		t.History = new(history.Watch)
	}
	t.breaker.Limit = c.Timeout - budget.ForBus(c.Timeout) // what a write has
	for b, only := range t.breakers() {
		b.Failures = failuresToOpen
		b.Changed = func(state breaker.State, cause error) { t.breakerChanged(only, state, cause) }
	}
	t.SetBreakFor(c.BreakFor)
	return t
}

// breakers yields the circuit breakers, and for what each of them alone is.
func (t *Tier) breakers() iter.Seq2[*breaker.Breaker, string] {
	return func(yield func(*breaker.Breaker, string) bool) {
		_ = yield(&t.breaker, "") && yield(&t.refused.reads, "read") && yield(&t.refused.writes, "write")
	}
}

// Exists reports whether the store has a shared tier.
func (t *Tier) Exists() bool { return t.Driver != nil }

// SetBreakFor says how long the circuit breaker stays open.
func (t *Tier) SetBreakFor(d time.Duration) {
	for b := range t.breakers() {
		b.PauseFor(d)
	}
}

// CloseBreaker lets operations through, whatever has failed before.
func (t *Tier) CloseBreaker() {
	for b := range t.breakers() {
		b.Reset()
	}
}

// TryNow makes the next operation a trial: something says that the server may be back.
func (t *Tier) TryNow() {
	for b := range t.breakers() {
		b.TryNow()
	}
}

func (t *Tier) breakerChanged(only string, state breaker.State, cause error) {
	if state == breaker.Closed && t.Closed != nil {
		t.Closed()
	}
	emit.Event(t.Emit, t.Emit.Hooks().Breaker, event.BreakerChange{Store: t.Emit.Store, State: state.String(), Only: only, Err: cause})
}

// Ready asks the driver whether the tier has all that it needs, if the driver can tell.
func (t *Tier) Ready(ctx context.Context) error {
	if d, ok := drivers.ReadyCheckerOf(t.Driver); ok {
		return d.Ready(ctx)
	}
	return nil
}

// Prune removes what is past its TTL, if the driver does not do so by itself.
func (t *Tier) Prune(ctx context.Context) (int64, error) {
	if p, ok := drivers.PrunerOf(t.Driver); ok {
		return p.Prune(ctx)
	}
	return 0, nil
}

// TrustUntil returns until when a stamp that was read now is believed.
func (t *Tier) TrustUntil() int64 {
	if t.Driver == nil {
		return clock.Never
	}
	return clock.Add(clock.Now(), t.StampTrust)
}

// ReadLimit returns how long a read may take: less if there is something to fall back to.
func (t *Tier) ReadLimit(fallback bool) time.Duration {
	if fallback && t.SoftTimeout > 0 {
		return min(t.Timeout, t.SoftTimeout)
	}
	return t.Timeout
}

// Patience returns for how long a change should wait for its turn: not while the breaker is open
// and would not let it through. Then an operation that nobody waits for may have the turn.
func (t *Tier) Patience() time.Duration { return t.breaker.Patience() }

// Away is the error of a change that had no patience.
func (t *Tier) Away() error { return t.Fail("write", t.breaker.Refusal(ErrCircuitOpen)) }

// TurnLimit returns how long a write may hold its turn of the fence: a change takes three
// operations at most (see [Tier.Expire]), each within its limit if the driver keeps to it.
// One that does not must not hold up the rest for ever.
func (t *Tier) TurnLimit() time.Duration { return clock.Multiply(4, t.Timeout) }
