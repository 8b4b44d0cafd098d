package drivertest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
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

// unleased reports whether a swap is performed that a lease prevents.
func (r *reference) unleased(key string) bool {
	_, ever := r.data.leases[r.name(key)]
	switch r.bug {
	case "swaps under a lease":
		return true
	case "swaps a value under a lease":
		return r.at(key) != nil || r.held(key).token == ""
	case "a lease that has ended prevents a swap":
		return !ever
	case "swaps nothing without a lease":
		return false
	}
	return r.held(key).token == ""
}

// held returns the lease of key, or the zero lease if there is none.
func (r *reference) held(key string) lease {
	l, ok := r.data.leases[r.name(key)]
	if !ok || !time.Now().Before(l.until) && r.bug != "leases do not end" {
		return lease{}
	}
	return l
}

func (r *reference) refuseToken(token string) error {
	if token == "" || len(token) > 256 && r.bug != "takes any token" {
		return fmt.Errorf("%w: a token of %d bytes", drivers.ErrRefused, len(token))
	}
	return nil
}

func (r *reference) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) (got []drivers.Lease, err error) {
	seen := make(map[string][]byte)
	if r.bug == "reads and replaces in two steps" {
		for _, key := range keys {
			r.mu.Lock()
			seen[key] = r.at(key)
			r.mu.Unlock()
		}
		time.Sleep(time.Millisecond) // so that another comes between
	}
	err = r.do(ctx, "lease", func() error {
		if want.TTL <= 0 {
			return fmt.Errorf("%w: ttl %s", drivers.ErrRefused, want.TTL)
		}
		for _, key := range keys {
			if err := r.refuse([]drivers.Item{{Key: key}}); err != nil {
				return err
			}
			found := r.lease(key, want)
			if before, ok := seen[key]; ok {
				found.Value = before
			}
			got = append(got, found)
		}
		return r.refuseToken(want.Token)
	})
	return got, err
}

func (r *reference) lease(key string, want drivers.LeaseRequest) (found drivers.Lease) {
	value, held := r.at(key), r.held(key)
	if r.bug != "a lease tells no value" {
		found.Value = value
	}
	if want.IfAbsent && value != nil && r.bug != "leases over a value" && (len(value) > 0 || r.bug != "an empty value is none") {
		return found
	}
	free := held.token == "" || held.token == want.Token && r.bug == "lends twice to its holder" || r.bug == "lends to everybody"
	if found.Taken = free || want.Replace && r.bug != "replaces nothing"; found.Taken {
		until := time.Now().Add(want.TTL)
		if want.TTL > math.MaxInt64/2 {
			until = time.Now().Add(math.MaxInt64 / 2)
		}
		r.data.leases[r.name(key)] = lease{want.Token, until, held.awaited && r.bug != "a replacement forgets who waits"}
		return found
	}
	found.Holder, found.Left = held.token, max(time.Until(held.until), 1)
	switch r.bug {
	case "tells another holder":
		found.Holder = want.Token
	case "tells another time":
		found.Left = time.Second
	}
	held.awaited = held.awaited || want.Await || r.bug == "everybody waits"
	r.data.leases[r.name(key)] = held
	return found
}

func (r *reference) FillMany(ctx context.Context, items []drivers.Item, token string) (filled []drivers.Fill, err error) {
	err = r.do(ctx, "fill", func() error {
		if err := errors.Join(r.refuseToken(token), r.refuse(items)); err != nil {
			return err
		}
		for _, it := range items {
			held := r.held(it.Key)
			mine := held.token == token || r.bug == "fills without a lease"
			filled = append(filled, drivers.Fill{Stored: mine, Awaited: mine && held.awaited && r.bug != "a fill tells nobody"})
			if mine {
				r.put(it)
				r.changed("fill", it.Key)
			}
		}
		return nil
	})
	return filled, err
}

func (r *reference) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) (renewed []bool, err error) {
	seen := make(map[string]lease)
	if r.bug == "renews in two steps" {
		for _, key := range keys {
			r.mu.Lock()
			seen[key] = r.held(key)
			r.mu.Unlock()
		}
		time.Sleep(time.Millisecond) // so that another comes between
	}
	err = r.do(ctx, "renew", func() error {
		if ttl <= 0 {
			return fmt.Errorf("%w: ttl %s", drivers.ErrRefused, ttl)
		}
		for _, key := range keys {
			held, before := seen[key]
			if !before {
				held = r.held(key)
			}
			mine := held.token == token || r.bug == "renews what has ended"
			renewed = append(renewed, mine)
			if mine && r.bug != "renews nothing" {
				held.token, held.until = token, time.Now().Add(min(ttl, math.MaxInt64/2))
				held.awaited = held.awaited && r.bug != "a renewal forgets who waits"
				r.data.leases[r.name(key)] = held
			}
		}
		return r.refuseToken(token)
	})
	return renewed, err
}

func (r *reference) ReleaseMany(ctx context.Context, keys []string, token string) (awaited []bool, err error) {
	err = r.do(ctx, "release", func() error {
		for _, key := range keys {
			held := r.held(key)
			mine := held.token == token
			awaited = append(awaited, (mine || r.bug == "a release tells anybody") && held.awaited)
			if mine || r.bug == "releases for anybody" {
				delete(r.data.leases, r.name(key))
			}
		}
		return r.refuseToken(token)
	})
	return awaited, err
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
