package file

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

const (
	shards = 256

	lockName = "lock"
	tempName = "new"

	minLockWait = 50 * time.Microsecond
	maxLockWait = 5 * time.Millisecond
)

func (d *Driver) shardPath(i int) string {
	return filepath.Join(d.dir, hex.EncodeToString([]byte{byte(i)}))
}

func (d *Driver) entryPath(p place) string {
	return filepath.Join(d.shardPath(p.shard), p.name+entryName)
}

// A shard is a directory whose lock the caller holds. Files in it are changed only under
// the lock.
type shard struct {
	d       *Driver
	path    string
	changed bool // files were renamed or removed since the directory was synced
}

func (s *shard) entry(p place) string { return filepath.Join(s.path, p.name+entryName) }
func (s *shard) lease(p place) string { return filepath.Join(s.path, p.name+leaseName) }

// locked runs f under the lock of shard i. If the shard's directory does not exist, locked
// creates it, or, if create is false, does nothing.
func (d *Driver) locked(ctx context.Context, i int, create bool, f func(*shard) error) (err error) {
	select {
	case d.gates[i] <- struct{}{}:
		defer func() { <-d.gates[i] }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s := &shard{d: d, path: d.shardPath(i)}
	unlock, err := s.lock(ctx, create)
	if err != nil || unlock == nil {
		return err
	}
	defer unlock()
	err = f(s)
	// Before the unlock, because the next holder may rely on the removal of a file.
	if s.changed && !d.noSync {
		err = errors.Join(err, syncDir(s.path))
	}
	return err
}

// lock takes the lock of the shard. unlock is nil if create is false and the shard's directory
// does not exist.
func (s *shard) lock(ctx context.Context, create bool) (unlock func(), err error) {
	path := filepath.Join(s.path, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, nil
		}
		if err = s.make(); err == nil {
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		}
	}
	if err != nil {
		return nil, err
	}
	for wait := minLockWait; ; wait = min(2*wait, maxLockWait) {
		release, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
		}
		if release != nil {
			return func() { release(); f.Close() }, nil
		}
		pause := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			f.Close()
			return nil, ctx.Err()
		}
	}
}

func (s *shard) make() error {
	if err := os.MkdirAll(s.path, 0o700); err != nil || s.d.noSync {
		return err
	}
	return syncDir(filepath.Dir(s.path))
}

// write stores value under key. It ends the lease of the key just before.
func (s *shard) write(p place, key string, value []byte, ends int64) error {
	data := image(key, value, ends)
	if err := s.writeFile(s.entry(p), data, !s.d.noSync, func() error { return s.remove(s.lease(p)) }); err != nil {
		return err
	}
	s.d.grow(int64(len(data)))
	return nil
}

// writeFile replaces a file by a rename. It calls before, if not nil, just before the
// rename.
func (s *shard) writeFile(path string, data []byte, sync bool, before func() error) error {
	temp := filepath.Join(s.path, tempName)
	// A process that was killed may have left a temporary file, which is overwritten.
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && sync {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil && before != nil {
		err = before()
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	s.changed = true
	return nil
}

// remove removes a file. An absent file is no error.
func (s *shard) remove(path string) error {
	err := os.Remove(path)
	if err == nil {
		s.changed = true
	}
	return absent(err)
}

// delete removes a key and its lease.
func (s *shard) delete(p place) error {
	return errors.Join(s.remove(s.lease(p)), s.remove(s.entry(p)))
}

// syncDir syncs a directory, so that renames and removals of files in it are on the disk.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return syncFile(f)
}
