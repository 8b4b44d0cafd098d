package sqltable

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

const (
	// historyEvery is how long a history is believed without a reason to ask. No reason may be
	// seen: database/sql replaces a connection that has broken, and tells nobody.
	historyEvery = time.Second
	// historyLimit is how long the database has to answer.
	historyLimit = 5 * time.Second
)

// A history finds out whether the database is still the one that was asked before, in the same
// history of its data. It asks when an operation has failed since it asked last, or after
// historyEvery, but only when it is asked itself. All callers share one question at a time.
type history struct {
	failures atomic.Uint64 // how many operations have failed
	told     atomic.Pointer[answer]
	works    atomic.Int32 // index of the first statement that the database has not refused

	mu     sync.Mutex // guards asking
	asking *answer    // nil if no question is under way
}

// An answer is that of a question, which is under way until done is closed. The rest is not
// changed after that.
type answer struct {
	at       time.Time // when the question began
	failures uint64    // before it began
	done     chan struct{}
	text     string
	err      error
}

// History returns a text that names the database server and the history of its data. See
// [drivers.Historian].
func (t *Table) History(ctx context.Context) (string, error) {
	h := &t.history
	if a := h.told.Load(); a != nil && a.failures == h.failures.Load() && time.Since(a.at) < historyEvery && !t.base.Closed() {
		return a.text, nil
	}
	text, err := t.askHistory(ctx)
	if err != nil {
		return "", t.base.Failed(ctx, "history", 0, err)
	}
	return text, nil
}

func (t *Table) askHistory(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	// A question that began before a failure, or before the time was over, does not count.
	for need, came := t.history.failures.Load(), time.Now(); ; {
		a, err := t.question()
		if err != nil {
			return "", err
		}
		select {
		case <-a.done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if a.failures >= need && came.Sub(a.at) < historyEvery {
			return a.text, a.err
		}
	}
}

// question returns the question that is under way, or begins one.
func (t *Table) question() (*answer, error) {
	h := &t.history
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.base.Closed() {
		return nil, drivers.ErrClosed
	}
	if h.asking != nil {
		return h.asking, nil
	}
	a := &answer{at: time.Now(), failures: h.failures.Load(), done: make(chan struct{})}
	h.asking = a
	go func() {
		// Not with the context of a caller, because others wait, too.
		ctx, cancel := context.WithTimeout(t.background, historyLimit)
		defer cancel()
		a.text, a.err = t.identify(ctx)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.asking = nil
		if a.err == nil {
			h.told.Store(a)
		}
		close(a.done)
	}()
	return a, nil
}

// identify asks the database who it is. The statements ask for less and less, for a database that
// does not know something or does not tell it to everybody. If it tells nothing at all, the text
// is empty.
func (t *Table) identify(ctx context.Context) (text string, err error) {
	for i := t.history.works.Load(); int(i) < len(t.Identity); i++ {
		err = t.base.WhileBusy(ctx, func() error { return t.db.QueryRowContext(ctx, t.Identity[i]).Scan(&text) })
		if err == nil {
			t.history.works.Store(i)
			return text, nil
		}
		if !t.Untold(err) && !errors.Is(err, sql.ErrNoRows) {
			return "", err
		}
	}
	return "", nil
}

// end waits for the question that is under way. None begins after the table is closed.
func (h *history) end() {
	h.mu.Lock()
	asking := h.asking
	h.mu.Unlock()
	if asking != nil {
		<-asking.done
	}
}

// failure notes that an operation has failed, unless it was never tried.
func (h *history) failure(err error) {
	if !errors.Is(err, drivers.ErrRefused) && !errors.Is(err, drivers.ErrClosed) {
		h.failures.Add(1)
	}
}
