package sqltable

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

var errNoToken = errors.New("the token is empty")

// LeaseMany implements [drivers.Leaser].
func (t *Table) LeaseMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	distinct, at := different(keys)
	done := make([]bool, len(distinct))
	err := t.execute(ctx, "lease", len(keys), func() error {
		switch {
		case token == "":
			return fmt.Errorf("%w: %w", drivers.ErrRefused, errNoToken)
		case ttl <= 0:
			return fmt.Errorf("%w: the ttl of a lease is %s, must be positive", drivers.ErrRefused, ttl)
		}
		size := func(i int) int { return len(distinct[i]) + len(token) + overhead }
		return t.groups(len(distinct), maxItems, size, func(from, to int) error {
			group, mark := distinct[from:to], newMark()
			s := t.insert(group, mark, func(s *statement, i int) {
				s.arg([]byte{}).add(", 0, ").arg([]byte(token)).add(", ", t.Now, " + ").arg(lifetime(ttl))
			})
			s = t.overwrite(s, t.stored("lease_until")+" <= "+t.Now, "lease", "lease_until")
			return t.changeInto(ctx, done[from:to], s, t.names(group), mark)
		})
	})
	if err != nil {
		return nil, err
	}
	return spread(len(keys), at, done), nil
}

// FillMany implements [drivers.Leaser].
func (t *Table) FillMany(ctx context.Context, items []drivers.Item, token string) ([]bool, error) {
	items = own(items)
	_, at := different(itemKeys(items))
	distinct := make([]drivers.Item, len(at))
	for i := range at {
		distinct[i] = items[at[i]]
	}
	done := make([]bool, len(distinct))
	err := t.execute(ctx, "fill", len(items), func() error {
		if token == "" {
			return fmt.Errorf("%w: %w", drivers.ErrRefused, errNoToken)
		}
		if err := t.checkItems(items); err != nil {
			return err
		}
		return t.groups(len(distinct), maxPairs, itemSize(distinct), func(from, to int) error {
			group, mark := distinct[from:to], newMark()
			names := t.names(itemKeys(group))
			s := t.update(names, mark, func(i int) drivers.Item { return group[i] })
			s.add(" WHERE lease = ").arg([]byte(token)).add(" AND lease_until > ", t.Now, " AND name IN ").list(names)
			return t.changeInto(ctx, done[from:to], s, names, mark)
		})
	})
	if err != nil {
		return nil, err
	}
	return spread(len(items), at, done), nil
}

// ReleaseMany implements [drivers.Leaser].
func (t *Table) ReleaseMany(ctx context.Context, keys []string, token string) error {
	names := t.names(keys)
	return t.execute(ctx, "release", len(keys), func() error {
		if token == "" {
			return fmt.Errorf("%w: %w", drivers.ErrRefused, errNoToken)
		}
		for chunk := range slices.Chunk(names, maxKeys) {
			// Rows without a value are removed with their lease.
			s := t.statement("DELETE FROM ", t.from, " WHERE lease = ").arg([]byte(token))
			s.add(" AND expires <= ", t.Now, " AND name IN ").list(chunk)
			n, err := t.exec(ctx, s)
			if err != nil {
				return err
			}
			if n == int64(len(chunk)) {
				continue
			}
			s = t.statement("UPDATE ", t.from, " SET lease = NULL, lease_until = 0 WHERE lease = ").arg([]byte(token))
			if _, err := t.exec(ctx, s.add(" AND name IN ").list(chunk)); err != nil {
				return err
			}
		}
		return nil
	})
}

// different returns the distinct keys, and the index of each one's first occurrence.
func different(keys []string) (distinct []string, at []int) {
	seen := make(map[string]bool, len(keys))
	for i, key := range keys {
		if !seen[key] {
			seen[key] = true
			distinct, at = append(distinct, key), append(at, i)
		}
	}
	return distinct, at
}

// spread puts the results of distinct keys at the indexes of their first occurrences. The
// result of a repetition is false.
func spread(n int, at []int, done []bool) []bool {
	all := make([]bool, n)
	for i, result := range done {
		all[at[i]] = result
	}
	return all
}

func checkTTL(ttl time.Duration) error {
	if ttl < 0 {
		return fmt.Errorf("%w: the ttl is %s, must not be negative", drivers.ErrRefused, ttl)
	}
	return nil
}

// newMark returns a random number that no other call has. It is not zero, the mark of
// writes whose result is not asked for.
func newMark() int64 { return rand.Int64() | 1 }
