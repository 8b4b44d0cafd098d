// Package file is a shared tier in a directory, for the processes of one machine. The
// items stay when the processes end, so a program starts with a warm cache.
//
//	store, err := runtime.NewStore("main", runtime.L2(file.New("/var/cache/app", file.Options{})))
//
// Each key is a file, in one of 256 directories, the shards. The name of the file has a hash
// and the beginning of the key; the file holds the whole key, which is compared. A new value
// is written to a temporary file, synced to the disk and renamed. So a reader sees the old
// value or the new one, and a process that is killed loses only the write that was running.
// Checksums reveal a damaged file; its key is absent, and [Driver.Prune] removes the file.
//
// # Concurrency
//
// A [Driver] may be used by many goroutines, and a directory by many processes, at once.
// Every change in a shard is made under the lock of the shard: a channel excludes the
// goroutines of the process, and flock(2) on a file of the shard excludes other processes.
// The lock is held while files of the shard are written and synced. Reads take no lock. A
// second mutex guards the count of used space and is held for no file operation.
//
// # Limits
//
// On systems without flock (Windows, Solaris, AIX) only one process at a time may use a
// directory. Use a local file system: on a network file system, locks and renames are not
// reliable.
//
// A write waits for the disk, once for each file and once for each directory. That takes
// milliseconds, longer than a write to a tier on the network; Options.NoSync avoids it.
//
// Expired items are absent at once but take space until [Driver.Prune] or Options.MaxSize
// removes them. Times are those of the machine's clock. [Driver.Scan] and
// [Driver.DeletePrefix] list the names of all files and open the files whose keys can have
// the prefix; [Driver.Prune] reads all files. A key may have 64 MB. A value needs twice its
// size in memory and may have 512 MB, and at most Options.MaxSize.
//
// # Other users
//
// Only the user of the process can read the files. A directory that another user owns, other
// than root, or that others may write to, is an error, unless Options.AllowOthers is set. A
// link, a pipe, or any other thing that is no ordinary file is not opened: it counts as a
// damaged file. On Windows only links are looked for.
package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/bytesize"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

// Options of a [Driver]. The zero value is usable.
type Options struct {
	// MaxSize bounds the disk space of all items: an integer followed by b, kb, mb, gb
	// or tb, such as "10gb". When the space is used up, the items that expire soonest are
	// removed first, and of items that do not expire the oldest. Every process enforces
	// the bound in the background, after its own writes, and counts the writes of other
	// processes only now and then. So the bound can be exceeded for a moment, and by at
	// most a sixteenth of it for each other process. A larger value is refused. Empty
	// sets no bound.
	MaxSize string
	// NoSync lets the operating system decide when writes reach the disk. It makes no
	// difference while the machine runs, even if the process is killed. After a power
	// failure, an item can be as it was before a write or a delete.
	NoSync bool
	// AllowOthers uses the directory although it belongs to another user or others may write
	// to it. They can then serve any value to this process, and read all of them. Otherwise
	// such a directory is an error. Files that are no ordinary ones, such as links, are never
	// used.
	AllowOthers bool
}

// A Driver is a shared tier in a directory, with the capabilities [drivers.Adder],
// [drivers.Swapper], [drivers.Leaser], [drivers.Scanner], [drivers.PrefixDeleter],
// [drivers.Pruner] and [drivers.Checker].
type Driver struct {
	dir    string
	noSync bool
	others bool
	limit  int64 // bytes; 0: no limit
	err    error

	busy   chan struct{}         // has an element for each running operation, abandoned ones included
	gates  [shards]chan struct{} // full while a goroutine of this process holds the shard's lock
	closed atomic.Bool
	space  space
}

var (
	_ drivers.L2            = (*Driver)(nil)
	_ drivers.Adder         = (*Driver)(nil)
	_ drivers.Swapper       = (*Driver)(nil)
	_ drivers.Leaser        = (*Driver)(nil)
	_ drivers.Scanner       = (*Driver)(nil)
	_ drivers.PrefixDeleter = (*Driver)(nil)
	_ drivers.Pruner        = (*Driver)(nil)
	_ drivers.Checker       = (*Driver)(nil)
)

// maxBusy bounds the running operations, and so the threads that a disk which does not
// respond can block.
const maxBusy = 64

// New returns a shared tier in the directory dir. It does not access the directory; the
// first write creates it. If dir is empty or options are unusable, every operation fails:
// Err returns the reason, and runtime.NewStore refuses the tier.
func New(dir string, options Options) *Driver {
	d := &Driver{noSync: options.NoSync, others: options.AllowOthers, busy: make(chan struct{}, maxBusy)}
	for i := range d.gates {
		d.gates[i] = make(chan struct{}, 1)
	}
	limit, err := bytesize.Parse("MaxSize", options.MaxSize)
	switch {
	case dir == "":
		d.err = errors.New("file: the name of the directory is empty")
	case err != nil:
		d.err = fmt.Errorf("file: %w", err)
	default:
		// Absolute, because the program may change its working directory later.
		if d.dir, err = filepath.Abs(dir); err != nil {
			d.err = fmt.Errorf("file: directory %q: %w", dir, err)
		}
	}
	d.limit = int64(limit)
	d.space.stopping, d.space.stop = context.WithCancel(context.Background())
	d.closed.Store(d.err != nil)
	return d
}

// Err implements [drivers.Checker]: it returns why the driver is unusable, or nil.
func (d *Driver) Err() error { return d.err }

// Close implements [drivers.L2]. It ends the work in the background and waits for it. The
// files stay. Running calls continue; later calls fail with [drivers.ErrClosed].
func (d *Driver) Close() error {
	d.closed.Store(true)
	d.space.end()
	return nil
}

// execute runs an operation f and returns when f does or when ctx ends. f must own what it
// uses, because it may still run after execute has returned: a disk operation does not end
// with the context.
func (d *Driver) execute(ctx context.Context, operation string, keys int, f func(*directory) error) error {
	err := ctx.Err()
	if d.closed.Load() {
		err = drivers.ErrClosed
	}
	if err == nil {
		err = within.Do(ctx, func() error {
			select {
			case d.busy <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			defer func() { <-d.busy }()
			return d.inDirectory(f)
		})
	}
	return d.failed(operation, keys, err)
}

// inDirectory runs f with the directory.
func (d *Driver) inDirectory(f func(*directory) error) error {
	x, err := d.openDirectory()
	if err != nil {
		return err
	}
	defer x.close()
	return f(x)
}

// failed returns err with the operation, the number of keys and the directory.
func (d *Driver) failed(operation string, keys int, err error) error {
	if err == nil {
		return nil
	}
	switch {
	case keys == 1:
		operation += " 1 key"
	case keys > 1:
		operation = fmt.Sprintf("%s %d keys", operation, keys)
	}
	if answered(err) {
		err = drivers.Answered(err)
	}
	return fmt.Errorf("file: %s in %q: %w", operation, d.dir, err)
}

// answered reports an error of the operating system, but for those of a file system that
// cannot be reached. A disk that is full can be read.
func answered(err error) bool {
	var number syscall.Errno
	return errors.As(err, &number) && !number.Timeout() && number != syscall.EIO && number != syscall.ESTALE
}
