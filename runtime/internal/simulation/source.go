package simulation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/simulation/history"
)

// errNoRow is the source's answer that there is no such row.
var errNoRow = errors.New("no such row")

// A noRowError is errNoRow, and tells by its number which load has found nothing.
type noRowError int64

func (load noRowError) Error() string     { return fmt.Sprint("load ", int64(load), " found no row") }
func (load noRowError) Is(err error) bool { return err == errNoRow }

// A loadError is the failure of the load of that number.
type loadError int64

func (load loadError) Error() string { return fmt.Sprint("load ", int64(load), " failed") }

// load asks the source for rows, as the loader of a caller of c. It returns those that
// there are. Each row is a version of its own, and the failure that of the first.
func (n *node) load(ctx context.Context, caller history.Moment, c call, rows []int) (map[int]tableRow, error) {
	var loaded []*history.Version
	for _, row := range rows {
		v := history.Version{Row: row, Process: n.id, Caller: caller, TTL: c.ttl, Grace: c.grace, Forced: c.forced}
		if len(loaded) > 0 {
			v.Batch = loaded[0].Batch
		}
		loaded = append(loaded, n.BeginVersion(v))
	}
	err := c.loader.wait(ctx)
	switch number := loaded[0].Number(); {
	case err != nil:
	case c.loader.fails || c.loader.panics:
		err = loadError(number)
	case c.loader.findsNothing: // of the first row
		err = noRowError(number)
	}
	found := make(map[int]tableRow)
	for i, v := range loaded {
		switch nothing := errors.Is(err, errNoRow); {
		case nothing && i == 0:
			n.LoadFoundNothing(v, c.notFoundTTL)
		case err != nil && !nothing:
			n.LoadFailed(v, c.errorTTL)
		default:
			found[v.Row] = n.rowOf(v)
		}
	}
	for _, v := range loaded {
		n.EndVersion(v)
	}
	if c.loader.panics && !errors.Is(err, errNoRow) {
		panic(err)
	}
	return found, err
}

// wait takes the loader's delay, or returns early with the error of its context.
func (l loader) wait(ctx context.Context) error {
	timer := time.NewTimer(l.delay)
	defer timer.Stop()
	done := ctx.Done()
	if l.ignoresContext {
		done = nil
	}
	select {
	case <-timer.C:
		return nil
	case <-done:
		return ctx.Err()
	}
}
