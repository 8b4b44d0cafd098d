// Package drivers defines the interfaces between the runtime and its drivers. A driver stores
// values somewhere, such as in Redis, or carries messages between processes.
//
// A driver has one of four roles, and each role is a small interface: [L1], a tier in the
// memory of one process; [L2], a tier that several processes share; [Bus], which carries
// messages between processes; and [Outbox], a table in which transactions of a program leave
// what is to be removed from the cache when they are committed.
//
// Some drivers can do more than their role asks for. Such an ability is called a capability.
// It is optional, and is an interface of its own. Whether a driver has a capability is asked
// with a function of this package:
//
//	role      capability      asked for with    what the capability adds
//	L2        Adder           AdderOf           set if absent
//	L2        Swapper         SwapperOf         compare and swap
//	L2        Leaser          LeaserOf          leases: one process at a time loads a key
//	L2        Historian       HistorianOf       tell when the content may have gone back
//	L2        Scanner         ScannerOf         list keys by prefix
//	L2        PrefixDeleter   PrefixDeleterOf   delete keys by prefix
//	L2        Pruner          PrunerOf          remove expired items
//	L1        Ranger          RangerOf          list the items in memory
//	Bus       MessageLimiter  MessageLimiterOf  say how large a message may be
//	Outbox    OutboxNotifier  OutboxNotifierOf  tell of commits at once
//	Listener  KeyListener     KeyListenerOf     be told of keys that change from outside
//	Listener  LossListener    LossListenerOf    be told since when messages may be lost
//	any       Checker         CheckerOf         report unusable options
//	any       ReadyChecker    ReadyCheckerOf    ask the servers whether they can be used
//
// Do not ask with a type assertion. A driver can stand in front of another one, as the driver
// of package compress does. Such a driver has the methods of every capability, but it has a
// capability only if the driver behind it has the capability too. The functions ask all of
// them. See [Wrapper].
//
// A driver moves bytes. It knows nothing of entries, tags, grace or loaders. Its methods take
// many keys at once, so that a batch costs one round trip.
//
// The drivers of this project are in the packages below this one. A program that imports one
// of them does not compile the others. The author of another driver tests it with package
// drivertest, which checks all that is promised here.
package drivers

import "errors"

// ErrClosed is wrapped by the errors of an [L2], a [Bus] or an [Outbox] that has been closed, or that
// cannot be used because of its options (see [Checker]).
var ErrClosed = errors.New("cachegen: the driver is closed")

// ErrRefused is wrapped by the errors of a driver that refuses a call because of its
// arguments, such as a value that is larger than the driver allows. The same call would fail
// again, however often it is repeated. The state of the driver or of its server has nothing to
// do with it.
var ErrRefused = errors.New("cachegen: refused")

// ErrAnswered says that an error of an [L2] or a [Bus] is an answer of the server: the server
// is up, and did not carry out the operation, because it is full, can only be read, or does
// not give the right to it, for example. [errors.Is] finds ErrAnswered in such an error.
//
// Another operation may succeed, and this one may succeed later. An operation that was
// answered with an error does not take effect later. An error that is not ErrAnswered, such as
// a timeout or a lost connection, says that the server is away: after some of these the
// runtime does not ask the server for a while.
//
// A driver makes such an error with [Answered].
var ErrAnswered = errors.New("cachegen: the server answered with an error")

// Answered returns an error with the text of err, in which [errors.Is] finds [ErrAnswered] and
// all that it finds in err. Answered(nil) is nil.
func Answered(err error) error {
	if err == nil || errors.Is(err, ErrAnswered) {
		return err
	}
	return answered{err}
}

type answered struct{ error }

func (a answered) Unwrap() error        { return a.error }
func (a answered) Is(target error) bool { return target == ErrAnswered }
