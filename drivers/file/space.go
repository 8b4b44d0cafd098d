package file

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

const (
	// block is what files are rounded up to on most file systems.
	block = 4 << 10
	// recount is the part of the limit after which this process looks what the others
	// have written, and which it leaves free when it has made room.
	recount = 16
)

func onDisk(size int64) int64 { return (size + block - 1) / block * block }

// A space sees to it that the directory does not outgrow the limit.
type space struct {
	mu       sync.Mutex // guards all below
	counted  bool
	used     int64 // at the last count, and what this process has written since
	since    int64 // what it has written since
	counting bool

	stopping context.Context
	stop     func()
	work     sync.WaitGroup
}

// grow is told of a file that has been written.
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

// end stops what is done in the background.
func (s *space) end() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.work.Wait()
}

// makeRoom counts what is there and removes what is too much.
func (d *Driver) makeRoom() {
	s := &d.space
	for {
		s.mu.Lock()
		before := s.since
		s.mu.Unlock()
		used, err := d.shrink(s.stopping)
		s.mu.Lock()
		s.since -= before
		s.counted = true
		// What was written meanwhile may have been counted; then it counts twice until
		// the next time.
		s.used = used + s.since
		s.counting = err == nil && s.used > d.limit
		again := s.counting
		s.mu.Unlock()
		if !again {
			return // after an error, until the next write
		}
	}
}

// A victim is a file that could be removed.
type victim struct {
	shard   int
	name    string
	ends    int64
	written int64
	size    int64
}

// shrink returns the space that items take after it has removed as many as needed.
func (d *Driver) shrink(ctx context.Context) (used int64, err error) {
	var all []victim
	for i := range shards {
		if err := ctx.Err(); err != nil {
			return used, err
		}
		dir := d.shardPath(i)
		err := list(dir, entryName, "", func(path string, h header, damaged error) error {
			info, err := os.Stat(path)
			if err != nil {
				return absent(err)
			}
			v := victim{i, filepath.Base(path), h.ends, info.ModTime().UnixNano(), onDisk(info.Size())}
			all = append(all, v) // what is damaged has ended in 1970
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
		err := d.locked(ctx, i, false, func(s *shard) error {
			for _, v := range victims {
				if err := s.remove(filepath.Join(s.path, v.name)); err != nil {
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
