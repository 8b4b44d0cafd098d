// Package faketier has a shared tier and a bus in memory for tests of the runtime
// that need virtual time or faults at exact moments. Drivers are tested against
// their real servers; this is what stands beside them.
package faketier

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A Shared is a drivers.L2 in memory with what most drivers can: it adds, swaps and gives
// leases. [Unleased] is one without leases. The zero value is ready. Several stores may use one,
// as several processes use one server.
type Shared struct {
	mu      sync.Mutex
	items   map[string]stored
	leases  map[string]lease
	tokens  map[string]bool // that have asked for the lease of a key, which is added
	down    error
	history string
	unknown bool // the history cannot be told
	before  hook[func(ctx context.Context, op string, keys []string) error]
	after   hook[func(op string, keys []string)]
	// Calls counts operations by name.
	calls map[string]int
}

type stored struct {
	value []byte
	until time.Time // zero: for ever
}

// SetBefore has f run before each operation, without the lock held; an error is the operation's.
// Nil ends that.
func (s *Shared) SetBefore(f func(ctx context.Context, op string, keys []string) error) {
	s.before.set(f)
}

// Before returns what runs before each operation, or nil.
func (s *Shared) Before() func(ctx context.Context, op string, keys []string) error {
	return s.before.get()
}

// After returns what runs after each operation, or nil.
func (s *Shared) After() func(op string, keys []string) { return s.after.get() }

// SetAfter has f run after each operation, before its caller knows. Nil ends that.
func (s *Shared) SetAfter(f func(op string, keys []string)) { s.after.set(f) }

// Down makes every operation fail with err until it is called with nil.
func (s *Shared) Down(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

// Calls returns how many operations of a name there were.
func (s *Shared) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Keys returns a snapshot of what is stored, expired or not.
func (s *Shared) Keys() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string][]byte)
	for k, v := range s.items {
		out[k] = v.value
	}
	return out
}

// Put stores bytes behind the runtime's back, as anybody may.
func (s *Shared) Put(key string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(drivers.Item{Key: key, Value: value})
}

// Evict removes a key behind the runtime's back.
func (s *Shared) Evict(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, key)
}

func (s *Shared) set(it drivers.Item) {
	if s.items == nil {
		s.items = make(map[string]stored)
	}
	v := stored{value: append([]byte{}, it.Value...)}
	if it.TTL > 0 {
		v.until = time.Now().Add(it.TTL)
	}
	s.items[it.Key] = v
	delete(s.leases, it.Key)
}

func (s *Shared) remove(key string) {
	delete(s.items, key)
	delete(s.leases, key)
}

func (s *Shared) get(key string) []byte {
	v, ok := s.items[key]
	if !ok || !v.until.IsZero() && !time.Now().Before(v.until) {
		return nil
	}
	return append([]byte{}, v.value...)
}

// do panics if it is asked for a key twice, which drivers need not take.
func (s *Shared) do(ctx context.Context, op string, keys []string, f func()) error {
	if sorted := slices.Sorted(slices.Values(keys)); op != "delete" && len(slices.Compact(sorted)) < len(keys) {
		panic(fmt.Sprintf("faketier: %s of a key twice: %q", op, keys))
	}
	if before := s.before.get(); before != nil {
		if err := before(ctx, op, keys); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	err := s.down
	if err == nil {
		if s.calls == nil {
			s.calls = make(map[string]int)
		}
		s.calls[op]++
		f()
	}
	s.mu.Unlock()
	if after := s.after.get(); after != nil && err == nil {
		after(op, keys)
	}
	return err
}

// refuse returns an error for what no tier takes.
func refuse(items []drivers.Item) error {
	for _, it := range items {
		if it.TTL < 0 {
			return fmt.Errorf("%w: negative TTL of %q", drivers.ErrRefused, it.Key)
		}
	}
	return nil
}

func keysOf(items []drivers.Item) []string {
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = it.Key
	}
	return keys
}

func swapKeys(swaps []drivers.Swap) []string {
	keys := make([]string, len(swaps))
	for i, w := range swaps {
		keys[i] = w.Key
	}
	return keys
}

// GetMany implements drivers.L2.
func (s *Shared) GetMany(ctx context.Context, keys []string) (values [][]byte, err error) {
	err = s.do(ctx, "get", keys, func() {
		for _, k := range keys {
			values = append(values, s.get(k))
		}
	})
	return values, err
}

// SetMany implements drivers.L2.
func (s *Shared) SetMany(ctx context.Context, items []drivers.Item) error {
	if err := refuse(items); err != nil {
		return err
	}
	return s.do(ctx, "set", keysOf(items), func() {
		for _, it := range items {
			s.set(it)
		}
	})
}

// DeleteMany implements drivers.L2.
func (s *Shared) DeleteMany(ctx context.Context, keys []string) error {
	return s.do(ctx, "delete", keys, func() {
		for _, k := range keys {
			s.remove(k)
		}
	})
}

// AddMany implements drivers.Adder.
func (s *Shared) AddMany(ctx context.Context, items []drivers.Item) (values [][]byte, err error) {
	if err := refuse(items); err != nil {
		return nil, err
	}
	err = s.do(ctx, "add", keysOf(items), func() {
		for _, it := range items {
			if s.get(it.Key) == nil {
				s.set(it)
			}
			values = append(values, s.get(it.Key))
		}
	})
	return values, err
}

// SwapMany implements drivers.Swapper.
func (s *Shared) SwapMany(ctx context.Context, swaps []drivers.Swap) (swapped []bool, err error) {
	err = s.do(ctx, "swap", swapKeys(swaps), func() {
		for _, w := range swaps {
			now := s.get(w.Key)
			_, leased := s.holder(w.Key)
			done := bytes.Equal(now, w.Old) && (now == nil) == (w.Old == nil) && !(w.Unleased && leased)
			swapped = append(swapped, done)
			switch {
			case !done:
			case w.New == nil:
				s.remove(w.Key)
			default:
				s.set(drivers.Item{Key: w.Key, Value: w.New, TTL: w.TTL})
			}
		}
	})
	return swapped, err
}

// Close implements drivers.L2. Other stores may go on to use the tier.
func (s *Shared) Close() error { return nil }

// A Bus is a drivers.Bus in memory. The zero value is ready and connected. Each
// message is delivered before Publish returns, unless the bus is cut.
type Bus struct {
	mu        sync.Mutex
	listeners map[int]subscription
	next      int
	cut       bool
	muted     time.Time // since when nobody hears anything; zero while they do
	// Hold, if set, keeps messages back instead of delivering them. It is not asked about
	// heartbeats, which come and go by themselves.
	Hold func(message []byte) bool
}

// IsHeartbeat reports whether a message says only that its sender is there: behind the version,
// the origin and four numbers there is nothing.
func IsHeartbeat(message []byte) bool {
	if len(message) < 9 || message[0] != 2 {
		return false
	}
	message = message[9:]
	for range 4 {
		_, n := binary.Uvarint(message)
		if n <= 0 {
			return false
		}
		message = message[n:]
	}
	return len(message) == 0
}

type subscription struct {
	channel string
	l       drivers.Listener
	calling *sync.Mutex // one call of l at a time
}

func (s subscription) call(f func(drivers.Listener)) {
	s.calling.Lock()
	defer s.calling.Unlock()
	f(s.l)
}

// ErrCut is what Publish returns while the bus is cut.
var ErrCut = errors.New("bus is cut")

// Mute loses the connection of every listener, which nobody notices until it is cut.
func (b *Bus) Mute() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.muted = time.Now()
}

// Cut loses the connection of every listener, or gets it back.
func (b *Bus) Cut(cut bool) {
	b.mu.Lock()
	heard := time.Now()
	if !b.muted.IsZero() {
		heard, b.muted = b.muted, time.Time{}
	}
	b.cut = cut
	listeners := maps.Clone(b.listeners)
	b.mu.Unlock()
	for _, s := range listeners {
		s.call(func(l drivers.Listener) {
			if cut {
				if loss, ok := drivers.LossListenerOf(l); ok {
					loss.DownSince(heard, ErrCut)
				} else {
					l.Down(ErrCut)
				}
			} else {
				l.Up()
			}
		})
	}
}

// Publish implements drivers.Bus.
func (b *Bus) Publish(ctx context.Context, channel string, message []byte) error {
	if b.Hold != nil && !IsHeartbeat(message) && b.Hold(message) {
		return nil
	}
	b.mu.Lock()
	cut, muted := b.cut, !b.muted.IsZero()
	listeners := maps.Clone(b.listeners)
	b.mu.Unlock()
	switch {
	case cut:
		return ErrCut
	case muted:
		return ctx.Err()
	}
	for _, s := range listeners {
		if s.channel == channel {
			s.call(func(l drivers.Listener) { l.Message(bytes.Clone(message)) })
		}
	}
	return ctx.Err()
}

// Subscribe implements drivers.Bus.
func (b *Bus) Subscribe(channel string, l drivers.Listener) (func(), error) {
	b.mu.Lock()
	if b.listeners == nil {
		b.listeners = make(map[int]subscription)
	}
	id := b.next
	b.next++
	own := subscription{channel, l, new(sync.Mutex)}
	b.listeners[id] = own
	cut := b.cut
	b.mu.Unlock()
	if !cut {
		own.call(drivers.Listener.Up)
	}
	return func() {
		b.mu.Lock()
		delete(b.listeners, id)
		b.mu.Unlock()
		own.call(func(drivers.Listener) {}) // waits for a call under way
	}, nil
}

// Close implements drivers.Bus.
func (b *Bus) Close() error { return nil }
