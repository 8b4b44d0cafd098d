package drivers

import "context"

// A Wrapper is a driver, or a [Listener], in front of another one of the same role D:
// [L2], [L1], [Bus] or [Listener]. It declares the methods of each capability that it
// supports, and in each of them asks the driver behind for the same capability:
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
// A wrapper has a capability if it has the methods and the driver behind has the
// capability. So a wrapper cannot claim what the driver behind lacks, and a capability
// that the wrapper does not know, such as one of a later version, does not bypass the
// wrapper. Only [Checker] and [ReadyChecker] follow another rule: every driver from the
// outermost to the innermost is asked.
//
// A wrapper that changes neither keys nor values can embed a [PassThrough]. A driver in
// front of several others is not a Wrapper: it has the capabilities whose methods it
// declares.
type Wrapper[D any] interface {
	// Unwrap returns the driver behind. It never changes.
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

// all returns each C among driver and the drivers behind it, the outermost first.
func all[C any](driver any) (found []C) {
	for driver != nil {
		if c, ok := driver.(C); ok {
			found = append(found, c)
		}
		switch wrapper := driver.(type) {
		case Wrapper[L2]:
			driver = wrapper.Unwrap()
		case Wrapper[L1]:
			driver = wrapper.Unwrap()
		case Wrapper[Bus]:
			driver = wrapper.Unwrap()
		default:
			return found
		}
	}
	return found
}

// A Checker is a driver of any role whose constructor returns no error, so that the
// call can be written in place, and which keeps what was wrong with its options. The
// runtime asks when a store is made, and refuses the store.
type Checker interface {
	// Err returns why the driver is unusable, or nil. It never changes.
	Err() error
}

// CheckerOf returns a [Checker] for driver, which has any role, and all drivers behind
// it; ok is false if none of them is one. Err returns the error of the outermost driver
// that has one.
func CheckerOf(driver any) (c Checker, ok bool) {
	if found := all[Checker](driver); len(found) > 0 {
		return checkers(found), true
	}
	return nil, false
}

type checkers []Checker

func (c checkers) Err() error {
	for _, checker := range c {
		if err := checker.Err(); err != nil {
			return err
		}
	}
	return nil
}

// A ReadyChecker is a driver of any role that can ask its servers whether they can be
// used. The runtime asks in Store.Ready.
type ReadyChecker interface {
	// Ready returns nil if the servers can be reached and support all that the driver
	// needs. It changes nothing, neither in the driver nor on the servers.
	Ready(ctx context.Context) error
}

// ReadyCheckerOf returns a [ReadyChecker] for driver, which has any role, and all drivers
// behind it; ok is false if none of them is one. Ready asks them in turn, the outermost
// first, and returns the first error.
func ReadyCheckerOf(driver any) (c ReadyChecker, ok bool) {
	if found := all[ReadyChecker](driver); len(found) > 0 {
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
