package file

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// scanBatch is how many keys Scan lists in a call of f.
const scanBatch = 1000

// canHave reports whether a file with that name and ending can be of a key with prefix.
func canHave(name, ending, prefix string) bool {
	head, ok := parseName(name, ending)
	return ok && canBegin(head, prefix)
}

// list calls f with each file of a shard that has ending and whose key can have prefix. It
// leaves out files that are removed in the meantime. err is [errDamaged] or nil.
func list(x *directory, dir, ending, prefix string, f func(name string, h header, err error) error) error {
	files, err := x.names(dir)
	if err != nil {
		return err
	}
	for _, name := range files {
		if !canHave(name, ending, prefix) {
			continue
		}
		path := filepath.Join(dir, name)
		var h header
		r, err := read(x, path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil:
			h = r.header
			r.Close()
		case !errors.Is(err, errDamaged):
			return err
		}
		if err := f(path, h, err); err != nil {
			return err
		}
	}
	return nil
}

// Scan calls f with the keys that begin with prefix, some of them at a time. See
// [drivers.Scanner].
func (d *Driver) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	for i := range shards {
		var keys []string
		err := d.execute(ctx, "scan", 0, func(x *directory) error {
			t := now()
			return list(x, shardName(i), entryName, prefix, func(_ string, h header, damaged error) error {
				if damaged == nil && h.live(t) && strings.HasPrefix(h.key, prefix) {
					keys = append(keys, h.key)
				}
				return ctx.Err()
			})
		})
		if err != nil {
			return err // the operation may still run and write to keys
		}
		for page := range slices.Chunk(keys, scanBatch) {
			err := ctx.Err()
			if err == nil {
				err = f(page)
			}
			if err != nil {
				return d.failed("scan", 0, err)
			}
		}
	}
	return nil
}

// eachShard runs f for each shard, and returns the sum of its results. After an error of f
// it returns the sum so far.
func (d *Driver) eachShard(ctx context.Context, operation string, f func(x *directory, i int) (int64, error)) (int64, error) {
	var total int64
	for i := range shards {
		var n int64
		err := d.execute(ctx, operation, 0, func(x *directory) (err error) {
			n, err = f(x, i)
			return err
		})
		if err != nil {
			return total, err // the operation may still run and write to n
		}
		total += n
	}
	return total, nil
}

// DeletePrefix removes the keys that begin with prefix, and returns how many it has removed.
// See [drivers.PrefixDeleter].
func (d *Driver) DeletePrefix(ctx context.Context, prefix string) (int64, error) {
	return d.eachShard(ctx, "delete a prefix", func(x *directory, i int) (n int64, err error) {
		// Without the lock first, because most shards have no key with the prefix.
		files, err := x.names(shardName(i))
		if err != nil || !slices.ContainsFunc(files, func(name string) bool {
			return canHave(name, entryName, prefix) || canHave(name, leaseName, prefix)
		}) {
			return 0, err
		}
		err = d.locked(ctx, x, i, false, func(s *shard) error {
			n, err = s.deletePrefix(ctx, prefix)
			return err
		})
		return n, err
	})
}

func (s *shard) deletePrefix(ctx context.Context, prefix string) (n int64, err error) {
	t := now()
	for _, ending := range []string{leaseName, entryName} { // a lease is always removed before its entry
		err := list(s.in, s.name, ending, prefix, func(path string, h header, damaged error) error {
			if damaged != nil || !strings.HasPrefix(h.key, prefix) {
				return ctx.Err()
			}
			if ending == entryName && h.live(t) {
				n++
			}
			return s.remove(path)
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Prune removes the expired items, and returns how many it has removed. Prune reads every
// file. It also removes damaged files and the temporary files of killed processes, and does
// not count them. See [drivers.Pruner].
func (d *Driver) Prune(ctx context.Context) (int64, error) {
	return d.eachShard(ctx, "prune", func(x *directory, i int) (int64, error) { return d.pruneShard(ctx, x, i) })
}

// pruneShard reads the files without the lock, and takes the lock only to remove some.
func (d *Driver) pruneShard(ctx context.Context, x *directory, i int) (n int64, err error) {
	t := now()
	files, err := x.names(shardName(i))
	if err != nil {
		return 0, err
	}
	var spent, left []string
	for _, name := range files {
		path := filepath.Join(shardName(i), name)
		if isTemp(name) {
			left = append(left, path)
		}
		if canHave(name, entryName, "") || canHave(name, leaseName, "") {
			switch state, err := inspect(x, path, t); {
			case err != nil || ctx.Err() != nil:
				return 0, errors.Join(err, ctx.Err())
			case state == ended || state == damaged:
				spent = append(spent, path)
			}
		}
	}
	if len(spent)+len(left) == 0 {
		return 0, nil
	}
	err = d.locked(ctx, x, i, false, func(s *shard) error {
		// Under the lock no other process writes a temporary file.
		for _, path := range left {
			if err := s.remove(path); err != nil {
				return err
			}
		}
		for _, path := range spent {
			state, err := inspect(x, path, t)
			switch {
			case err != nil:
				return err
			case state == whole:
				continue // it was replaced in the meantime
			case state == ended && strings.HasSuffix(path, entryName):
				n++
			}
			if err := s.remove(path); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// A state is the state of a file.
type state int

const (
	whole state = iota
	ended
	damaged
	gone
)

// inspect reads a file and returns its state at a time.
func inspect(x *directory, name string, now int64) (state, error) {
	r, err := read(x, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gone, nil
	case errors.Is(err, errDamaged):
		return damaged, nil
	case err != nil:
		return whole, err
	}
	defer r.Close()
	if !r.live(now) {
		return ended, nil
	}
	if err := r.verify(); errors.Is(err, errDamaged) {
		return damaged, nil
	} else if err != nil {
		return whole, err
	}
	return whole, nil
}
