package processes

import (
	"slices"
	"sync"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/entry"
)

// A Memory is a drivers.L1: a map, from which the simulation evicts.
type Memory struct {
	mu    sync.Mutex
	items map[uint64]any
	order []uint64 // in which they were stored
}

var (
	_ drivers.L1     = (*Memory)(nil)
	_ drivers.Ranger = (*Memory)(nil)
)

func newMemory() *Memory { return &Memory{items: make(map[uint64]any)} }

// Get implements drivers.L1.
func (m *Memory) Get(hash uint64) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.items[hash]
}

// Set implements drivers.L1.
func (m *Memory) Set(hash uint64, item any, _ int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.items[hash]; !ok {
		m.order = append(m.order, hash)
	}
	m.items[hash] = item
	return nil
}

// Delete implements drivers.L1.
func (m *Memory) Delete(hash uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(hash)
}

func (m *Memory) remove(hash uint64) {
	delete(m.items, hash)
	m.order = slices.DeleteFunc(m.order, func(other uint64) bool { return other == hash })
}

// Clear implements drivers.L1.
func (m *Memory) Clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.items)
	m.order = nil
}

// Len implements drivers.L1.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}

// Close implements drivers.L1.
func (m *Memory) Close() error { return nil }

// Range implements drivers.Ranger.
func (m *Memory) Range(f func(item any) bool) {
	m.mu.Lock()
	all := make([]any, 0, len(m.order))
	for _, hash := range m.order {
		all = append(all, m.items[hash])
	}
	m.mu.Unlock()
	for _, item := range all {
		if !f(item) {
			return
		}
	}
}

// Keys returns the keys of the entries, in the order in which they were stored.
func (m *Memory) Keys() (keys []string) {
	m.Range(func(item any) bool {
		if it, ok := item.(*entry.Item); ok {
			keys = append(keys, it.Key)
		}
		return true
	})
	return keys
}

// Evict removes the entry of a key.
func (m *Memory) Evict(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for hash, item := range m.items {
		if it, ok := item.(*entry.Item); ok && it.Key == key {
			m.remove(hash)
			return
		}
	}
}
