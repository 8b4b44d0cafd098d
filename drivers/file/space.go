package file

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"sync"
)

const (
	// block is the unit in which most file systems allocate disk space for a file.
	block = 4 << 10
	// recount divides the limit: after writing this part of the limit, the process counts
	// the used space again, for the writes of other processes; and it removes items until
	// this part is free.
	recount = 16
)

func onDisk(size int64) int64 { return (size + block - 1) / block * block }

// A space counts the disk space that items use, and keeps it below the limit.
type space struct {
	mu       sync.Mutex // guards the fields up to counting, and orders work.Go before end's Wait
	counted  bool       // used is known
	used     int64      // bytes at the last count, plus since
	since    int64      // bytes that this process has written since the last count
	counting bool       // makeRoom runs

	stopping context.Context
	stop     func()
	work     sync.WaitGroup
}

// grow adds the size of a file that was written, and starts makeRoom if necessary.
func (d *Driver) grow(size int64) {
	if d.limit == 0 {
		return
	}
	s := &d.space
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used += onDisk(size)
	s.since += onDisk(size)
	if s.counting || s.stopping.Err() != nil || s.counted && s.used <= d.limit && s.since <= d.limit/recount {
		return
	}
	s.counting = true
	s.work.Go(d.makeRoom)
}

// end stops makeRoom and waits for it.
func (s *space) end() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.work.Wait()
}

// makeRoom counts the used space and removes items until it is below the limit.
func (d *Driver) makeRoom() {
	s := &d.space
	for {
		s.mu.Lock()
		before := s.since
		s.mu.Unlock()
		var used int64
		err := d.inDirectory(func(x *directory) (err error) {
			used, err = d.shrink(s.stopping, x)
			return err
		})
		s.mu.Lock()
		s.since -= before
		s.counted = true
		// Files written during the count may have been counted. They count twice until the
		// next count.
		s.used = used + s.since
		s.counting = err == nil && s.used > d.limit
		again := s.counting
		s.mu.Unlock()
		if !again {
			return // after an error the next write tries again
		}
	}
}

// A victim is a file that can be removed to make room.
type victim struct {
	shard   int
	name    string
	ends    int64
	written int64
	size    int64
}

// shrink removes items if more than the limit is used, and returns the space used then.
func (d *Driver) shrink(ctx context.Context, x *directory) (used int64, err error) {
	var all []victim
	for i := range shards {
		if err := ctx.Err(); err != nil {
			return used, err
		}
		err := list(x, shardName(i), entryName, "", func(path string, h header, damaged error) error {
			info, err := x.root.Lstat(path)
			if err != nil {
				return absent(err)
			}
			v := victim{i, filepath.Base(path), h.ends, info.ModTime().UnixNano(), onDisk(info.Size())}
			all = append(all, v) // a damaged file has no end, which counts as 1970
			used += v.size
			return nil
		})
		if err != nil {
			return used, err
		}
	}
	if used <= d.limit {
		return used, nil
	}
	slices.SortFunc(all, func(a, b victim) int {
		return cmp.Or(cmp.Compare(a.ends, b.ends), cmp.Compare(a.written, b.written))
	})
	removals := make(map[int][]victim)
	for _, v := range all {
		if used <= d.limit-d.limit/recount {
			break
		}
		removals[v.shard] = append(removals[v.shard], v)
		used -= v.size
	}
	for i, victims := range removals {
		err := d.locked(ctx, x, i, false, func(s *shard) error {
			for _, v := range victims {
				if err := s.remove(filepath.Join(s.name, v.name)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return used, err
		}
	}
	return used, nil
}
