package drivertest_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A Store is a driver on a map. Its methods return the errors of one function, so that each
// error names the store and the operation.
type Store struct {
	mu     sync.Mutex
	items  map[string]item
	closed bool
}

type item struct {
	value []byte
	until time.Time // zero: forever
}

func (s *Store) do(ctx context.Context, operation string, f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := ctx.Err()
	if s.closed {
		err = drivers.ErrClosed
	}
	if err == nil {
		err = f()
	}
	if err != nil {
		return fmt.Errorf("mystore: %s: %w", operation, err)
	}
	return nil
}

func (s *Store) GetMany(ctx context.Context, keys []string) (values [][]byte, err error) {
	err = s.do(ctx, "get", func() error {
		for _, key := range keys {
			it, ok := s.items[key]
			if ok = ok && (it.until.IsZero() || time.Now().Before(it.until)); ok {
				values = append(values, append([]byte{}, it.value...)) // empty, not nil
			} else {
				values = append(values, nil)
			}
		}
		return nil
	})
	return values, err
}

func (s *Store) SetMany(ctx context.Context, items []drivers.Item) error {
	return s.do(ctx, "set", func() error {
		for _, it := range items { // all items are checked before any is stored
			if it.TTL < 0 {
				return fmt.Errorf("%w: the ttl is %s, must not be negative", drivers.ErrRefused, it.TTL)
			}
		}
		for _, it := range items {
			var until time.Time
			if it.TTL > 0 {
				until = time.Now().Add(it.TTL)
			}
			s.items[it.Key] = item{bytes.Clone(it.Value), until}
		}
		return nil
	})
}

func (s *Store) DeleteMany(ctx context.Context, keys []string) error {
	return s.do(ctx, "delete", func() error {
		for _, key := range keys {
			delete(s.items, key)
		}
		return nil
	})
}

func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// A driver from the ground up, with what it has to do for each promise of package drivers.
// Its test is the same call as in the first example.
func Example_store() {
	ctx := context.Background()
	store := &Store{items: make(map[string]item)}
	defer store.Close()
	if err := store.SetMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte("Ada"), TTL: time.Hour}}); err != nil {
		fmt.Println(err)
	}
	values, err := store.GetMany(ctx, []string{"user:1", "user:2"})
	fmt.Printf("%q %v %v\n", values[0], values[1] == nil, err)
	fmt.Println(store.SetMany(ctx, []drivers.Item{{Key: "user:1", TTL: -1}}))
	// Output:
	// "Ada" true <nil>
	// mystore: set: cachegen: refused: the ttl is -1ns, must not be negative
}
