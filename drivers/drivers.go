// Package drivers defines what the runtime asks of a cache tier and of a bus.
//
// Three small interfaces are mandatory for their roles: [L1], a bounded memory
// tier inside one process; [L2], a tier that processes share; and [Bus], which
// carries messages between them. What only some drivers can do is an extra
// interface that the runtime looks for with a type assertion:
//
//   - an L2 may be an [Adder] (set if absent), a [Swapper] (compare and set), a
//     [Leaser], a [Scanner], a [PrefixDeleter] and a [Pruner];
//   - an L1 may be a [Ranger];
//   - a driver of any role may be a [Checker];
//   - the listener of a bus may be a [KeyListener].
//
// A driver moves bytes and knows nothing of entries, tags, grace or loaders.
// Everything here takes many keys at once, so that a batch costs one round trip.
// Implementations are in the packages below this one; a program that uses one
// of them does not compile the others.
package drivers

import (
	"context"
	"errors"
	"time"
)

// ErrClosed is wrapped by what an [L2] or a [Bus] returns after its Close.
var ErrClosed = errors.New("closed")

// ErrRefused is wrapped by what an [L2] returns because of what it was asked for and
// not because something is wrong with it, such as a value beyond its size limit. The
// same call would fail again.
var ErrRefused = errors.New("refused")

// A Checker is a driver of any role whose constructor returns nothing but the
// driver, so that it can be written in place, and that keeps what was wrong with
// its options. The runtime asks when a store is made, and refuses the store.
type Checker interface {
	// Err returns why the driver is unusable, or nil. It never changes.
	Err() error
}

// An L1 is a bounded map inside the process, from the 64-bit hash of a key to an
// item that is immutable to the driver. It may drop any item at any time.
//
// Methods are called by many goroutines at once and must neither block nor fail.
// A Get that starts after a Set, Delete or Clear of the same hash has returned
// must see its effect, eviction aside.
type L1 interface {
	// Get returns the item of hash, or nil.
	Get(hash uint64) any
	// Set stores item, which is never nil, under hash in place of any other.
	// size is the item's approximate footprint in bytes, at least 1. An item
	// that the tier does not want is dropped, together with the one it replaces.
	Set(hash uint64, item any, size int)
	// Delete removes the item of hash, if there is one.
	Delete(hash uint64)
	// Clear removes every item.
	Clear()
	// Len returns the approximate number of items.
	Len() int
	// Close stops what the tier runs in the background. Calling it twice is safe;
	// after it, Get finds nothing and Set keeps nothing.
	Close() error
}

// An Item is one key of an L2 with its value.
type Item struct {
	Key   string
	Value []byte
	// TTL is how long the item is kept. Zero keeps it for ever. A driver may
	// round it up to its own precision, never down, and never to zero, and keep
	// for ever what is to be kept longer than it can count. Negative is refused.
	TTL time.Duration
}

// An L2 is a tier that several processes share. What follows holds for the
// capabilities too.
//
// Keys and values are arbitrary bytes, and keys are compared byte by byte. A
// value written is read back byte for byte. What a driver documents that it does
// not take, such as keys or values beyond a size, it refuses ([ErrRefused]), and
// stores nothing of the whole batch. A batch may be of any size, and of no keys; only
// GetMany and DeleteMany may be asked for one key twice in a batch.
//
// Methods are called by many goroutines at once. Each key's change is atomic: at
// any time, and after a crash of either side, a key has its old value whole or
// its new one. A batch as a whole need not be atomic. Once a write has returned
// nil, every read that starts later, in any process, sees it or a later one.
//
// A method returns soon after its context has ended, with an error that wraps the
// context's; on a context that has ended already it does nothing. A write that is
// given up so may still take effect a little later. After Close a method fails with
// [ErrClosed]. Errors begin with the driver's name and a colon, and say what was
// being done with the method's first word: "redis: get 2 keys: …". After an error
// the caller does not know which of the keys took effect.
type L2 interface {
	// GetMany returns one value for each key, in their order; nil where the key
	// is absent or past its TTL. A present empty value is not nil. The caller
	// owns the result.
	GetMany(ctx context.Context, keys []string) ([][]byte, error)
	// SetMany stores items, in place of what their keys had. The driver does not
	// keep or change the values.
	SetMany(ctx context.Context, items []Item) error
	// DeleteMany removes keys. Absent keys are no error.
	DeleteMany(ctx context.Context, keys []string) error
	// Close releases what the driver itself opened; a client or database handle
	// that the caller passed in stays open. Calling it twice is safe.
	Close() error
}

// An Adder is an L2 that can store a value only where none is present.
type Adder interface {
	// AddMany stores each item whose key is absent, atomically for each key, and
	// returns for each the value that is stored after the call: the item's own,
	// or the one that was there before.
	AddMany(ctx context.Context, items []Item) ([][]byte, error)
}

// A Swapper is an L2 that can change a value only where it is still the one that
// the caller has read. Pulls take a value once among all processes with it, and an
// expiry does not overwrite what somebody has stored meanwhile.
type Swapper interface {
	// SwapMany carries out each swap whose key holds what it expects, atomically for
	// each key, and returns for each whether it did.
	SwapMany(ctx context.Context, swaps []Swap) ([]bool, error)
}

// A Swap replaces the value of one key.
type Swap struct {
	Key string
	// Old is what the key has to hold, byte for byte; nil: it has to be absent.
	Old []byte
	// New is what it is to hold then, for TTL; see [Item]. Nil removes the key.
	New []byte
	TTL time.Duration
}

// A Leaser is an L2 that lends a key to one process at a time, for as long as that
// loads the key's value. A lease is beside the value: it does not matter whether there
// is one, and GetMany does not see it.
//
// Whatever changes a key ends its lease in the same step: SetMany, DeleteMany,
// DeletePrefix, an AddMany that stores and a swap that is carried out, whether the
// key had a value or not. So what was loaded before such a change cannot be stored
// after it, by whichever process. A value's TTL and Prune leave leases alone.
type Leaser interface {
	// LeaseMany takes the lease of each key that nobody holds one of, for token and for
	// ttl at most, which a driver may round up, and returns for each whether it did. A
	// token belongs to one load; its holder is not lent a key twice. An empty token is
	// refused, here and below, and so is a ttl that is not positive.
	LeaseMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error)
	// FillMany stores each item whose key is lent to token, atomically for each key, ends
	// those leases, and returns for each whether it did.
	FillMany(ctx context.Context, items []Item, token string) ([]bool, error)
	// ReleaseMany ends the leases of those keys that are lent to token.
	ReleaseMany(ctx context.Context, keys []string, token string) error
}

// A Scanner is an L2 that can say which keys it holds.
type Scanner interface {
	// Scan calls f with the keys that begin with prefix, some at a time, until it has
	// named them all or f fails, with an error that wraps f's. Keys that come or go
	// meanwhile may be named or not; a key may be named twice, one past its TTL not at
	// all. f may use the driver, and is not called after ctx has ended.
	Scan(ctx context.Context, prefix string, f func(keys []string) error) error
}

// A PrefixDeleter is an L2 that can remove many keys without naming them.
type PrefixDeleter interface {
	// DeletePrefix removes the keys that begin with prefix, compared byte by byte, and
	// returns how many there were. Keys that come meanwhile may stay.
	DeletePrefix(ctx context.Context, prefix string) (int64, error)
}

// A Pruner is an L2 that keeps items past their TTL until it is told to remove them.
type Pruner interface {
	// Prune removes items that are past their TTL and returns how many there were.
	Prune(ctx context.Context) (int64, error)
}

// A Bus carries small messages between processes, without keeping them for absent
// readers. A message can be lost; and it can arrive twice, when a connection broke
// while it was published.
type Bus interface {
	// Publish hands message to everyone who is subscribed to channel, this
	// process included. It returns once the broker has taken the message.
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

// A Listener receives what a subscription delivers. Its methods are called one
// at a time, in order, and do not block for long.
type Listener interface {
	// Up says that messages published from now on will arrive. Messages may have
	// been missed since Down, or since Subscribe.
	Up()
	// Down says that messages may be lost from now on, and why. A bus may learn
	// of a lost connection late. A subscription begins down: a Down before the
	// first Up says why the bus could not be reached so far. There is at most one
	// Down between two Ups.
	Down(err error)
	// Message delivers one message. The listener may keep it.
	Message(message []byte)
}

// A KeyListener is a [Listener] that wants to hear, too, of keys of the shared tier
// that somebody changes without publishing a message: by hand, or with a program that
// does not use this library. A bus that can see that, and has been told to look, calls
// it; others treat it like any Listener.
type KeyListener interface {
	Listener
	// KeyPrefix returns what the keys begin with that the listener wants to hear of.
	// It never changes.
	KeyPrefix() string
	// Changed says that keys were written, or have gone, be it by this process. It is
	// called like Message, between Up and Down. A key may be named several times for
	// one change, or without one.
	Changed(keys []string)
}
