//go:build !unix || solaris || illumos || aix

package file

import (
	"os"
	"sync"
)

// readersLock says whether readers have to keep away from who renames. Windows does not
// replace a file that is open.
const readersLock = true

// held has the paths whose locks this process has.
var held sync.Map

// tryLock takes the lock of a file; release is nil if somebody else has it. Only this
// process knows of it.
func tryLock(f *os.File) (release func(), err error) {
	path := f.Name()
	if _, taken := held.LoadOrStore(path, true); taken {
		return nil, nil
	}
	return func() { held.Delete(path) }, nil
}

// syncFile does nothing: directories cannot be synced everywhere.
func syncFile(*os.File) error { return nil }
