package sqltable

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// LeaseMany implements [drivers.Leaser].
func (t *Table) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	keys = slices.Clone(keys)
	found := make(map[string]drivers.Lease, len(keys))
	err := t.base.Execute(ctx, "lease", len(keys), func() error {
		if err := checkToken(want.Token); err != nil {
			return err
		}
		if err := checkLease(want.TTL); err != nil {
			return err
		}
		// In one order, so that calls with the same keys do not wait for each other in a circle.
		todo := slices.Compact(slices.Sorted(slices.Values(keys)))
		for round := 0; len(todo) > 0; round++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			if round == maxRounds {
				return fmt.Errorf("%d keys were changed in the midst of each of %d requests", len(todo), round)
			}
			size := func(i int) int { return len(todo[i]) + len(want.Token) + overhead }
			err := t.groups(len(todo), maxItems, size, func(from, to int) error {
				return t.askLeases(ctx, todo[from:to], want, found)
			})
			if err != nil {
				return err
			}
			// A key that has no answer was changed in the midst of the call.
			todo = slices.DeleteFunc(todo, func(key string) bool {
				_, answered := found[key]
				return answered
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	leases := make([]drivers.Lease, len(keys))
	for i, key := range keys {
		leases[i] = found[key]
		found[key] = again(found[key], want)
	}
	return leases, nil
}

// maxRounds is how often LeaseMany asks at most for what is changed each time. More than a few
// times in a row can have no other reason than a table that does not do what it should.
const maxRounds = 100

// again returns what a second request would find that follows on one that has found first.
func again(first drivers.Lease, want drivers.LeaseRequest) drivers.Lease {
	first.Value = bytes.Clone(first.Value) // the caller owns each value
	if first.Taken && !want.Replace {
		first.Taken, first.Holder, first.Left = false, want.Token, want.TTL
	}
	return first
}

// FillMany implements [drivers.Leaser].
func (t *Table) FillMany(ctx context.Context, items []drivers.Item, token string) ([]drivers.Fill, error) {
	items = own(items)
	at := slices.Collect(firsts(items))
	distinct := make([]drivers.Item, len(at))
	for i := range at {
		distinct[i] = items[at[i]]
	}
	fills := make([]drivers.Fill, len(items))
	err := t.base.Execute(ctx, "fill", len(items), func() error {
		if err := checkToken(token); err != nil {
			return err
		}
		if err := t.checkItems(items); err != nil {
			return err
		}
		return t.groups(len(distinct), maxPairs, itemSize(distinct), func(from, to int) error {
			group, names := distinct[from:to], t.names(itemKeys(distinct[from:to]))
			changed, err := t.fill(ctx, group, names, token)
			for i, name := range names {
				until, stored := changed[string(name)]
				fills[at[from+i]] = drivers.Fill{Stored: stored, Awaited: until%2 == 1}
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return fills, nil
}

// fill stores the items, of different names, whose lease token has. It returns what the
// column lease_until of these has then.
func (t *Table) fill(ctx context.Context, items []drivers.Item, names [][]byte, token string) (map[string]int64, error) {
	held := func(s *statement) *statement {
		return s.add(" WHERE lease = ").arg([]byte(token)).add(" AND lease_until > ", t.Now, " AND name IN ").list(names)
	}
	item := func(i int) drivers.Item { return items[i] }
	mark := newMark()
	if !t.OnDuplicateKey || len(items) > 1 {
		return t.change(ctx, held(t.update(names, mark, endOfLease, item)), names, mark)
	}
	// Of one row the server tells enough without a query: whether it was changed, and a number.
	s := held(t.update(names, mark, "LAST_INSERT_ID("+endOfLease+")", item))
	s.once = true
	var n, awaited int64
	err := t.base.WhileBusy(ctx, func() error {
		result, err := t.execIn(ctx, nil, s)
		if err != nil {
			return err
		}
		if n, err = result.RowsAffected(); err != nil {
			return err
		}
		awaited, err = result.LastInsertId()
		return err
	})
	if err != nil || n == 0 {
		return nil, err
	}
	return map[string]int64{string(names[0]): awaited}, nil
}

// RenewMany implements [drivers.Leaser].
func (t *Table) RenewMany(ctx context.Context, keys []string, token string, ttl time.Duration) ([]bool, error) {
	keys = slices.Clone(keys)
	renewed := make(map[string]bool, len(keys))
	err := t.base.Execute(ctx, "renew", len(keys), func() error {
		if err := checkToken(token); err != nil {
			return err
		}
		if err := checkLease(ttl); err != nil {
			return err
		}
		for chunk := range slices.Chunk(t.distinct(keys), maxKeys) {
			if err := t.renew(ctx, chunk, token, ttl, renewed); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.of(keys, renewed), nil
}

func (t *Table) renew(ctx context.Context, names [][]byte, token string, ttl time.Duration, renewed map[string]bool) error {
	held := func(s *statement) *statement {
		return s.add(" WHERE lease = ").arg([]byte(token)).add(" AND lease_until > ", t.Now, " AND name IN ").list(names)
	}
	s := t.statement("UPDATE ", t.from, " SET lease_until = ")
	n, err := t.exec(ctx, held(t.until(s, ttl).add(" + lease_until % 2")))
	if err != nil {
		return err
	}
	if n == int64(len(names)) {
		for _, name := range names {
			renewed[string(name)] = true
		}
		return nil
	}
	// MySQL does not count a row that had the same time before.
	return t.query(ctx, held(t.statement("SELECT name FROM ", t.from)), func(rows *sql.Rows) error {
		var name sql.RawBytes
		err := rows.Scan(&name)
		renewed[string(name)] = err == nil
		return err
	})
}

// ReleaseMany implements [drivers.Leaser].
func (t *Table) ReleaseMany(ctx context.Context, keys []string, token string) ([]bool, error) {
	keys = slices.Clone(keys)
	awaited := make(map[string]bool)
	err := t.base.Execute(ctx, "release", len(keys), func() error {
		if err := checkToken(token); err != nil {
			return err
		}
		for chunk := range slices.Chunk(t.distinct(keys), maxKeys) {
			if err := t.release(ctx, chunk, token, awaited); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.of(keys, awaited), nil
}

func (t *Table) release(ctx context.Context, names [][]byte, token string, awaited map[string]bool) error {
	mark := newMark()
	s := t.statement("UPDATE ", t.from, " SET ")
	if t.OnDuplicateKey {
		s.add("mark = ").arg(mark).add(", ")
	}
	s.add("lease = NULL, lease_until = CASE WHEN lease_until > ", t.Now, " THEN ", endOfLease, " ELSE 0 END WHERE lease = ")
	ended, err := t.change(ctx, s.arg([]byte(token)).add(" AND name IN ").list(names), names, mark)
	if err != nil || len(ended) == 0 {
		return err
	}
	bare := make([][]byte, 0, len(ended))
	for name, until := range ended {
		awaited[name] = until == 1
		bare = append(bare, []byte(name))
	}
	// Rows without a value need not wait to be pruned. An error is none: the leases have ended.
	_, _ = t.remove(ctx, bare, t.ended())
	return nil
}

// distinct returns the names of keys, each once.
func (t *Table) distinct(keys []string) [][]byte {
	return t.names(slices.Compact(slices.Sorted(slices.Values(keys))))
}

// of returns what has holds for each of keys.
func (t *Table) of(keys []string, has map[string]bool) []bool {
	all := make([]bool, len(keys))
	for i, key := range keys {
		all[i] = has[string(t.name(key))]
	}
	return all
}

// maxToken is how many bytes a token has at most.
const maxToken = 256

func checkToken(token string) error {
	if token == "" || len(token) > maxToken {
		return fmt.Errorf("%w: the token of a lease has %d bytes, must have 1 to %d", drivers.ErrRefused, len(token), maxToken)
	}
	return nil
}

func checkLease(ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("%w: the ttl of a lease is %s, must be positive", drivers.ErrRefused, ttl)
	}
	return nil
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
