//go:build unix && !solaris && !illumos && !aix

package file

import (
	"errors"
	"os"
	"syscall"
)

// readersLock says whether readers have to keep away from who renames.
const readersLock = false

// tryLock takes the lock of a file; release is nil if somebody else has it. The system
// takes it from a process that ends.
func tryLock(f *os.File) (release func(), err error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() {}, nil // who closes the file gives it back
		case errors.Is(err, syscall.EWOULDBLOCK):
			return nil, nil
		case !errors.Is(err, syscall.EINTR):
			return nil, err
		}
	}
}

func syncFile(f *os.File) error { return f.Sync() }
