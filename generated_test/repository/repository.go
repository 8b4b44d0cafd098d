// Package repository has repositories of the forms that Go knows: generic ones,
// embedded ones, ones that are values, ones with an interface inside, unexported
// ones, and one that is another on each system.
package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

//go:generate go tool cachegen

// ErrNoRow says that there is no row of a key.
var ErrNoRow = errors.New("no such row")

// An ID is what rows have for a key.
type ID interface{ ~int64 | ~string }

// A Page is a part of a list.
type Page[T any] struct {
	Items []T
	Next  *T // nil on the last page
	Total int
}

// A Repo has the rows of one table, of which it counts the queries.
//
//cache:wrap CachedRepo namespace=rows ttl=5m
type Repo[K ID, V any] struct {
	Queries atomic.Int64

	mu   sync.Mutex // guards rows
	rows map[K]V
}

// NewRepo returns a repository of these rows.
func NewRepo[K ID, V any](rows map[K]V) *Repo[K, V] { return &Repo[K, V]{rows: rows} }

func (r *Repo[K, V]) query(f func()) {
	r.Queries.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// Find returns a row, or [ErrNoRow].
//
//cache:getorset row:{id} name=Row notfound=ErrNoRow notfoundttl=1m
func (r *Repo[K, V]) Find(ctx context.Context, id K) (row V, err error) {
	r.query(func() {
		var ok bool
		if row, ok = r.rows[id]; !ok {
			err = fmt.Errorf("row %v: %w", id, ErrNoRow)
		}
	})
	return row, err
}

// FindAll returns the rows that there are among ids. Its type parameters have other
// names than those of the type.
//
//cache:batch Find(ids)
func (r *Repo[Key, Value]) FindAll(ctx context.Context, ids ...Key) (map[Key]Value, error) {
	found := make(map[Key]Value)
	r.query(func() {
		for _, id := range ids {
			if row, ok := r.rows[id]; ok {
				found[id] = row
			}
		}
	})
	return found, nil
}

// ListPage returns a page of the keys, in order.
//
//cache:getorset page:{number}:{size} tag=pages
func (r *Repo[K, V]) ListPage(ctx context.Context, number, size int) (page Page[K], err error) {
	r.query(func() {
		keys := make([]K, 0, len(r.rows))
		for k := range r.rows {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		page.Total = len(keys)
		keys = keys[min(number*size, len(keys)):]
		if len(keys) > size {
			next := keys[size]
			page.Next = &next
		}
		page.Items = keys[:min(size, len(keys))]
	})
	return page, nil
}

// Save stores a row.
//
//cache:set Find(id)
//cache:delete tag=pages
func (r *Repo[K, V]) Save(ctx context.Context, id K, row V) (V, error) {
	r.query(func() { r.rows[id] = row })
	return row, nil
}

// Remove removes rows.
//
//cache:delete Find(ids...) tag=pages
func (r *Repo[K, _]) Remove(ctx context.Context, ids ...K) error {
	r.query(func() {
		for _, id := range ids {
			delete(r.rows, id)
		}
	})
	return nil
}

// Truncate removes all rows.
//
//cache:clear
func (r *Repo[K, V]) Truncate() error {
	r.query(func() { clear(r.rows) })
	return nil
}
