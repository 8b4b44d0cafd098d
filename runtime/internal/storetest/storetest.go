// Package storetest makes stores for the tests of the rooms: wired as in a program, over a
// fake shared tier and bus, with all that the store tells its hooks and its log recorded.
//
// The record has its own mutex, which is held for a few instructions: any goroutine of the
// store may add to it.
package storetest

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/load"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/store"
)

// A Store is a store of a test.
type Store struct {
	*store.Store
	Record
}

// L1 returns a memory tier.
func L1() drivers.L1 { return memory.New(memory.Options{MaxSize: "10mb"}) }

// New makes a store that is closed with the test. What c leaves out is as in a program,
// but for the store's name, test, and a second of L2Timeout, StampTrust and BreakFor each.
func New(t testing.TB, c store.Config) *Store {
	t.Helper()
	s := &Store{}
	c.Name = cmp.Or(c.Name, "test")
	c.MaxLoadTime = cmp.Or(c.MaxLoadTime, 5*time.Minute)
	c.L2Timeout = cmp.Or(c.L2Timeout, time.Second)
	c.StampTrust = cmp.Or(c.StampTrust, time.Second)
	c.BreakFor = cmp.Or(c.BreakFor, time.Second)
	c.Background = cmp.Or(c.Background, 256)
	c.Logger = slog.New(&s.Record)
	c.Hooks = event.Join(s.hooks(), c.Hooks)
	c.Errors = store.Errors{
		L2: func(_, op string, err error) error { return fmt.Errorf("shared tier: %s: %w", op, err) },
		Invalidation: func(function, _, op string, targets []string, err error) error {
			return &Invalidation{function, op, targets, err}
		},
		Panic: func(value any, _ []byte) error { return &Panic{value} },
	}
	var err error
	if s.Store, err = store.New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// An Invalidation is the error of an invalidation that has not reached everyone.
type Invalidation struct {
	Function string
	Op       string
	Targets  []string
	Err      error
}

// Error says which.
func (e *Invalidation) Error() string {
	return fmt.Sprintf("%s %s: %v", e.Op, strings.Join(e.Targets, ", "), e.Err)
}

// Unwrap returns the cause.
func (e *Invalidation) Unwrap() error { return e.Err }

// A Panic is the error of a panic.
type Panic struct{ Value any }

// Error says what the panic said.
func (e *Panic) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Kind returns what is known of the entries of a cache of strings. The name may be empty.
func (s *Store) Kind(cache string) *entry.Kind {
	k := &entry.Kind{
		Cache: cache, Prefix: s.Prefix, Fingerprint: 7,
		Encode: func(v any) ([]byte, error) { return []byte(v.(string)), nil },
		Decode: func(b []byte) (any, error) { return string(b), nil },
		Size: func(v any) int {
			text, _ := v.(string)
			return len(text)
		},
		Stamps: s.Stamps, Random: s.Random, Remote: s.Remote.Exists(),
	}
	for _, name := range (entry.Cache{Name: cache}).RequiredStamps() {
		k.Required = append(k.Required, s.Stamps.Cell(name))
	}
	return k
}

// Query returns the query of a full key.
func (s *Store) Query(key string, tags ...string) load.Query {
	return load.Query{Key: key, Hash: s.Memory.Hash(key), Tags: tags}
}

// Item returns an item of kind, loaded now under the present stamps.
func (s *Store) Item(kind *entry.Kind, key, value string, p policy.Policy, tags ...string) *entry.Item {
	cells := kind.Cells(tags)
	s.Remote.Provide(cells)
	return kind.New(key, value, entry.Present, &p, time.Now().UnixNano(), entry.Refs(cells))
}

// GetOrSet looks up one key, and loads it with the loader of rq.
func (s *Store) GetOrSet(ctx context.Context, rq load.Request, key string, tags ...string) (*entry.Item, error) {
	return s.Lookups.GetOrSet(ctx, &rq, s.Query(key, tags...))
}

// Returns is a loader that finds value for each key.
func Returns(value string) load.Func {
	return func(_ context.Context, keys []*load.Key) error {
		for _, k := range keys {
			k.SetValue(value)
		}
		return nil
	}
}

// Fails is a loader that fails with err.
func Fails(err error) load.Func {
	return func(context.Context, []*load.Key) error { return err }
}
