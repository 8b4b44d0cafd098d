package drivers

import (
	"context"
	"time"
)

// An Outbox is a table in the database of a program, in which a transaction leaves what has to
// be done in the cache once the transaction is committed. The entries of the table are written
// in the transaction itself: they are there if the transaction was committed, and only then. The
// process that has committed carries them out and removes them. If that process dies before,
// another process takes them.
//
// An entry may be carried out several times, by several processes, and in any order. This is
// enough because an entry says only what is to be removed from the cache, never a new value.
// To remove something once more, or late, costs a load. So an Outbox promises no order: the
// entry that has waited longest comes first, and an entry that cannot be carried out does not
// hold up the others. A reader must not remember how far it has read, as with a sequence number:
// transactions are not committed in the order in which they have written.
//
// The methods are called by many goroutines at once. A method returns soon after its context has
// ended, with an error that wraps the context's error; Append returns when the function does
// that it was given. Errors begin with the name of the driver and a colon, and then name the
// operation by the word of the method. After Close every method fails with [ErrClosed].
type Outbox interface {
	// Append writes entries with exec, which executes statements in the transaction of the
	// caller. No process takes the entries before they are committed, nor before wait is over,
	// which leaves time for the caller to carry them out.
	//
	// Append uses no other transaction than the caller's, but for the first call if the table
	// does not exist yet: a driver may make the table with a connection of its own. What is
	// beyond the limits of [OutboxEntry] is refused ([ErrRefused]), and nothing is written.
	Append(ctx context.Context, exec Exec, entries []OutboxEntry, wait time.Duration) error
	// Take returns committed entries that nobody holds, those that have waited longest first,
	// and holds them for the caller: until the time of the request is over, no other process
	// takes them, and it counts one attempt more. After that time, they can be taken again
	// unless they were removed. So what a process has taken that dies is not lost.
	//
	// An empty result says that there was nothing to take at that moment.
	Take(ctx context.Context, request OutboxRequest) ([]OutboxEntry, error)
	// Postpone says that entries that the caller has taken could not be carried out: they can
	// be taken again after wait. An entry that has been removed stays removed.
	Postpone(ctx context.Context, ids []OutboxID, wait time.Duration) error
	// Remove removes entries. To remove an entry that is absent, or that is not committed yet,
	// does nothing.
	Remove(ctx context.Context, ids []OutboxID) error
	// Close releases what the driver itself has opened. A client or a database handle that the
	// driver was given stays open. Calling Close twice is safe.
	Close() error
}

// An Exec executes one statement in a transaction, and returns when the database has executed
// it. The statement has no parameters, so that a library need not know how the database writes
// them. It has only ASCII characters, and none of "?", "@" and "$", which libraries replace.
type Exec func(ctx context.Context, statement string) error

// An OutboxID tells an entry of an [Outbox] from all others. Whoever appends the entry chooses
// the ID at random, and so knows it without a question to the database.
type OutboxID [16]byte

// Limits of an [OutboxEntry], in bytes.
const (
	MaxOutboxStore   = 200
	MaxOutboxPayload = 32 << 10
)

// An OutboxEntry is a row of an [Outbox].
type OutboxEntry struct {
	ID OutboxID
	// Store says who can carry the entry out. It has 1 to [MaxOutboxStore] bytes.
	Store string
	// Payload is what has to be done. It has up to [MaxOutboxPayload] bytes.
	Payload []byte
	// Attempts is how often the entry has been taken, this time included, and Age is how long
	// ago it was appended, by the clock of the database. Append ignores both.
	Attempts int
	Age      time.Duration
}

// An OutboxRequest says what [Outbox].Take returns.
type OutboxRequest struct {
	Stores []string      // entries of these only; without any, none
	Max    int           // no more than these; 1 at least
	Hold   time.Duration // how long nobody else takes them; it must be positive
}

// An OutboxNotifier is an [Outbox] that tells at once when entries were appended.
type OutboxNotifier interface {
	// Notify calls l.Message, with an empty message, when a transaction of any process was
	// committed that has appended entries. Up and Down are called as by [Bus].Subscribe: while
	// the listener is down, and before it is up, commits are not told of. stop waits until l is
	// not called any more, so it must not be called by l. An error says that the outbox is
	// closed.
	Notify(l Listener) (stop func(), err error)
}

// OutboxNotifierOf returns the [OutboxNotifier] of outbox. ok is false if outbox, or a driver
// behind outbox, is not an OutboxNotifier.
func OutboxNotifierOf(outbox Outbox) (n OutboxNotifier, ok bool) {
	return capability[OutboxNotifier](outbox)
}
