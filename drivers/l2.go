package drivers

import (
	"context"
	"time"
)

// An Item is one key of an L2 with its value.
type Item struct {
	Key   string
	Value []byte
	// TTL is how long the item is kept. Zero keeps it forever. A driver may round a TTL
	// up to its own precision, never down, and may keep forever an item whose TTL is
	// longer than the driver can count. A negative TTL is refused.
	TTL time.Duration
}

// An L2 is a tier that several processes share. What follows holds for its
// capabilities too.
//
// Keys and values are arbitrary bytes, and keys are compared byte by byte. A value is
// read back byte for byte. What a driver documents as beyond its limits, such as long
// keys or large values, it refuses ([ErrRefused]), and then stores nothing of the whole
// batch. A batch may have any size, and no keys at all; a key may be repeated in a batch
// of GetMany and DeleteMany only.
//
// Methods are called by many goroutines at once. Each key changes atomically: at
// any time, and after a crash of either side, a key has its whole old value or
// its whole new value. A batch need not be atomic. Once a write has returned
// nil, every read that starts later, in any process, sees that write or a later one.
//
// A method returns soon after its context has ended, with an error that wraps the
// context's error; on a context that has already ended it does nothing. A write that
// was abandoned in this way may still take effect a little later. What stores a value
// is sent once: if the answer is lost, the call fails. Sent again, it could bring back
// what has been deleted since. Reads and deletions may be sent again. After Close a method
// fails with [ErrClosed]. Errors begin with the driver's name and a colon, and name the
// operation with the method's first word: "redis: get 2 keys: …". After an error the
// caller does not know which of the keys were changed.
type L2 interface {
	// GetMany returns one value for each key, in the order of keys; nil where the key
	// is absent or past its TTL. A present empty value is not nil. The caller
	// owns the result.
	GetMany(ctx context.Context, keys []string) ([][]byte, error)
	// SetMany stores items and replaces the values that their keys had. The driver does
	// not keep or change the slices.
	SetMany(ctx context.Context, items []Item) error
	// DeleteMany removes keys. Absent keys are no error.
	DeleteMany(ctx context.Context, keys []string) error
	// Close releases what the driver itself opened; a client or database handle
	// that the caller passed in stays open. Calling it twice is safe.
	Close() error
}

// An Adder is an L2 that can store a value only where the key is absent.
type Adder interface {
	// AddMany stores each item whose key is absent, atomically for each key, and
	// returns for each item the value that is stored after the call: the item's own,
	// or the one that was there before.
	AddMany(ctx context.Context, items []Item) ([][]byte, error)
}

// AdderOf returns the [Adder] of l2; ok is false if l2, or a driver behind it, is none.
func AdderOf(l2 L2) (a Adder, ok bool) { return capability[Adder](l2) }

// A Swapper is an L2 that can compare and swap: it changes a value only where it is
// still the value that the caller has read. With it only one of many processes pulls a
// value, and an expiry does not overwrite a value that was stored in the meantime.
type Swapper interface {
	// SwapMany performs each swap whose key holds the value Old, atomically for
	// each key, and returns for each swap whether it was performed.
	SwapMany(ctx context.Context, swaps []Swap) ([]bool, error)
}

// SwapperOf returns the [Swapper] of l2; ok is false if l2, or a driver behind it, is none.
func SwapperOf(l2 L2) (s Swapper, ok bool) { return capability[Swapper](l2) }

// A Swap replaces the value of one key.
type Swap struct {
	Key string
	// Old is the value that the key must hold, byte for byte; nil: the key must be
	// absent.
	Old []byte
	// New is the value that the key holds afterwards, for TTL; see [Item]. Nil removes
	// the key.
	New []byte
	TTL time.Duration
}

// A Leaser is an L2 that gives the lease of a key to one process at a time, for as long
// as that process loads the key's value. A lease is separate from the value: a key can
// have a lease with or without a value, and GetMany does not see leases.
//
// Every change of a key ends its lease in the same step: SetMany, DeleteMany,
// DeletePrefix, an AddMany that stores and a swap that is performed, whether the
// key had a value or not. So a value that was loaded before such a change cannot be
// stored after it, in any process. The end of a value's TTL, and Prune, end no lease.
type Leaser interface {
	// LeaseMany takes the lease of each key whose lease nobody holds, for token and for
	// at most ttl, which a driver may round up, and returns for each key whether it was
	// taken. A token belongs to one load; its holder does not get a lease twice. An
	// empty token is refused, here and below, and so is a ttl that is not positive.
	LeaseMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error)
	// FillMany stores each item whose lease token holds, atomically for each key, ends
	// those leases, and returns for each item whether it was stored.
	FillMany(ctx context.Context, items []Item, token string) ([]bool, error)
	// ReleaseMany ends the leases of those keys whose lease token holds.
	ReleaseMany(ctx context.Context, keys []string, token string) error
}

// LeaserOf returns the [Leaser] of l2; ok is false if l2, or a driver behind it, is none.
func LeaserOf(l2 L2) (l Leaser, ok bool) { return capability[Leaser](l2) }

// A Scanner is an L2 that can list its keys.
type Scanner interface {
	// Scan calls f with the keys that begin with prefix, some at a time, until all were
	// listed or f fails; then Scan returns an error that wraps f's. Keys that are added
	// or removed during the call may be listed or not; a key may be listed twice; a key
	// past its TTL is not listed. f may use the driver, and is not called after ctx has
	// ended.
	Scan(ctx context.Context, prefix string, f func(keys []string) error) error
}

// ScannerOf returns the [Scanner] of l2; ok is false if l2, or a driver behind it, is none.
func ScannerOf(l2 L2) (s Scanner, ok bool) { return capability[Scanner](l2) }

// A PrefixDeleter is an L2 that can remove all keys with a prefix.
type PrefixDeleter interface {
	// DeletePrefix removes the keys that begin with prefix, compared byte by byte, and
	// returns how many it removed. Keys that are added during the call may stay.
	DeletePrefix(ctx context.Context, prefix string) (int64, error)
}

// PrefixDeleterOf returns the [PrefixDeleter] of l2; ok is false if l2, or a driver
// behind it, is none.
func PrefixDeleterOf(l2 L2) (d PrefixDeleter, ok bool) { return capability[PrefixDeleter](l2) }

// A Pruner is an L2 that keeps expired items, which are past their TTL and absent to
// every read, until it is told to remove them.
type Pruner interface {
	// Prune removes expired items and returns how many it removed.
	Prune(ctx context.Context) (int64, error)
}

// PrunerOf returns the [Pruner] of l2; ok is false if l2, or a driver behind it, is none.
func PrunerOf(l2 L2) (p Pruner, ok bool) { return capability[Pruner](l2) }
