package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// farAway is a connection to a tier that is so many milliseconds away each way, and what was asked
// of it, in groups that were under way at the same time.
type farAway struct {
	faketier.Conn
	mu     sync.Mutex
	groups [][]string
	began  time.Time // the last group
}

func (f *farAway) note(op string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now != f.began || len(f.groups) == 0 {
		f.groups, f.began = append(f.groups, nil), now
	}
	last := &f.groups[len(f.groups)-1]
	*last = append(*last, op)
}

func newFarAway(tier *faketier.Shared, way time.Duration) *farAway {
	f := &farAway{Conn: faketier.Conn{Tier: tier}}
	travel := func(ctx context.Context) error {
		select {
		case <-time.After(way):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.SetBefore(func(ctx context.Context, op string, keys []string) error {
		if op != "renew" && op != "release" { // beside the read
			f.note(op)
		}
		return travel(ctx)
	})
	f.SetAfter(func(ctx context.Context, _ string, _ []string) error { return travel(ctx) })
	return f
}

// trips returns how many operations were made one after the other since it was called last.
func (f *farAway) trips() (n int, asked string) {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, g := range f.groups {
		all = append(all, strings.Join(g, "+"))
	}
	n, f.groups = len(f.groups), nil
	return n, strings.Join(all, ", ")
}

// farAwayReads are caches whose entries have tags of all sorts.
var farAwayReads = map[string]definition[int, int64]{
	"plain":  {Name: "rows"},
	"tagged": {Name: "rows", Tags: func(k int) []runtime.Tag { return []runtime.Tag{runtime.Tag(fmt.Sprint("key:", k))} }},
	"result-tagged": {Name: "rows", ResultTags: func(v int64) []runtime.Tag {
		return []runtime.Tag{runtime.Tag(fmt.Sprint("row:", v))}
	}},
}

// What a read does in the shared tier before its loader has one L2Timeout, and what it does after
// it another, however much of that there is, and although nothing fails.
func TestTheTimeOfAReadInTheSharedTierIsBounded(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	for name, d := range farAwayReads {
		for _, way := range []time.Duration{50, 120, 200, 240, 260, 400, 490, 600} {
			t.Run(fmt.Sprintf("%s/%dms", name, way), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					way := way * time.Millisecond
					var tier faketier.Shared
					process := func() *runtime.Cache[int, int64] {
						conn := newFarAway(&tier, way)
						return openIn(t, d, runtime.L2(&conn.Conn), memoryTier(), runtime.TTL(time.Hour), runtime.L2CircuitBreakerDuration(0))
					}
					read := func(what string, c *runtime.Cache[int, int64], key int, loads bool, most time.Duration) {
						t.Helper()
						began, loaded := time.Now(), false
						v, err := c.GetOrSet(t.Context(), key, func(context.Context) (int64, error) {
							loaded = true
							time.Sleep(3 * time.Second)
							most += 3 * time.Second
							return int64(key), nil
						})
						want(t, v, err, int64(key))
						if took := time.Since(began); took > most {
							t.Errorf("%s: after %v, want at most %v", what, took, most)
						}
						if loaded && !loads && way < 120*time.Millisecond {
							t.Errorf("%s: loaded", what)
						}
					}
					const limit = time.Second // L2Timeout
					here := process()
					read("the first of the process", here, 1, true, 2*limit)
					read("cold", here, 2, true, 2*limit)
					time.Sleep(20 * time.Second)
					read("with stamps that were read long ago", here, 3, true, 2*limit)
					there := process()
					read("stored by another process", there, 3, false, 2*limit)
					read("in memory", there, 3, false, 2*limit)
					time.Sleep(20 * time.Second)
					read("in memory, with stamps that were read long ago", there, 3, false, 2*limit)
					if 2*way < limit*3/4 { // or the deletion does not get through
						if err := here.Store().DeleteByTag(t.Context(), "key:2", "row:2"); err != nil && way < 120*time.Millisecond {
							t.Error(err)
						}
					}
					read("invalidated", there, 2, true, 2*limit)
				})
			})
		}
	}
}

// A cold read takes as few trips as its parts need one after the other: the read, the lease with
// all that has to be made, and the fill.
func TestAColdReadTakesFewTrips(t *testing.T) {
	for name, trips := range map[string][4]int{ // of the first read, of a cold one, of a hit in the tier, and of another one
		"plain":         {3, 3, 1, 1},
		"tagged":        {3, 3, 1, 1},
		"result-tagged": {5, 5, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var tier faketier.Shared
				process := func() (*farAway, *runtime.Cache[int, int64]) {
					conn := newFarAway(&tier, 10*time.Millisecond)
					return conn, openIn(t, farAwayReads[name], runtime.L2(&conn.Conn), runtime.TTL(time.Hour))
				}
				conn, c := process()
				read := func(key int) {
					t.Helper()
					v, err := c.GetOrSet(t.Context(), key, func(context.Context) (int64, error) { return int64(key), nil })
					want(t, v, err, int64(key))
				}
				for i, what := range []string{"the first", "a cold one", "a hit", "another hit"} {
					switch i {
					case 0, 1:
						read(i)
					case 2:
						conn, c = process()
						read(0)
					case 3:
						read(0)
					}
					if n, asked := conn.trips(); n != trips[i] {
						t.Errorf("%s: %d trips, want %d: %s", what, n, trips[i], asked)
					}
				}
			})
		})
	}
}

// A tier that hangs is asked once before the loader and once after it, and the caller gets the value.
func TestATierThatHangsCostsAReadTwoTimeouts(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	for name, d := range farAwayReads {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var tier faketier.Shared
				conn := &faketier.Conn{Tier: &tier}
				c := openIn(t, d, runtime.L2(conn), memoryTier(), runtime.L2CircuitBreakerDuration(0))
				for hangs := range []string{"get", "add", "lease", "fill", "set"} {
					op := []string{"get", "add", "lease", "fill", "set"}[hangs]
					synctest.Wait()
					conn.SetBefore(func(ctx context.Context, o string, _ []string) error {
						if o == op {
							<-ctx.Done()
							return errors.Join(ctx.Err())
						}
						return nil
					})
					began := time.Now()
					v, err := c.GetOrSet(t.Context(), 10+hangs, func(context.Context) (int64, error) { return 1, nil })
					want(t, v, err, 1)
					if took := time.Since(began); took > 2*time.Second {
						t.Errorf("%s hangs: after %v", op, took)
					}
					time.Sleep(10 * time.Second)
				}
			})
		})
	}
}
