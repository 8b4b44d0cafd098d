package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// scanBatch is how many keys Scan names at a time.
const scanBatch = 1000

// names returns what files a directory has, in no order.
func names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, absent(err)
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// canHave reports whether a file called name is an item whose key can begin with prefix.
func canHave(name, ending, prefix string) bool {
	head, ok := parseName(name, ending)
	return ok && canBegin(head, prefix)
}

// list calls f with each file of a shard that is an item, ending tells of which kind,
// and whose key can begin with prefix. What disappears meanwhile is left out; err is
// [errDamaged] or nil.
func list(dir, ending, prefix string, f func(path string, h header, err error) error) error {
	files, err := names(dir)
	if err != nil {
		return err
	}
	for _, name := range files {
		if !canHave(name, ending, prefix) {
			continue
		}
		path := filepath.Join(dir, name)
		var h header
		r, err := read(path)
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

// Scan implements [drivers.Scanner].
func (d *Driver) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	for i := range shards {
		var keys []string
		err := d.execute(ctx, "scan", 0, func() error {
			t := now()
			return list(d.shardPath(i), entryName, prefix, func(_ string, h header, damaged error) error {
				if damaged == nil && h.live(t) && strings.HasPrefix(h.key, prefix) {
					keys = append(keys, h.key)
				}
				return ctx.Err()
			})
		})
		if err != nil {
			return err // keys may still be written to
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

// eachShard runs f for each shard, and returns the sum of what f returns, also when it
// fails.
func (d *Driver) eachShard(ctx context.Context, operation string, f func(i int) (int64, error)) (int64, error) {
	var total int64
	for i := range shards {
		var n int64
		err := d.execute(ctx, operation, 0, func() (err error) {
			n, err = f(i)
			return err
		})
		if err != nil {
			return total, err // n may still be written to
		}
		total += n
	}
	return total, nil
}

// DeletePrefix implements [drivers.PrefixDeleter].
func (d *Driver) DeletePrefix(ctx context.Context, prefix string) (int64, error) {
	return d.eachShard(ctx, "delete a prefix", func(i int) (n int64, err error) {
		// Most shards have nothing of a prefix.
		files, err := names(d.shardPath(i))
		if err != nil || !slices.ContainsFunc(files, func(name string) bool {
			return canHave(name, entryName, prefix) || canHave(name, leaseName, prefix)
		}) {
			return 0, err
		}
		err = d.locked(ctx, i, false, func(s *shard) error {
			n, err = s.deletePrefix(ctx, prefix)
			return err
		})
		return n, err
	})
}

func (s *shard) deletePrefix(ctx context.Context, prefix string) (n int64, err error) {
	t := now()
	for _, ending := range []string{leaseName, entryName} { // leases first, as everywhere
		err := list(s.path, ending, prefix, func(path string, h header, damaged error) error {
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

// Prune implements [drivers.Pruner]. It reads every file, and removes those that are
// damaged and what processes left behind that were killed, too; these do not count.
func (d *Driver) Prune(ctx context.Context) (int64, error) {
	return d.eachShard(ctx, "prune", func(i int) (int64, error) { return d.pruneShard(ctx, i) })
}

// pruneShard looks first and takes the lock for what it removes alone.
func (d *Driver) pruneShard(ctx context.Context, i int) (n int64, err error) {
	t := now()
	files, err := names(d.shardPath(i))
	if err != nil {
		return 0, err
	}
	var spent []string
	for _, name := range files {
		path := filepath.Join(d.shardPath(i), name)
		if canHave(name, entryName, "") || canHave(name, leaseName, "") {
			switch state, err := inspect(path, t); {
			case err != nil || ctx.Err() != nil:
				return 0, errors.Join(err, ctx.Err())
			case state == ended || state == damaged:
				spent = append(spent, path)
			}
		}
	}
	if len(spent) == 0 && !slices.Contains(files, tempName) {
		return 0, nil
	}
	err = d.locked(ctx, i, false, func(s *shard) error {
		// Whoever has the lock has none under way.
		if err := s.remove(filepath.Join(s.path, tempName)); err != nil {
			return err
		}
		for _, path := range spent {
			state, err := inspect(path, t)
			switch {
			case err != nil:
				return err
			case state == whole:
				continue // it is another by now
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

// A state is what a file is worth.
type state int

const (
	whole state = iota
	ended
	damaged
	gone
)

func inspect(path string, now int64) (state, error) {
	r, err := read(path)
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
