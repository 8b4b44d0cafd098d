package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A directory is that of a driver, opened for one operation. Names are relative to it, and
// lead nowhere else, whatever links there are. It is nothing while there is no such directory,
// which make changes.
//
// The directory may be one that somebody else has prepared: /tmp belongs to everybody. So it
// is used only if nobody else may write to it, and a file only if it is an ordinary one with
// one name. Otherwise a process of the administrator could be made to overwrite any file, to
// wait for ever, or to serve values of a stranger.
type directory struct {
	path   string
	others bool // see Options.AllowOthers
	root   *os.Root
}

// errForeign says that the directory is not this user's alone.
var errForeign = errors.New("other users can change the directory: give it to the user of this process, with the mode 0700, or set AllowOthers")

// openDirectory opens the directory if there is one.
func (d *Driver) openDirectory() (*directory, error) {
	x := &directory{path: d.dir, others: d.others}
	err := x.open()
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return x, err
}

func (x *directory) close() {
	if x.root != nil {
		x.root.Close()
	}
}

// make creates the directory if there is none.
func (x *directory) make() error {
	if x.root != nil {
		return nil
	}
	if err := os.MkdirAll(x.path, 0o700); err != nil {
		return err
	}
	return x.open()
}

func (x *directory) open() error {
	before, err := os.Lstat(x.path)
	if err != nil {
		return err
	}
	// With a separator behind it only a directory is opened: an open waits for the other end of
	// a pipe.
	root, err := os.OpenRoot(x.path + string(filepath.Separator))
	if err != nil {
		return err
	}
	if err := x.check(before, root); err != nil {
		root.Close()
		return err
	}
	x.root = root
	return nil
}

// check returns why the directory root must not be used. What was found under its path just
// before may be a link to it.
func (x *directory) check(before fs.FileInfo, root *os.Root) error {
	if x.others {
		return nil
	}
	after, err := root.Stat(".")
	if err != nil {
		return err
	}
	link := before.Mode()&fs.ModeSymlink != 0
	if !trusted(before) || !trusted(after) || writableByOthers(after) || !link && !os.SameFile(before, after) {
		return fmt.Errorf("%w (mode %s)", errForeign, after.Mode())
	}
	return nil
}

// file opens an ordinary file for reading, or to lock it, for which it may be created. A file
// of another kind is [errDamaged].
func (x *directory) file(name string, lock bool) (*os.File, error) {
	if x.root == nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(x.path, name), Err: fs.ErrNotExist}
	}
	before, err := x.root.Lstat(name)
	if err == nil && !x.ordinary(before) { // nothing else is opened: a device may do something then
		return nil, errDamaged
	}
	if err != nil && !(lock && errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	flag := os.O_RDONLY
	if lock {
		flag = os.O_RDWR | os.O_CREATE
	}
	f, err := x.root.OpenFile(name, flag|dontWait, 0o600)
	if err != nil {
		return nil, err
	}
	// It may be another one by now: a new value has replaced it.
	after, err := f.Stat()
	if err == nil && !x.ordinary(after) {
		err = errDamaged
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ordinary reports whether a file may be one of the driver's.
func (x *directory) ordinary(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && !severalNames(info) && (x.others || trusted(info))
}

// create creates a file. It fails if there is anything under its name, a link included.
func (x *directory) create(name string) (*os.File, error) {
	return x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// names returns the names of the files in a directory, in no order.
func (x *directory) names(dir string) ([]string, error) {
	if x.root == nil {
		return nil, nil
	}
	f, err := x.root.OpenFile(dir, os.O_RDONLY|dontWait, 0)
	if err != nil {
		return nil, absent(err)
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// sync syncs a directory, so that renames and removals of files in it are on the disk.
func (x *directory) sync(dir string) error {
	f, err := x.root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return syncFile(f)
}
