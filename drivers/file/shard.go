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

// A shard is a directory whose lock the caller holds. Only who holds it changes
// anything there.
type shard struct {
	d       *Driver
	path    string
	changed bool // and not yet certain to be on the disk
}

func (s *shard) entry(p place) string { return filepath.Join(s.path, p.name+entryName) }
func (s *shard) lease(p place) string { return filepath.Join(s.path, p.name+leaseName) }

// locked runs f with the lock of a shard. If the shard is not there it makes it, or, if
// create is false, does nothing.
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
	// Before the lock is given back: who finds a file gone may rely on that.
	if s.changed && !d.noSync {
		err = errors.Join(err, syncDir(s.path))
	}
	return err
}

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

// write puts value in the place of key. Whatever was lent of the key ends just before.
func (s *shard) write(p place, key string, value []byte, ends int64) error {
	data := image(key, value, ends)
	if err := s.writeFile(s.entry(p), data, !s.d.noSync, func() error { return s.remove(s.lease(p)) }); err != nil {
		return err
	}
	s.d.grow(int64(len(data)))
	return nil
}

// writeFile replaces a file as a whole. before is called when nothing but the renaming
// is left.
func (s *shard) writeFile(path string, data []byte, sync bool, before func() error) error {
	temp := filepath.Join(s.path, tempName)
	// There may be one of a process that was killed.
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

// remove removes a file. It is no error if there is none.
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

// syncDir makes what was renamed and removed in a directory certain.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return syncFile(f)
}
