// Package history notices that the shared tier has gone back to an earlier state: after a
// failover to a replica that lags behind, or when a server is back with an older snapshot.
// Entries that were deleted have come back then, together with the stamps under which they
// were valid.
//
// A [Watch] asks a driver that can tell. For other drivers, a [Counter] has a record of this
// process in the tier, and finds it older than it should be. Both say so once for each time,
// to whoever has to react, and to every operation that must not believe its answer.
//
// A Watch has no lock. A Counter has a mutex, which is held with no other and not during an
// operation. The package does no I/O of its own but asking the driver for its history.
package history

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/cachegen/cachegen/drivers"
)

// ErrWentBack is why the answer of an operation is not believed.
var ErrWentBack = errors.New("the shared tier may have gone back to an earlier state")

// A State is what a driver has told of the history of its content.
type State struct {
	text string
	// Number stands for the history in the stamp of a store; 0 if the content never goes
	// back.
	Number uint64
}

func newState(text string) *State {
	if text == "" {
		return &State{}
	}
	sum := sha256.Sum256([]byte(text))
	return &State{text: text, Number: binary.BigEndian.Uint64(sum[:]) | 1}
}

// A Watch knows the history of a tier whose driver can tell it. Without a Historian it knows
// of none, and believes everything. Its functions may be called by many goroutines at once.
type Watch struct {
	Historian drivers.Historian
	// WentBack is called once for each change of the history, before the operation that has
	// noticed it fails.
	WentBack func(from, to string)

	known   atomic.Pointer[State]
	settled atomic.Pointer[State] // in which the store's stamp was read or made
}

// Believed returns f as an operation that fails with [ErrWentBack] if the history is not the
// same afterwards as this process knew it before: its answer may be from before or after. If it
// succeeds, in is set to that history. Several operations with one in have to be of one history.
func (w *Watch) Believed(f func(context.Context) error, in **State) func(context.Context) error {
	if w.Historian == nil {
		return f
	}
	return func(ctx context.Context) error {
		since, err := w.now(ctx)
		switch {
		case err != nil:
			return err
		case in != nil && *in != nil && *in != since:
			return ErrWentBack
		}
		if err := f(ctx); err != nil {
			return err
		}
		if err := w.check(ctx, since); err != nil {
			return err
		}
		if in != nil {
			*in = since
		}
		return nil
	}
}

// now returns the known history, which it asks for if this process knows of none.
func (w *Watch) now(ctx context.Context) (*State, error) {
	if known := w.known.Load(); known != nil {
		return known, nil
	}
	text, err := w.Historian.History(ctx)
	if err != nil {
		return nil, err
	}
	w.known.CompareAndSwap(nil, newState(text))
	return w.known.Load(), nil
}

func (w *Watch) check(ctx context.Context, since *State) error {
	text, err := w.Historian.History(ctx)
	if err != nil || text == since.text {
		return err
	}
	// Of several that notice it, one is first. An answer of the driver that has been overtaken
	// by a younger one changes nothing.
	if w.known.CompareAndSwap(since, newState(text)) {
		w.WentBack(since.text, text)
	}
	return ErrWentBack
}

// Number returns what a new stamp of the store says of its history.
func (w *Watch) Number() uint64 {
	if known := w.known.Load(); known != nil {
		return known.Number
	}
	return 0
}

// Settled reports whether the store's stamp was read, or made, in the present history. While it
// was not, it has to be read, however long it was to be trusted.
func (w *Watch) Settled() bool {
	return w.Historian == nil || w.known.Load() == w.settled.Load()
}

// Accept reports whether a stamp of the store that was found in the tier in one history, and was
// made in one with that number, may be used. The one of an earlier history is as good as none.
// But once the stamp has been settled in the present history, this process takes what others
// have put in its place: two that are told different histories would replace each other's for
// ever.
func (w *Watch) Accept(number uint64, in *State) bool {
	return in == nil || in.Number == 0 || number == in.Number || w.settled.Load() == in
}

// Settle says that the store's stamp is known in a history.
func (w *Watch) Settle(in *State) { w.settled.Store(in) }
