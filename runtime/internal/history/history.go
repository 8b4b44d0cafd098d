// Package history notices that the shared tier has gone back to an earlier state: after a
// failover to a replica that lags behind, or when a server is back with an older snapshot.
// Entries that were deleted have come back then, together with the stamps under which they
// were valid.
//
// A [Watch] asks a driver that can tell. While none can, a [Counter] has a record of this
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

// A state is what a driver has told of the history of its content.
type state struct {
	text string
	// number stands for the history in the stamp of a store; 0 if the driver cannot tell one.
	number uint64
}

func newState(text string) *state {
	if text == "" {
		return new(state)
	}
	sum := sha256.Sum256([]byte(text))
	return &state{text: text, number: binary.BigEndian.Uint64(sum[:]) | 1}
}

// In is the history in which operations were carried out.
type In struct{ state *state }

// A Watch knows the history of a tier whose driver can tell it. Without a Historian, or while that
// tells none, it believes everything. Its functions may be called by many goroutines at once.
type Watch struct {
	Historian drivers.Historian
	// WentBack is called once for each change of the history, before the operation that has
	// noticed it fails. To is empty if the driver cannot tell any more: then the stamps do not
	// tell what was stored before, either.
	WentBack func(from, to string)

	known   atomic.Pointer[state]
	settled atomic.Pointer[state] // in which the store's stamp was read or made
}

// Believed returns f as an operation that fails with [ErrWentBack] if the history is not the
// same afterwards as this process knew it before: its answer may be from before or after. Several
// operations with one in have to be of one history. in may be nil.
func (w *Watch) Believed(f func(context.Context) error, in *In) func(context.Context) error {
	if w.Historian == nil {
		return f
	}
	return func(ctx context.Context) error {
		since, err := w.now(ctx)
		switch {
		case err != nil:
			return err
		case in != nil && in.state != nil && in.state != since:
			return ErrWentBack
		}
		if err := f(ctx); err != nil {
			return err
		}
		if err := w.check(ctx, since); err != nil {
			return err
		}
		if in != nil {
			in.state = since
		}
		return nil
	}
}

// now returns the known history, which it asks for if this process knows of none.
func (w *Watch) now(ctx context.Context) (*state, error) {
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

func (w *Watch) check(ctx context.Context, since *state) error {
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

// Untold reports whether the driver does not tell the history.
func (w *Watch) Untold() bool {
	if w.Historian == nil {
		return true
	}
	known := w.known.Load()
	return known != nil && known.text == ""
}

// Number returns what a new stamp of the store says of its history.
func (w *Watch) Number() uint64 {
	if known := w.known.Load(); known != nil {
		return known.number
	}
	return 0
}

// Settled reports whether the store's stamp was read, or made, in the present history. While it
// was not, it has to be read, however long it was to be trusted.
func (w *Watch) Settled() bool {
	return w.Historian == nil || w.known.Load() == w.settled.Load()
}

// In returns where operations leave their history; nil without a Historian.
func (w *Watch) In() *In {
	if w.Historian == nil {
		return nil
	}
	return new(In)
}

// Accept reports whether a stamp of the store that was found in the tier in one history, and was
// made in one with that number, may be used. The one of an earlier history is as good as none.
// But once the stamp has been settled in the present history, this process takes what others
// have put in its place: two that are told different histories would replace each other's for
// ever.
func (w *Watch) Accept(number uint64, in *In) bool {
	return in == nil || in.state.number == 0 || number == in.state.number || w.settled.Load() == in.state
}

// Settle says that the store's stamp is known in a history.
func (w *Watch) Settle(in *In) {
	if in != nil {
		w.settled.Store(in.state)
	}
}
