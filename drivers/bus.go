package drivers

import (
	"context"
	"time"
)

// A Bus carries small messages between processes. A message reaches the processes that are
// subscribed at that moment; it is not stored for others. A message can be lost. It can arrive
// twice, if a connection breaks while the message is published. The messages of one publisher
// arrive in the order in which they were published. A bus that keeps one order for those of all
// publishers lets a store that hears its own message know that it has heard all before.
//
// The methods of a Bus are called by many goroutines at once.
type Bus interface {
	// Publish sends message to all subscribers of channel, those in this process included. It
	// returns when the server of the bus has accepted the message. A bus that is closed
	// returns [ErrClosed].
	Publish(ctx context.Context, channel string, message []byte) error
	// Subscribe delivers the messages of channel to l, until unsubscribe is called or the bus
	// is closed.
	//
	// Subscribe returns at once. The bus connects in the background, and connects again
	// whenever the connection is lost; l is told of both. unsubscribe waits until l is not
	// called any more, so it must not be called by l. An error says that the bus is closed.
	Subscribe(channel string, l Listener) (unsubscribe func(), err error)
	// Close ends every subscription. A client that the bus was given stays open. Calling Close
	// twice is safe.
	Close() error
}

// A MessageLimiter is a [Bus] that carries messages up to a certain size only. Who has more to
// say publishes several messages.
type MessageLimiter interface {
	// MaxMessage returns how many bytes a message may have. The number can depend on the
	// server that the bus is connected to, and so it may change while the bus is used.
	MaxMessage() int
}

// MessageLimiterOf returns the [MessageLimiter] of bus. ok is false if bus, or a driver behind
// bus, is not a MessageLimiter.
func MessageLimiterOf(bus Bus) (l MessageLimiter, ok bool) { return capability[MessageLimiter](bus) }

// A Listener receives the messages of a subscription. Its methods are called one at a time, in
// the order of the events, and must return soon.
type Listener interface {
	// Up says that the subscription is connected: a message that is published from now on
	// arrives. Messages may have been missed since the last Down, or since Subscribe.
	Up()
	// Down says that the subscription is disconnected, and why: messages may be lost from now
	// on. The connection may have been lost some time before: see [LossListener].
	//
	// A subscription begins disconnected. A Down before the first Up says why the bus could
	// not be reached so far. Between two calls of Up there is one Down at most.
	Down(err error)
	// Message delivers one message. The listener may keep the slice.
	Message(message []byte)
}

// A LossListener is a [Listener] that is told of a lost connection soon, and is told since
// when messages may have been missed. A bus calls its method DownSince in place of Down.
type LossListener interface {
	Listener
	// MaxSilence returns how long a connection may show no sign of life before the bus reports
	// it as lost. The bus asks its server for a sign of life often enough, but not more than
	// once in 100 ms, so that it does not give up a server that is only busy. The result never
	// changes.
	MaxSilence() time.Duration
	// DownSince is [Listener].Down with one more fact: the connection showed its last sign of
	// life at the time heard, and messages may have been lost since then.
	DownSince(heard time.Time, err error)
}

// LossListenerOf returns the [LossListener] of l. ok is false if l, or a listener behind l, is
// not a LossListener.
func LossListenerOf(l Listener) (s LossListener, ok bool) { return capability[LossListener](l) }

// A KeyListener is a [Listener] that is also told which keys of the shared tier have changed.
// So it hears of changes of which nobody publishes a message: changes by hand, and changes by
// programs that do not use this library.
//
// Only some buses can see such changes, and do so if their options say so, such as the option
// Tracking of package redis. Other buses never call the method Changed.
type KeyListener interface {
	Listener
	// KeyPrefix returns the prefix of the keys that the listener is told of. The result never
	// changes.
	KeyPrefix() string
	// Changed says that keys were written or removed, by this process or by another. It is
	// called between Up and Down, as Message is. A key may be reported several times for one
	// change, or without a change.
	Changed(keys []string)
}

// KeyListenerOf returns the [KeyListener] of l. ok is false if l, or a listener behind l, is
// not a KeyListener.
func KeyListenerOf(l Listener) (k KeyListener, ok bool) { return capability[KeyListener](l) }
