package drivers

import (
	"context"
	"time"
)

// A Bus carries small messages between processes. It does not store them for processes
// that are not subscribed. A message can be lost; and it can arrive twice, when a
// connection broke while it was published.
type Bus interface {
	// Publish sends message to every subscriber of channel, those of this
	// process included. It returns once the broker has accepted the message.
	Publish(ctx context.Context, channel string, message []byte) error
	// Subscribe delivers channel's messages to l until the returned function is
	// called or the bus is closed. It returns at once; the bus connects in the
	// background and reconnects for as long as the subscription lasts. The
	// returned function waits until l is no longer called; it must not be called
	// from l.
	Subscribe(channel string, l Listener) (unsubscribe func(), err error)
	// Close ends every subscription. A client that the caller passed in stays
	// open. Calling it twice is safe.
	Close() error
}

// A MessageLimiter is a [Bus] that takes messages up to a size only. Who publishes more cuts it
// into several messages.
type MessageLimiter interface {
	// MaxMessage returns how many bytes a message may have. It may change while the bus is
	// used, as it may be up to the server that the bus is connected to.
	MaxMessage() int
}

// MessageLimiterOf returns the [MessageLimiter] of bus; ok is false if bus, or a driver behind
// it, is none.
func MessageLimiterOf(bus Bus) (l MessageLimiter, ok bool) { return capability[MessageLimiter](bus) }

// A Listener receives the messages of a subscription. Its methods are called one
// at a time, in order, and do not block for long.
type Listener interface {
	// Up reports that the subscription is connected: messages published from now on
	// arrive. Messages may have been missed since Down, or since Subscribe.
	Up()
	// Down reports that the subscription is disconnected, and why: messages may be lost
	// from now on. A bus may notice a lost connection late: see [LossListener]. A subscription begins
	// disconnected; a Down before the first Up says why the bus could not be reached so
	// far. There is at most one Down between two Ups.
	Down(err error)
	// Message delivers one message. The listener may keep the slice.
	Message(message []byte)
}

// A LossListener is a [Listener] that wants to know for how long it may have missed messages,
// and wants to know it soon. A bus calls DownSince in place of Down.
type LossListener interface {
	Listener
	// MaxSilence returns for how long a connection may show no sign of life before it is
	// reported as lost. A bus asks its server for one often enough, but at most every 100
	// ms, so that a server that is only busy is not given up. It never changes.
	MaxSilence() time.Duration
	// DownSince is Down with the time of the last sign of life: messages may be lost since
	// then.
	DownSince(heard time.Time, err error)
}

// LossListenerOf returns the [LossListener] of l; ok is false if l, or a listener behind it,
// is none.
func LossListenerOf(l Listener) (s LossListener, ok bool) { return capability[LossListener](l) }

// A KeyListener is a [Listener] that also wants to be told of keys of the shared tier that
// change without a message: changed by hand, or by a program that does not use this
// library. A bus that can see such changes, and whose options tell it to watch for them,
// calls the additional methods; other buses treat it as a plain Listener.
type KeyListener interface {
	Listener
	// KeyPrefix returns the prefix of the keys that the listener wants to hear of.
	// It never changes.
	KeyPrefix() string
	// Changed reports keys that were written or removed, by this process or by
	// another. It is called like Message, between Up and Down. A key may be reported
	// several times for one change, or without a change.
	Changed(keys []string)
}

// KeyListenerOf returns the [KeyListener] of l; ok is false if l, or a listener behind
// it, is none.
func KeyListenerOf(l Listener) (k KeyListener, ok bool) { return capability[KeyListener](l) }
