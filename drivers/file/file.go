// Package file is a shared tier in a directory, for processes on one machine. It
// outlives them: a program starts again with what it had.
//
//	store, err := runtime.NewStore("main", runtime.L2(file.New("/var/cache/app", file.Options{})))
//
// Each key is a file of its own, in one of 256 shards. Its name is a hash of the key;
// the key itself is inside and compared. A file is written beside its place, brought to
// the disk and renamed, so whoever reads sees the old value or the new one, and a
// process that is killed loses the write it was at and nothing else. Checksums
// tell a damaged file, which is absent until [Driver.Prune] removes it.
//
// # Limits
//
// Processes exclude each other with flock(2) on a file of the shard. Where there is
// none (Windows, Solaris, AIX), they do not: one process at a time may use the
// directory there. Use a local file system; on a network's, neither locks nor renames
// are certain.
//
// A write waits for the disk, once for each file and once for each directory, which is
// milliseconds where a network tier takes less: Options.NoSync does without. Reads take
// no lock.
//
// Items past their TTL are absent at once but take space until [Driver.Prune] or
// Options.MaxSize removes them. The time is the machine's clock. [Driver.Scan] and
// [Driver.DeletePrefix] go through the names of all files and open those whose keys begin
// right, [Driver.Prune] reads all files. Files can be read by the
// process's own user alone. A key can have 64 MB; a value what memory has room for
// twice, at most Options.MaxSize.
package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/bytesize"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

// Options of a [Driver]. The zero value is usable.
type Options struct {
	// MaxSize bounds the space that items take: an integer followed by b, kb, mb, gb
	// or tb, such as "10gb". When it is full, what ends soonest is removed first, and
	// of what has no end the oldest. Every process sees to it in the background, after
	// its own writes, so that the bound can be exceeded for a moment, and by what
	// the others have written since each last looked: a sixteenth of it at most for
	// each. A larger value is refused. Empty sets no bound.
	MaxSize string
	// NoSync leaves it to the system when what was written gets to the disk. Nothing
	// changes as long as the machine runs, whatever happens to the process. After a
	// power failure, an item can be what it was before a write or a delete.
	NoSync bool
}

// Driver implements [drivers.L2] and all that a shared tier may have besides:
// [drivers.Adder], [drivers.Swapper], [drivers.Leaser], [drivers.Scanner],
// [drivers.PrefixDeleter] and [drivers.Pruner].
type Driver struct {
	dir    string
	noSync bool
	limit  int64 // bytes; 0: none
	err    error

	busy   chan struct{}         // as full as operations are under way, those included whose caller has left
	gates  [shards]chan struct{} // full while somebody in this process is in the shard
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

// maxBusy bounds the threads that a disk which does not answer can hold.
const maxBusy = 64

// New returns a shared tier in the directory dir. It does not touch it; the first
// write makes it if it is not there.
func New(dir string, options Options) *Driver {
	d := &Driver{noSync: options.NoSync, busy: make(chan struct{}, maxBusy)}
	for i := range d.gates {
		d.gates[i] = make(chan struct{}, 1)
	}
	limit, err := bytesize.Parse("MaxSize", options.MaxSize)
	switch {
	case dir == "":
		d.err = errors.New("file: the directory has no name")
	case err != nil:
		d.err = fmt.Errorf("file: %w", err)
	default:
		// The program may change its working directory later.
		if d.dir, err = filepath.Abs(dir); err != nil {
			d.err = fmt.Errorf("file: directory %q: %w", dir, err)
		}
	}
	d.limit = int64(limit)
	d.space.stopping, d.space.stop = context.WithCancel(context.Background())
	d.closed.Store(d.err != nil)
	return d
}

// Err returns what makes the driver unusable, or nil.
func (d *Driver) Err() error { return d.err }

// Close waits for what the driver does in the background. Files stay. Calls under way
// end as they would; later ones fail with [drivers.ErrClosed].
func (d *Driver) Close() error {
	d.closed.Store(true)
	d.space.end()
	return nil
}

// execute runs f, which uses nothing that the caller may change after its context has
// ended: a disk can keep f waiting for longer.
func (d *Driver) execute(ctx context.Context, operation string, keys int, f func() error) error {
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
			return f()
		})
	}
	return d.failed(operation, keys, err)
}

// failed says what was being done to how many keys.
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
	return fmt.Errorf("file: %s in %q: %w", operation, d.dir, err)
}
