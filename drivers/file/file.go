// Package file is a shared tier in a directory, for the processes of one machine. The items
// stay when the processes end, so that a program starts with a warm cache.
//
//	stores, err := runtime.OpenStore("main", runtime.L2(file.New("/var/cache/app", file.Options{})))
//
// Each key is a file, in one of 256 directories, which are called shards. The name of the file
// has a hash and the beginning of the key. The file holds the whole key, which is compared,
// and the value.
//
// A new value is written to a temporary file, which is synced to the disk and then renamed. So
// a reader sees the old value or the new one, and a process that is killed loses only the
// write that was running. A file has checksums. If they do not fit, the file is damaged: its
// key is absent, and [Driver.Prune] removes the file.
//
// # Concurrency
//
// A [Driver] may be used by many goroutines at once, and a directory by many processes. Each
// shard has a lock, under which its files are changed and synced. Reads take no lock. The lock
// of a shard is a channel for the goroutines of the process, and flock(2) on a file of the
// shard for other processes. A mutex guards the count of the space that is used; it is not
// held during a file operation.
//
// # Limits
//
// On systems without flock (Windows, Solaris, AIX) only one process at a time may use a
// directory. The directory has to be on a local file system: on a network file system, locks
// and renames are not reliable.
//
// A write waits for the disk, once for each file and once for each directory. This takes
// milliseconds, which is longer than a write to a tier on the network. With Options.NoSync no
// write waits.
//
// An expired item is absent at once, but its file takes space until [Driver.Prune] or
// Options.MaxSize removes it. The driver uses the clock of the machine. [Driver.Scan] and
// [Driver.DeletePrefix] list the names of all files, and open the files whose keys can have
// the prefix. Prune reads all files.
//
// A key may have 64 MB. A value may have 512 MB, and no more than Options.MaxSize. To read or
// write a value takes twice its size in memory.
//
// # Other users
//
// The files can be read by the user of the process only. A directory is refused if it belongs
// to another user, other than root, or if others may write to it, unless Options.AllowOthers
// is set. What is no ordinary file, such as a link or a pipe, is not opened, and counts as a
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

// Options are the options of [New]. The zero value is right for most programs.
type Options struct {
	// MaxSize is how much space on the disk all items may take: an integer followed by b, kb,
	// mb, gb or tb, such as "10gb". Empty is no bound. An item that is larger than MaxSize is
	// refused.
	//
	// When the space is used up, the items that expire soonest are removed first, and then, of
	// the items that do not expire, the oldest. Each process removes items in the background,
	// after its own writes. It counts what other processes have written only now and then. So
	// more than MaxSize can be used for a moment: by each other process, a sixteenth of
	// MaxSize at most.
	MaxSize string
	// NoSync lets the operating system decide when a write reaches the disk. It makes no
	// difference as long as the machine runs, also if the process is killed. After a power
	// failure, an item may be as it was before a write or a delete.
	NoSync bool
	// AllowOthers uses the directory although it belongs to another user, or although others
	// may write to it. They can then read all values, and make this process serve any value.
	// Without AllowOthers such a directory is an error. What is no ordinary file, such as a
	// link, is not used in either case.
	AllowOthers bool
}

// A Driver is a shared tier in a directory. It has the capabilities [drivers.Adder],
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

// New returns a shared tier in the directory dir. New does not look at the directory. The
// first write creates it if there is none.
//
// If dir is empty, or an option is wrong, the driver cannot be used: every operation fails,
// [Driver.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it as
// their error.
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

// Err returns why the driver cannot be used, or nil. See [drivers.Checker].
func (d *Driver) Err() error {
	if d.err == nil && d.busy == nil {
		return errors.New("file: zero Driver: make it with file.New")
	}
	return d.err
}

// Close ends the work in the background, and waits for its end. Calls that are running go on;
// later calls fail with [drivers.ErrClosed]. The files stay. See [drivers.L2].
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
