package sqltable

import (
	"bytes"
	"context"
	"database/sql"
	"slices"

	"github.com/cachegen/cachegen/drivers"
)

// SwapMany implements [drivers.Swapper]. Each kind of swap (replace a value, store where
// the key is absent, remove; each also under the condition that there is no lease) takes its
// own statements. Swaps of one key are performed in their order.
func (t *Table) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	swaps = slices.Clone(swaps)
	for i := range swaps {
		swaps[i].Old, swaps[i].New = bytes.Clone(swaps[i].Old), bytes.Clone(swaps[i].New)
	}
	done := make([]bool, len(swaps))
	err := t.base.Execute(ctx, "swap", len(swaps), func() error {
		for _, swap := range swaps {
			if err := checkTTL(swap.TTL); err != nil {
				return err
			}
			if err := t.checkSize(swap.Key, swap.Old, swap.New); err != nil {
				return err
			}
		}
		round := make([]int, 0, len(swaps))
		in := make(map[string]bool, len(swaps))
		for i, swap := range swaps {
			if in[swap.Key] {
				if err := t.swapDistinct(ctx, swaps, round, done); err != nil {
					return err
				}
				round = round[:0]
				clear(in)
			}
			round = append(round, i)
			in[swap.Key] = true
		}
		return t.swapDistinct(ctx, swaps, round, done)
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}

// swapDistinct performs the swaps whose indexes are in round, all of different keys.
func (t *Table) swapDistinct(ctx context.Context, swaps []drivers.Swap, round []int, done []bool) error {
	type kind struct{ old, new, unleased bool }
	var kinds []kind
	of := make(map[kind][]int)
	for _, i := range round {
		k := kind{swaps[i].Old != nil, swaps[i].New != nil, swaps[i].Unleased}
		if of[k] == nil {
			kinds = append(kinds, k)
		}
		of[k] = append(of[k], i)
	}
	for _, k := range kinds {
		indexes, run := of[k], t.confirmAbsent
		switch {
		case k.old && k.new:
			run = t.replaceValues
		case k.old:
			run = t.removeValues
		case k.new:
			run = t.storeAbsent
		}
		group := make([]drivers.Swap, len(indexes))
		for i, at := range indexes {
			group[i] = swaps[at]
		}
		result, err := run(ctx, group, k.unleased)
		if err != nil {
			return err
		}
		for i, at := range indexes {
			done[at] = result[i]
		}
	}
	return nil
}

func swapSize(swaps []drivers.Swap) func(int) int {
	return func(i int) int { return len(swaps[i].Key) + len(swaps[i].Old) + len(swaps[i].New) + overhead }
}

func (t *Table) swapNames(swaps []drivers.Swap) [][]byte {
	names := make([][]byte, len(swaps))
	for i := range swaps {
		names[i] = t.name(swaps[i].Key)
	}
	return names
}

// expected adds the condition that rows hold the values that swaps expect, and have no lease if
// they must not have one.
func (t *Table) expected(s *statement, names [][]byte, swaps []drivers.Swap, unleased bool) *statement {
	s.add(" WHERE expires > ", t.Now)
	if unleased {
		s.add(" AND lease_until <= ", t.Now)
	}
	for i := range swaps {
		s.add(separator(i, " AND (", " OR "), "(name = ").arg(names[i]).add(" AND value = ").arg(swaps[i].Old).add(")")
	}
	return s.add(")")
}

// replaceValues performs swaps of a value for another.
func (t *Table) replaceValues(ctx context.Context, swaps []drivers.Swap, unleased bool) ([]bool, error) {
	done := make([]bool, len(swaps))
	return done, t.groups(len(swaps), maxPairs, swapSize(swaps), func(from, to int) error {
		group, names, mark := swaps[from:to], t.swapNames(swaps[from:to]), newMark()
		s := t.update(names, mark, "0", func(i int) drivers.Item {
			return drivers.Item{Value: group[i].New, TTL: group[i].TTL}
		})
		return t.changeInto(ctx, done[from:to], t.expected(s, names, group, unleased), names, mark)
	})
}

// removeValues performs swaps that remove a value.
func (t *Table) removeValues(ctx context.Context, swaps []drivers.Swap, unleased bool) ([]bool, error) {
	limit := maxPairs
	if t.OnDuplicateKey {
		limit = 1 // a removed row has no mark; for one row the number of changed rows is enough
	}
	done := make([]bool, len(swaps))
	return done, t.groups(len(swaps), limit, swapSize(swaps), func(from, to int) error {
		names := t.swapNames(swaps[from:to])
		s := t.expected(t.statement("DELETE FROM ", t.from), names, swaps[from:to], unleased)
		if !t.OnDuplicateKey {
			return t.changeInto(ctx, done[from:to], s, names, 0)
		}
		s.once = true
		n, err := t.exec(ctx, s)
		done[from] = n > 0
		return err
	})
}

// storeAbsent performs swaps that store where the key is absent.
func (t *Table) storeAbsent(ctx context.Context, swaps []drivers.Swap, unleased bool) ([]bool, error) {
	items := make([]drivers.Item, len(swaps))
	for i, swap := range swaps {
		items[i] = drivers.Item{Key: swap.Key, Value: swap.New, TTL: swap.TTL}
	}
	condition := t.absent()
	if unleased {
		condition += " AND " + t.stored("lease_until") + " <= " + t.Now
	}
	return t.addAbsent(ctx, items, condition)
}

// confirmAbsent performs swaps that expect an absent key and leave it absent. They end the
// key's lease, or expect that there is none.
func (t *Table) confirmAbsent(ctx context.Context, swaps []drivers.Swap, unleased bool) ([]bool, error) {
	names := t.swapNames(swaps)
	over, held := " AND expires <= "+t.Now, " AND expires > "+t.Now
	if unleased {
		over, held = t.ended(), " AND (expires > "+t.Now+" OR lease_until > "+t.Now+")"
	}
	if _, err := t.remove(ctx, names, over); err != nil {
		return nil, err
	}
	prevented := make(map[string]bool)
	for chunk := range slices.Chunk(names, maxKeys) {
		s := t.statement("SELECT name FROM ", t.from, " WHERE name IN ").list(chunk).add(held)
		err := t.query(ctx, s, func(rows *sql.Rows) error {
			var name sql.RawBytes
			err := rows.Scan(&name)
			prevented[string(name)] = err == nil
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	done := make([]bool, len(swaps))
	for i, name := range names {
		done[i] = !prevented[string(name)]
	}
	return done, nil
}

// addAbsent stores the items, of different keys, where a condition holds that implies that the
// key is absent, and returns for each whether it was stored. What the write sets must not make
// the condition false: see [Table.overwrite].
func (t *Table) addAbsent(ctx context.Context, items []drivers.Item, condition string) ([]bool, error) {
	done := make([]bool, len(items))
	return done, t.groups(len(items), maxItems, itemSize(items), func(from, to int) error {
		group, mark := items[from:to], newMark()
		keys := itemKeys(group)
		s := t.insert(keys, mark, func(s *statement, i int) { t.value(s, group[i]) })
		return t.changeInto(ctx, done[from:to], t.overwrite(s, condition, t.written()...), t.names(keys), mark)
	})
}

// update adds the beginning of an UPDATE that sets each row to its own value, and ends its
// lease with until in lease_until.
func (t *Table) update(names [][]byte, mark int64, until string, item func(i int) drivers.Item) *statement {
	s := t.statement("UPDATE ", t.from, " SET ")
	if t.OnDuplicateKey {
		s.add("mark = ").arg(mark).add(", ")
	}
	s.add("value = ").choose(names, func(i int) any { return item(i).Value }, "value")
	s.add(", lease = NULL, lease_until = ", until, ", expires = ", t.Now, " + ")
	return s.choose(names, func(i int) any { return lifetime(item(i).TTL) }, "expires")
}

// changeInto is change with the result in done, in the order of names.
func (t *Table) changeInto(ctx context.Context, done []bool, s *statement, names [][]byte, mark int64) error {
	changed, err := t.change(ctx, s, names, mark)
	for i, name := range names {
		_, done[i] = changed[string(name)]
	}
	return err
}
