package drivers

import (
	"context"
	"fmt"
	"reflect"
)

// A Wrapper is a driver in front of another driver of the same role D, which is [L1], [L2],
// [Bus] or [Outbox]. A [Listener] in front of another Listener is a Wrapper too. A Wrapper declares the
// methods of each capability that it supports, and each of these methods asks the driver
// behind for the capability:
//
//	type Uppercase struct{ inner drivers.L2 }
//
//	var _ drivers.Wrapper[drivers.L2] = (*Uppercase)(nil)
//
//	func (u *Uppercase) Unwrap() drivers.L2 { return u.inner }
//
//	func (u *Uppercase) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
//		adder, ok := drivers.AdderOf(u.inner)
//		if !ok {
//			return nil, fmt.Errorf("uppercase: add: %w", errors.ErrUnsupported)
//		}
//		return adder.AddMany(ctx, upper(items))
//	}
//
// A Wrapper has a capability if it declares the methods and the driver behind has the
// capability. So a Wrapper cannot have a capability that the driver behind lacks. And no call
// goes past a Wrapper to the driver behind: if the Wrapper does not declare the methods of a
// capability, such as one that a later version adds, the two of them do not have the
// capability. [Checker] and [ReadyChecker] have another rule: the Wrapper is asked, and the
// driver behind is asked as well.
//
// A Wrapper that changes neither keys nor values can embed a [PassThrough]. A driver in front
// of several others is not a Wrapper. It has the capabilities whose methods it declares.
type Wrapper[D any] interface {
	// Unwrap returns the driver behind. The result never changes.
	Unwrap() D
}

// A new capability of an L2 is an interface and a query in l2.go, methods of [PassThrough]
// and of the wrapper in internal/wrap, and tests in drivertest; wrapper_test.go fails until
// all of them are there.

// capability returns driver's own C, unless a driver behind it lacks C.
func capability[C, D any](driver D) (C, bool) {
	var none C
	outermost, ok := any(driver).(C)
	if !ok {
		return none, false
	}
	for d := any(driver); ; {
		wrapper, wraps := d.(Wrapper[D])
		if !wraps {
			return outermost, true
		}
		d = wrapper.Unwrap()
		if _, ok := d.(C); !ok {
			return none, false
		}
	}
}

// all returns each C among driver and the drivers behind it, the outermost first. missing says
// which driver is nil, after which there are no more.
func all[C any](driver any) (found []C, missing error) {
	outer := driver
	for !isNil(driver) {
		if c, ok := driver.(C); ok {
			found = append(found, c)
		}
		outer = driver
		switch wrapper := driver.(type) {
		case Wrapper[L2]:
			driver = wrapper.Unwrap()
		case Wrapper[L1]:
			driver = wrapper.Unwrap()
		case Wrapper[Bus]:
			driver = wrapper.Unwrap()
		case Wrapper[Outbox]:
			driver = wrapper.Unwrap()
		default:
			return found, nil
		}
	}
	if driver == nil {
		return found, fmt.Errorf("the driver behind a %T is nil", outer)
	}
	return found, fmt.Errorf("the %T is nil", driver)
}

// isNil reports whether there is no driver: nil, or a nil pointer to one.
func isNil(driver any) bool {
	v := reflect.ValueOf(driver)
	return driver == nil || v.Kind() == reflect.Pointer && v.IsNil()
}

// A Checker is a driver, of any role, that keeps what is wrong with its options. The
// constructor of such a driver returns no error, so that a program can call the constructor
// where it gives the driver to a store. A store is not made with a driver whose Err is not
// nil: runtime.NewStore returns the error.
type Checker interface {
	// Err returns why the driver cannot be used, or nil. The result never changes.
	Err() error
}

// CheckerOf returns a [Checker] that asks driver, which may have any role, and all drivers
// behind it. Its Err is the first error, the outermost driver first; that one of them is a nil
// pointer, or has nothing behind it, is an error too. ok is false if none of the drivers is a
// Checker and none is nil.
func CheckerOf(driver any) (c Checker, ok bool) {
	if driver == nil {
		return nil, false
	}
	found, missing := all[Checker](driver)
	if missing != nil {
		found = append(found, unusable{missing})
	}
	if len(found) == 0 {
		return nil, false
	}
	return checkers(found), true
}

// An unusable is what is in the place of a driver that is nil.
type unusable struct{ err error }

func (u unusable) Err() error { return u.err }

type checkers []Checker

func (c checkers) Err() error {
	for _, checker := range c {
		if err := checker.Err(); err != nil {
			return err
		}
	}
	return nil
}

// A ReadyChecker is a driver, of any role, that can ask its servers whether they can be used.
// The method Ready of a store calls it.
type ReadyChecker interface {
	// Ready returns nil if the servers can be reached, and can do all that the driver needs.
	// Ready changes nothing, neither in the driver nor on the servers.
	Ready(ctx context.Context) error
}

// ReadyCheckerOf returns a [ReadyChecker] that asks driver, which may have any role, and all
// drivers behind it. Its Ready asks one driver after the other, the outermost first, and
// returns the first error. ok is false if none of the drivers is a ReadyChecker.
func ReadyCheckerOf(driver any) (c ReadyChecker, ok bool) {
	if found, _ := all[ReadyChecker](driver); len(found) > 0 {
		return readyCheckers(found), true
	}
	return nil, false
}

type readyCheckers []ReadyChecker

func (c readyCheckers) Ready(ctx context.Context) error {
	for _, checker := range c {
		if err := checker.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}
