// Package drivers defines what the runtime asks of a cache tier and of a bus.
//
// Three small interfaces are mandatory, one for each role: [L1], a bounded memory
// tier inside one process; [L2], a tier that several processes share; and [Bus], which
// carries messages between processes.
//
// What only some drivers can do is an optional capability: one interface each, asked
// for with one function each.
//
//	role      capability      asked for with    what it adds
//	L2        Adder           AdderOf           set if absent
//	L2        Swapper         SwapperOf         compare and swap
//	L2        Leaser          LeaserOf          leases: one process at a time loads a key
//	L2        Scanner         ScannerOf         list keys by prefix
//	L2        PrefixDeleter   PrefixDeleterOf   delete keys by prefix
//	L2        Pruner          PrunerOf          remove expired items
//	L1        Ranger          RangerOf          list the items in memory
//	Bus       MessageLimiter  MessageLimiterOf  say how large a message may be
//	Listener  KeyListener     KeyListenerOf     be told of keys that change from outside
//	Listener  LossListener    LossListenerOf    be told since when messages may be lost
//	any       Checker         CheckerOf         report unusable options
//	any       ReadyChecker    ReadyCheckerOf    ask the servers whether they can be used
//
// Ask with these functions, never with a type assertion: a driver in front of another
// one, such as package compress, has the methods of every capability, and has a
// capability only where the driver behind has it. See [Wrapper], which is also what the
// author of such a driver implements.
//
// A driver moves bytes and knows nothing of entries, tags, grace or loaders. Methods
// take many keys at once, so that a batch costs one round trip. Package drivertest
// tests a driver against all that is promised here. The drivers of this project are in
// the packages below this one; a program that uses one of them does not compile the
// others.
package drivers

import "errors"

// ErrClosed is wrapped by the errors of an [L2] or a [Bus] that has been closed.
var ErrClosed = errors.New("cachegen: the driver is closed")

// ErrRefused is wrapped by the errors of an [L2] that are about the call itself, such as
// a value beyond a size limit, and not about the state of the driver or its server. The
// same call would fail again.
var ErrRefused = errors.New("cachegen: refused")

// ErrAnswered is what [errors.Is] finds in the errors of an [L2] or a [Bus] that are the
// server's answer: the server is up and has refused to carry out the operation, because
// it is full, can only be read, or does not give the right to, for example. Another
// operation may succeed, and this one may succeed later. What was refused does not take
// effect later. An error without an answer, such as a timeout or a lost connection, says
// that the server is away: after some of them the runtime stops asking it for a while.
// See [Answered].
var ErrAnswered = errors.New("cachegen: the server answered with an error")

// Answered returns err, of which [errors.Is] finds that it is [ErrAnswered], with the text
// that it has. Of nil it returns nil.
func Answered(err error) error {
	if err == nil || errors.Is(err, ErrAnswered) {
		return err
	}
	return answered{err}
}

type answered struct{ error }

func (a answered) Unwrap() error        { return a.error }
func (a answered) Is(target error) bool { return target == ErrAnswered }
