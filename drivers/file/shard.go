package file

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"
)

const (
	shards = 256

	lockName   = "lock"
	tempName   = "new" // and, behind it, a hyphen and a random number
	tempDigits = 16

	minLockWait = 50 * time.Microsecond
	maxLockWait = 5 * time.Millisecond
)

func shardName(i int) string { return hex.EncodeToString([]byte{byte(i)}) }

// file returns the name of a place's file in the directory of the driver.
func (p place) file(ending string) string {
	return filepath.Join(shardName(p.shard), p.name+ending)
}

// A shard is a directory whose lock the caller holds. Files in it are changed only under
// the lock.
type shard struct {
	d       *Driver
	in      *directory
	name    string
	changed bool // files were renamed or removed since the directory was synced
}

// locked runs f under the lock of shard i of x. If the shard's directory does not exist, locked
// creates it, or, if create is false, does nothing.
func (d *Driver) locked(ctx context.Context, x *directory, i int, create bool, f func(*shard) error) (err error) {
	select {
	case d.gates[i] <- struct{}{}:
		defer func() { <-d.gates[i] }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s := &shard{d: d, in: x, name: shardName(i)}
	unlock, err := s.lock(ctx, create)
	if err != nil || unlock == nil {
		return err
	}
	defer unlock()
	err = f(s)
	// Before the unlock, because the next holder may rely on the removal of a file.
	if s.changed && !d.noSync {
		err = errors.Join(err, x.sync(s.name))
	}
	return err
}

// lock takes the lock of the shard. unlock is nil if create is false and the shard's directory
// does not exist.
func (s *shard) lock(ctx context.Context, create bool) (unlock func(), err error) {
	name := filepath.Join(s.name, lockName)
	f, err := s.in.file(name, true)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, nil
		}
		if err = s.make(); err == nil {
			f, err = s.in.file(name, true)
		}
	}
	if errors.Is(err, errDamaged) {
		err = &fs.PathError{Op: "lock", Path: filepath.Join(s.in.path, name), Err: errors.New("it is no ordinary file of this user")}
	}
	if err != nil {
		return nil, err
	}
	for wait := minLockWait; ; wait = min(2*wait, maxLockWait) {
		release, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
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
	err := s.in.root.Mkdir(s.name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		err = nil // another process was first
	}
	if err != nil || s.d.noSync {
		return err
	}
	return s.in.sync(".")
}

// write stores value under key. It ends the lease of the key just before.
func (s *shard) write(p place, key string, value []byte, ends int64) error {
	data := image(key, value, ends)
	if err := s.writeFile(p.file(entryName), data, !s.d.noSync, func() error { return s.remove(p.file(leaseName)) }); err != nil {
		return err
	}
	s.d.grow(int64(len(data)))
	return nil
}

// writeFile replaces a file by a rename. It calls before, if not nil, just before the
// rename.
func (s *shard) writeFile(name string, data []byte, sync bool, before func() error) error {
	// A new name each time: nobody can prepare a link for it, and a file that a killed process
	// has left is in nobody's way.
	temp := filepath.Join(s.name, fmt.Sprintf("%s-%0*x", tempName, tempDigits, rand.Uint64()))
	f, err := s.in.create(temp)
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
		err = s.in.root.Rename(temp, name)
	}
	if err != nil {
		s.in.root.Remove(temp)
		return err
	}
	s.changed = true
	return nil
}

// isTemp reports whether a file is a temporary one, of this version or of one that had a
// single name for it.
func isTemp(name string) bool {
	return name == tempName || strings.HasPrefix(name, tempName+"-") && len(name) == len(tempName)+1+tempDigits
}

// remove removes a file. An absent file is no error.
func (s *shard) remove(name string) error {
	err := s.in.root.Remove(name)
	if err == nil {
		s.changed = true
	}
	return absent(err)
}

// delete removes a key and its lease.
func (s *shard) delete(p place) error {
	return errors.Join(s.remove(p.file(leaseName)), s.remove(p.file(entryName)))
}
