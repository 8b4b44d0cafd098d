// Package budget bounds the time of a write: of all that one call changes, in however many
// keys, tags, caches and operations. Who writes has usually changed a database already and
// waits: for one time limit, not for one after the other. And it bounds the time of a read:
// what a call does in the shared tier before its loader has one limit, and what it does after
// it another ([Read]).
//
// A budget is in the context of the operations. It is a time at which they end, and not the
// context's own deadline, since an operation that its caller gives up says nothing about the
// server, and one that has had its time does. A context with a budget is given to the rooms of
// the runtime and to generated code, never to functions of the user.
package budget

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/policy"
)

// ErrSpent is why an operation was not tried: those before it have taken the time of the call.
var ErrSpent = fmt.Errorf("not tried, the time for it is over: %w", context.DeadlineExceeded)

// Spent reports whether err says that an operation was not tried for want of time.
func Spent(err error) bool { return errors.Is(err, ErrSpent) }

// ForBus is the part of a limit that is kept for the bus, so that the other processes are told
// although the shared tier hangs.
func ForBus(limit time.Duration) time.Duration { return limit / 4 }

type (
	writeKey struct{}
	endKey   struct{}
)

// A Write is one call that changes something.
type Write struct {
	// Function is the function of the program that has changed the source; empty if that is not
	// known.
	Function string
	// Errors says what becomes of the error of what was not reached; if not given, caches and
	// stores say so.
	Errors policy.Opt[policy.Errors]
}

type began struct {
	Write
	at time.Time
}

// Begin returns a context of one write: all that is changed with it shares one time. Inside
// another write it is a part of that.
func Begin(ctx context.Context, w Write) context.Context {
	if _, ok := ctx.Value(writeKey{}).(began); ok {
		return ctx
	}
	return context.WithValue(ctx, writeKey{}, began{w, time.Now()})
}

// Again returns a context of the same write whose time begins now: what came before has been
// answered, and what is left is more than fits into one operation.
func Again(ctx context.Context) context.Context {
	return context.WithValue(ctx, writeKey{}, began{Of(ctx), time.Now()})
}

// Of returns the write that ctx is of; a zero one if it is of none.
func Of(ctx context.Context) Write {
	w, _ := ctx.Value(writeKey{}).(began)
	return w.Write
}

type missedKey struct{}

// Noting returns a context in which it is noted that a change has not reached somebody ([Missed]),
// whether its caller gets an error or not. missed reports whether that was so.
func Noting(ctx context.Context) (_ context.Context, missed func() bool) {
	note := new(atomic.Bool)
	return context.WithValue(ctx, missedKey{}, note), note.Load
}

// Missed notes that a change has not reached somebody.
func Missed(ctx context.Context) {
	if note, ok := ctx.Value(missedKey{}).(*atomic.Bool); ok {
		note.Store(true)
	}
}

// operations are those of one change, and when their time began.
type operations struct{ began time.Time }

// An end is when some of them have to end.
type end struct {
	of    *operations
	after time.Duration
}

// Start returns contexts for operations of a write: those on the shared tier, and those after
// them. They end when limit is over since the write began, or since now if ctx is of none. Of
// that time share is kept from the tier for those after it. The contexts belong to one goroutine.
func Start(ctx context.Context, limit, share time.Duration) (tier, rest context.Context) {
	o := &operations{time.Now()}
	if w, ok := ctx.Value(writeKey{}).(began); ok {
		o.began = w.at
	}
	within := func(after time.Duration) context.Context { return context.WithValue(ctx, endKey{}, end{o, after}) }
	return within(limit - share), within(limit)
}

// Renew lets the time of a change count from now: the server has answered, and there is more
// than fits into one operation. ctx is one of those that [Start] has returned.
func Renew(ctx context.Context) {
	if e, ok := ctx.Value(endKey{}).(end); ok {
		e.of.began = time.Now()
	}
}

// A reading is the context of what a read does in the shared tier. It is an end by itself, so
// that it is one allocation. Operations of one reading may run at the same time.
type reading struct {
	context.Context
	limit time.Duration
	began atomic.Int64 // of clock.Mono
}

// Value implements context.Context.
func (r *reading) Value(key any) any {
	if key == (endKey{}) {
		return r
	}
	return r.Context.Value(key)
}

// Read returns a context for operations of a read. They end when limit is over since a time of
// [clock.Mono].
func Read(ctx context.Context, began int64, limit time.Duration) context.Context {
	r := &reading{Context: ctx, limit: limit}
	r.began.Store(began)
	return r
}

// Within is [Read] for operations that may be a part of something else: where ctx has a budget
// already, it is that.
func Within(ctx context.Context, began int64, limit time.Duration) context.Context {
	if ctx.Value(endKey{}) != nil {
		return ctx
	}
	return Read(ctx, began, limit)
}

// Answered lets the time of a read count from now: the server has answered, and there is more
// than fits into one operation. Of the context of a write it changes nothing: see [Renew].
func Answered(ctx context.Context) {
	if r, ok := ctx.Value(endKey{}).(*reading); ok {
		r.began.Store(clock.Mono())
	}
}

// Left returns how much time is left for an operation. Where there is no budget, that is the
// longest duration; it is not negative.
func Left(ctx context.Context) time.Duration {
	switch e := ctx.Value(endKey{}).(type) {
	case end:
		return max(time.Until(e.of.began.Add(e.after)), 0)
	case *reading:
		return max(e.limit-clock.Span(e.began.Load(), clock.Mono()), 0)
	}
	return math.MaxInt64
}

// Join is errors.Join without the errors of what was not tried, if anything else has failed:
// they follow from that.
func Join(errs ...error) error {
	var first []error
	for _, err := range errs {
		if err != nil && !Spent(err) {
			first = append(first, err)
		}
	}
	if len(first) == 0 {
		return errors.Join(errs...)
	}
	return errors.Join(first...)
}
