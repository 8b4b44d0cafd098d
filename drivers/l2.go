package drivers

import (
	"context"
	"time"
)

// An Item is a key of an [L2] and its value.
type Item struct {
	Key   string
	Value []byte
	// TTL is how long the item is kept. Zero keeps the item forever. A negative TTL is refused
	// ([ErrRefused]). A driver may round a TTL up to its own precision, but never down. It may
	// keep an item forever if the TTL is longer than the driver can count.
	TTL time.Duration
}

// An L2 is a tier that several processes share. What is said here holds for the methods of its
// capabilities too.
//
// Keys and values are arbitrary bytes. Keys are compared byte by byte, and a value is read
// back byte for byte. A driver may have limits, such as a longest key or a largest value, and
// documents them. It refuses what is beyond a limit with [ErrRefused], and then stores nothing
// of the batch. A batch may have any number of keys, also none. A key may be in a batch
// several times in GetMany and DeleteMany only.
//
// The methods are called by many goroutines at once. Each key changes atomically: at any time,
// and after a crash of the program or the server, a key has its whole old value or its whole
// new one. A batch need not be atomic. Once a write has returned nil, every read that starts
// later, in any process, sees that write or a later one.
//
// A method returns soon after its context has ended, with an error that wraps the context's
// error. If the context has ended before the call, the method does nothing. A write that was
// given up in this way may still take effect a little later.
//
// A driver sends a write that stores a value only once: if the answer is lost, the call fails.
// The same write, sent again, could bring back a value that has been deleted since. Reads and
// deletions may be sent again.
//
// Errors begin with the name of the driver and a colon, and then name the operation by the
// first word of the method: "redis: get 2 keys: …". After an error the caller does not know
// which of the keys were changed. After Close every method fails with [ErrClosed].
type L2 interface {
	// GetMany returns one value for each key, in the order of keys. The value is nil where the
	// key is absent or past its TTL, and not nil where an empty value is stored. The caller
	// owns the result.
	GetMany(ctx context.Context, keys []string) ([][]byte, error)
	// SetMany stores items. A value that one of the keys had before is replaced. The driver
	// neither changes items nor keeps a reference to it.
	SetMany(ctx context.Context, items []Item) error
	// DeleteMany removes keys. To remove a key that is absent is no error.
	DeleteMany(ctx context.Context, keys []string) error
	// Close releases what the driver itself has opened. A client or a database handle that the
	// driver was given stays open. Calling Close twice is safe.
	Close() error
}

// An Adder is an [L2] that can store a value only if its key is absent.
type Adder interface {
	// AddMany stores each item whose key is absent, atomically for each key. It returns, for
	// each item, the value that its key has after the call: the value of the item, or the one
	// that was there before.
	AddMany(ctx context.Context, items []Item) ([][]byte, error)
}

// AdderOf returns the [Adder] of l2. ok is false if l2, or a driver behind l2, is not an
// Adder.
func AdderOf(l2 L2) (a Adder, ok bool) { return capability[Adder](l2) }

// A Swapper is an [L2] that can compare and swap: it replaces a value only if the key still
// has the value that the caller has read before. The runtime uses this so that an entry that
// is expired does not overwrite a newer one, and so that one process alone gets a value that
// several processes pull at once.
type Swapper interface {
	// SwapMany performs each swap whose key has the value Old, atomically for each key. It
	// returns, for each swap, whether it was performed. What else a swap asks for, such as
	// [Swap.Unleased], is part of the same step.
	SwapMany(ctx context.Context, swaps []Swap) ([]bool, error)
}

// SwapperOf returns the [Swapper] of l2. ok is false if l2, or a driver behind l2, is not a
// Swapper.
func SwapperOf(l2 L2) (s Swapper, ok bool) { return capability[Swapper](l2) }

// A Swap replaces the value of one key, if the key has a certain value. See [Swapper].
type Swap struct {
	Key string
	// Old is the value that the key must have, byte for byte. Nil says that the key must be
	// absent.
	Old []byte
	// New is the value that the key has after the swap, and TTL is how long it is kept, as in
	// [Item]. If New is nil, the key is removed.
	New []byte
	TTL time.Duration
	// Unleased performs the swap only while no token has the lease of the key, so that the swap
	// ends none. A lease that is past its end is none. A tier that gives no leases (see [Leaser])
	// performs the swap regardless. The zero value ends the lease of the key, as every change does.
	Unleased bool
}

// A Leaser is an [L2] that gives leases. A lease of a key is the right to store what has been
// loaded for that key. One process at a time has it, so that not all of them load the same
// value, and so that nothing is stored that was loaded before the key was changed.
//
// A lease is separate from the value. A key can have a lease with or without a value, and
// GetMany does not see leases. Every change of a key ends its lease in the same step, whether
// the key had a value or not: SetMany, DeleteMany, DeletePrefix, an AddMany that stores the
// item, and a swap that is performed. So a value that was loaded before such a change cannot
// be stored after it, by any process. A lease does not end when the TTL of the value ends, or
// when the value is pruned.
//
// A lease belongs to a token: 1 to 256 bytes of any kind, which the caller chooses anew for each
// attempt. A longer token and an empty one are refused ([ErrRefused]). A driver compares tokens
// byte by byte. It does not know which of them are of one caller: a token that asks for a lease
// that it has already is answered like any other token.
//
// LeaseMany and FillMany are sent once, like what stores a value: if the answer is lost, the
// call fails. RenewMany and ReleaseMany may be sent again.
type Leaser interface {
	// LeaseMany asks for the lease of each key, and returns what it found, in the order of
	// keys. It changes each key atomically. The same key twice is refused or treated as two
	// requests, one after the other.
	LeaseMany(ctx context.Context, keys []string, want LeaseRequest) ([]Lease, error)
	// FillMany stores each item whose lease token has, and ends the lease, atomically for each
	// key. It returns, for each item, whether it was stored.
	FillMany(ctx context.Context, items []Item, token string) ([]Fill, error)
	// RenewMany lets the leases that token has end after ttl from now; a driver may round ttl
	// up. It returns, for each key, whether token has the lease. A ttl that is not positive is
	// refused.
	RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error)
	// ReleaseMany ends the leases of keys that token has. Leases of other tokens stay. It
	// returns, for each key, whether it has ended a lease that somebody awaits (see
	// [LeaseRequest.Await]).
	ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error)
}

// LeaserOf returns the [Leaser] of l2. ok is false if l2, or a driver behind l2, is not a
// Leaser.
func LeaserOf(l2 L2) (l Leaser, ok bool) { return capability[Leaser](l2) }

// A LeaseRequest says what [Leaser].LeaseMany is to do.
type LeaseRequest struct {
	// Token is the token that gets the leases.
	Token string
	// TTL is when a lease that is taken ends, if nothing ends it before; a driver may round it
	// up. A TTL that is not positive is refused.
	TTL time.Duration
	// IfAbsent takes the lease only where the key has no value.
	IfAbsent bool
	// Replace takes the lease also where a token has it. That token has it no longer.
	Replace bool
	// Await notes, where the lease is not taken because a token has it, that somebody waits
	// for its end. Who ends the lease is told so: see [Fill] and ReleaseMany of [Leaser].
	//
	// A renewal keeps the note, and so does a replacement: who waits for the value of the key
	// gets it from the new holder. The note goes with the lease when the lease ends by a fill,
	// a release or a change of its key. A driver may keep the note if the lease ends by its
	// TTL, and the next lease is taken without a change in between.
	Await bool
}

// A Lease is what [Leaser].LeaseMany found for one key.
type Lease struct {
	// Taken says that the token of the request has the lease now.
	Taken bool
	// Holder is the token that has the lease and because of which it was not taken, and Left is
	// how long it has it at most if it does not renew it. Left may be rounded up. Holder is
	// empty, and Left zero, if the lease was taken, or was not taken because the key has a value
	// ([LeaseRequest.IfAbsent]).
	Holder string
	Left   time.Duration
	// Value is the value of the key at that moment: nil if the key is absent. The caller owns
	// it.
	Value []byte
}

// A Fill is what [Leaser].FillMany did with one item.
type Fill struct {
	// Stored says that the item was stored.
	Stored bool
	// Awaited says that the item was stored, and that somebody has waited for the lease (see
	// [LeaseRequest.Await]).
	Awaited bool
}

// A Historian is an [L2] that can tell whether its content may have gone back to an earlier
// state, so that writes are lost which it had acknowledged: after a failover to a replica that
// lags behind, or when a server comes back with an older snapshot.
type Historian interface {
	// History returns a text that names the history of the tier's content. It is another text
	// whenever the content may have gone back, and it may be another one although it has not.
	// A tier whose content never goes back has one text for ever.
	//
	// All processes that see the same content get the same text, whatever their version of the
	// driver: what one of them has done about a text, the others need not do. An empty text says
	// that the tier cannot tell now, such as one that lacks a right: the caller then has to do as
	// without this capability.
	//
	// What another text costs: nothing that was stored before is used any more, by any process,
	// and each value is loaded once more. So a driver that can tell that nothing was lost keeps
	// the text.
	//
	// The runtime calls History after each operation whose answer it is about to believe, so
	// History must be cheap: it asks the server only if there is a reason, such as a connection
	// that was made since it asked last, an operation that has failed, or some time. A driver
	// documents what it notices at once, and what after which time.
	History(ctx context.Context) (string, error)
}

// HistorianOf returns the [Historian] of l2. ok is false if l2, or a driver behind l2, is not a
// Historian.
func HistorianOf(l2 L2) (h Historian, ok bool) { return capability[Historian](l2) }

// A Scanner is an [L2] that can list its keys.
type Scanner interface {
	// Scan calls f with the keys that begin with prefix, some of them at a time, until all
	// were listed or f returns an error. Scan then returns an error that wraps the error of f.
	//
	// A key that is past its TTL is not listed. A key may be listed twice. A key that is added
	// or removed during the call may be listed or not. f may use the driver. f is not called
	// after ctx has ended.
	Scan(ctx context.Context, prefix string, f func(keys []string) error) error
}

// ScannerOf returns the [Scanner] of l2. ok is false if l2, or a driver behind l2, is not a
// Scanner.
func ScannerOf(l2 L2) (s Scanner, ok bool) { return capability[Scanner](l2) }

// A PrefixDeleter is an [L2] that can remove all keys with a prefix.
type PrefixDeleter interface {
	// DeletePrefix removes the keys that begin with prefix, and returns how many it has
	// removed. Prefixes are compared byte by byte. A key that is added during the call may
	// stay.
	DeletePrefix(ctx context.Context, prefix string) (int64, error)
}

// PrefixDeleterOf returns the [PrefixDeleter] of l2. ok is false if l2, or a driver behind l2,
// is not a PrefixDeleter.
func PrefixDeleterOf(l2 L2) (d PrefixDeleter, ok bool) { return capability[PrefixDeleter](l2) }

// A Pruner is an [L2] whose expired items take space until they are pruned. No read finds an
// expired item, one that is past its TTL; but the storage does not remove it by itself, or not
// soon.
type Pruner interface {
	// Prune removes the expired items, and returns how many it has removed.
	Prune(ctx context.Context) (int64, error)
}

// PrunerOf returns the [Pruner] of l2. ok is false if l2, or a driver behind l2, is not a
// Pruner.
func PrunerOf(l2 L2) (p Pruner, ok bool) { return capability[Pruner](l2) }
