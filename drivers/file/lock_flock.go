//go:build unix && !solaris && !illumos && !aix

package file

import (
	"errors"
	"os"
	"syscall"
)

// readersLock says whether a reader needs the lock, against a rename during the read.
const readersLock = false

// tryLock takes the lock of a file; release is nil if it is held by another file handle, of
// this process or another. The system releases the lock when a process ends.
func tryLock(f *os.File) (release func(), err error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() {}, nil // closing the file releases the lock
		case errors.Is(err, syscall.EWOULDBLOCK):
			return nil, nil
		case !errors.Is(err, syscall.EINTR):
			return nil, err
		}
	}
}

func syncFile(f *os.File) error { return f.Sync() }
