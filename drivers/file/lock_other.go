//go:build !unix || solaris || illumos || aix

package file

import (
	"os"
	"sync"
)

// readersLock says whether a reader needs the lock, against a rename during the read.
// Windows cannot replace a file that is open.
const readersLock = true

// held has the paths of the locks that are held.
var held sync.Map

// tryLock takes the lock of a file; release is nil if it is held. The lock excludes
// goroutines of this process only.
func tryLock(f *os.File) (release func(), err error) {
	path := f.Name()
	if _, taken := held.LoadOrStore(path, true); taken {
		return nil, nil
	}
	return func() { held.Delete(path) }, nil
}

// syncFile does nothing: directories cannot be synced everywhere.
func syncFile(*os.File) error { return nil }
