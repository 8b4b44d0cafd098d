package drivertest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
)

// A reference is a simple store with every capability. bug names one fault that it has.
type reference struct {
	mu     *sync.Mutex // shared, like data, by several handles
	data   *data
	closed bool
	bug    string
	limit  drivertest.Limits
	seen   map[string][]byte // used by a bug
}

type data struct {
	items  map[string]item
	leases map[string]lease
}

type lease struct {
	token   string
	until   time.Time
	awaited bool
}

func newReference(bug string) *reference {
	return &reference{mu: new(sync.Mutex), data: &data{make(map[string]item), make(map[string]lease)}, bug: bug}
}

func (r *reference) another() *reference {
	return &reference{mu: r.mu, data: r.data, bug: r.bug, limit: r.limit}
}

func (r *reference) do(ctx context.Context, verb string, f func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := ctx.Err()
	if r.closed && r.bug != "works after Close" {
		err = drivers.ErrClosed
	}
	if err == nil {
		err = f()
	}
	if err != nil && r.bug == "errors without a name" {
		return err
	}
	if err != nil {
		return fmt.Errorf("reference: %s: %w", verb, err)
	}
	return nil
}

// at returns the value of key, nil if it is absent or expired.
func (r *reference) at(key string) []byte {
	it, ok := r.data.items[r.name(key)]
	if !ok || !it.until.IsZero() && !time.Now().Before(it.until) {
		return nil
	}
	return append([]byte{}, it.value...)
}

func (r *reference) name(key string) string {
	switch r.bug {
	case "ignores case":
		return strings.ToLower(key)
	case "drops trailing spaces":
		return strings.TrimRight(key, " ")
	case "repairs UTF-8":
		return strings.ToValidUTF8(key, "\uFFFD")
	}
	return key
}

// changed ends the lease of a key, unless the bug is that the operation does not.
func (r *reference) changed(by, key string) {
	if r.bug != by+" keeps leases" {
		delete(r.data.leases, r.name(key))
	}
}

// refuse fails if an item is not to be stored.
func (r *reference) refuse(items []drivers.Item) error {
	for _, it := range items {
		if it.TTL < 0 && r.bug != "takes negative TTLs" {
			return fmt.Errorf("%w: the ttl is %s, must not be negative", drivers.ErrRefused, it.TTL)
		}
		if it.Key == "" && r.limit.NoEmptyKey {
			return fmt.Errorf("%w: an empty key", drivers.ErrRefused)
		}
		if most := r.limit.MaxKey; most > 0 && len(it.Key) > most {
			return fmt.Errorf("%w: a key of %d bytes", drivers.ErrRefused, len(it.Key))
		}
		if most := r.limit.MaxValue; most > 0 && len(it.Value) > most {
			return fmt.Errorf("%w: a value of %d bytes", drivers.ErrRefused, len(it.Value))
		}
	}
	return nil
}

func (r *reference) put(it drivers.Item) {
	var until time.Time
	if it.TTL > 0 {
		until = time.Now().Add(it.TTL)
	}
	value := bytes.Clone(it.Value)
	if r.bug == "keeps the caller's memory" {
		value = it.Value
	}
	r.data.items[r.name(it.Key)] = item{value, until}
}

func (r *reference) GetMany(ctx context.Context, keys []string) (values [][]byte, err error) {
	err = r.do(ctx, "get", func() error {
		for _, key := range keys {
			if r.bug == "shows others' writes late" && r.seen[key] != nil {
				values = append(values, r.seen[key])
				continue
			}
			values = append(values, r.at(key))
			r.seen = map[string][]byte{key: values[len(values)-1]}
		}
		if n := len(keys); n > 1 && keys[0] == keys[n-1] && r.bug == "hands out a value twice" {
			values[n-1] = values[0]
		}
		return nil
	})
	return values, err
}

func (r *reference) SetMany(ctx context.Context, items []drivers.Item) error {
	if r.bug == "writes in two steps" {
		for _, it := range items {
			it.Value = it.Value[:len(it.Value)/2]
			r.mu.Lock()
			r.put(it)
			r.mu.Unlock()
			time.Sleep(time.Millisecond) // so that another comes between
		}
	}
	return r.do(ctx, "set", func() error {
		for i, it := range items {
			if r.bug == "stores up to what it refuses" {
				if err := r.refuse(items[i : i+1]); err != nil {
					return err
				}
			} else if err := r.refuse(items); err != nil {
				return err
			}
			r.seen = nil
			r.put(it)
			if len(items) == 1 || r.bug != "a batch keeps leases" {
				r.changed("set", it.Key)
			}
		}
		return nil
	})
}

func (r *reference) DeleteMany(ctx context.Context, keys []string) error {
	return r.do(ctx, "delete", func() error {
		for _, key := range keys {
			delete(r.data.items, r.name(key))
			r.changed("delete", key)
			r.seen = nil
		}
		return nil
	})
}

func (r *reference) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

func (r *reference) AddMany(ctx context.Context, items []drivers.Item) (values [][]byte, err error) {
	err = r.do(ctx, "add", func() error {
		if err := r.refuse(items); err != nil {
			return err
		}
		for _, it := range items {
			if r.at(it.Key) == nil || r.bug == "adds over what is there" {
				r.put(it)
				r.changed("add", it.Key)
			}
			values = append(values, r.at(it.Key))
		}
		return nil
	})
	return values, err
}

func (r *reference) SwapMany(ctx context.Context, swaps []drivers.Swap) (done []bool, err error) {
	var seen [][]byte
	if r.bug == "compares and swaps in two steps" {
		keys := make([]string, len(swaps))
		for i, s := range swaps {
			keys[i] = s.Key
		}
		if seen, err = r.GetMany(ctx, keys); err != nil {
			return nil, fmt.Errorf("reference: swap: %w", err)
		}
		time.Sleep(time.Millisecond) // so that another comes between
	}
	unleased := make([]bool, len(swaps))
	if r.bug == "looks for a lease before it swaps" {
		r.mu.Lock()
		for i, s := range swaps {
			unleased[i] = r.held(s.Key).token == ""
		}
		r.mu.Unlock()
		time.Sleep(time.Millisecond) // so that another comes between
	}
	err = r.do(ctx, "swap", func() error {
		for _, s := range swaps {
			if err := r.refuse([]drivers.Item{{Key: s.Key, Value: s.New, TTL: s.TTL}}); err != nil {
				return err
			}
		}
		for i, s := range swaps {
			now := r.at(s.Key)
			if seen != nil {
				now = seen[i]
			}
			same := bytes.Equal(now, s.Old) && ((now == nil) == (s.Old == nil) || r.bug == "swaps empty for absent")
			if s.Unleased {
				same = same && (unleased[i] || r.unleased(s.Key))
			}
			done = append(done, same)
			if !same {
				continue
			}
			r.changed("swap", s.Key)
			if s.New == nil {
				delete(r.data.items, r.name(s.Key))
			} else {
				r.put(drivers.Item{Key: s.Key, Value: s.New, TTL: s.TTL})
			}
		}
		return nil
	})
	return done, err
}

func (r *reference) History(ctx context.Context) (text string, err error) {
	err = r.do(ctx, "history", func() error {
		switch r.bug {
		case "a history of each handle":
			text = fmt.Sprintf("%p", r)
		case "a new history each time":
			text = rand.Text()
		default:
			text = fmt.Sprintf("%p", r.data)
		}
		return nil
	})
	return text, err
}

func (r *reference) begins(key, prefix string) bool {
	if r.bug == "prefixes ignore case" {
		key, prefix = strings.ToLower(key), strings.ToLower(prefix)
	}
	if stem, wild := strings.CutSuffix(prefix, "*"); wild && r.bug == "prefixes are patterns" {
		prefix = stem
	}
	return strings.HasPrefix(key, prefix)
}

func (r *reference) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	var all []string
	err := r.do(ctx, "scan", func() error {
		for key := range r.data.items {
			if r.begins(key, prefix) && (r.at(key) != nil || r.bug == "scans what has ended") {
				all = append(all, key)
			}
		}
		return nil
	})
	for page := range slices.Chunk(all, 100) {
		if err == nil && ctx.Err() == nil {
			if err = f(page); err != nil && r.bug != "swallows a callback's error" {
				err = fmt.Errorf("reference: scan: %w", err)
			} else if err != nil {
				err = errors.New("reference: scan: failed")
			}
		}
	}
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("reference: scan: %w", ctx.Err())
	}
	return err
}

func (r *reference) DeletePrefix(ctx context.Context, prefix string) (n int64, err error) {
	err = r.do(ctx, "delete prefix", func() error {
		for key := range r.data.items {
			if r.begins(key, prefix) {
				delete(r.data.items, key)
				n++
			}
		}
		for key := range r.data.leases {
			if r.begins(key, prefix) {
				r.changed("prefix", key)
			}
		}
		return nil
	})
	return n, err
}

func (r *reference) Prune(ctx context.Context) (n int64, err error) {
	err = r.do(ctx, "prune", func() error {
		for key := range r.data.items {
			if r.at(key) == nil {
				delete(r.data.items, key)
				n++
				r.pruned(key)
			}
		}
		return nil
	})
	return n, err
}

func (r *reference) pruned(key string) {
	if r.bug == "prunes leases" {
		delete(r.data.leases, key)
	}
}

func (r *reference) Ready(ctx context.Context) error {
	return r.do(ctx, "ready", func() error {
		if r.bug == "empties itself when asked whether it is ready" {
			clear(r.data.items)
		}
		return nil
	})
}
