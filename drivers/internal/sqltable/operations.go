package sqltable

import (
	"context"
	"database/sql"
	"slices"

	"github.com/cachegen/cachegen/drivers"
)

// GetMany implements [drivers.L2].
func (t *Table) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	keys = slices.Clone(keys)
	values := make([][]byte, len(keys))
	err := t.base.Execute(ctx, "get", len(keys), func() error { return t.get(ctx, keys, values) })
	if err != nil {
		return nil, err
	}
	return values, nil
}

func (t *Table) get(ctx context.Context, keys []string, values [][]byte) error {
	first := make(map[string]int, len(keys))
	for i := range keys {
		if _, again := first[keys[i]]; !again {
			first[keys[i]] = i
		}
	}
	row := func(rows *sql.Rows) error {
		var name, rest sql.RawBytes
		var value []byte
		if err := rows.Scan(&name, &rest, &value); err != nil {
			return err
		}
		if value == nil {
			value = []byte{} // an empty value, which some client libraries return as nil; the column has no NULL
		}
		// A row whose name is equal but whose key differs is not one of keys.
		if i, ok := first[t.key(name, rest)]; ok {
			values[i] = value
		}
		return nil
	}
	for chunk := range slices.Chunk(keys, maxKeys) {
		s := t.statement("SELECT name, ", t.restColumn(), ", value FROM ", t.from,
			" WHERE expires > ", t.Now, " AND name IN ").list(t.names(chunk))
		if err := t.query(ctx, s, row); err != nil {
			return err
		}
	}
	// The caller owns each value, so a repeated key gets a copy.
	for i := range keys {
		if f := first[keys[i]]; f != i && values[f] != nil {
			values[i] = append([]byte{}, values[f]...)
		}
	}
	return nil
}

func (t *Table) names(keys []string) [][]byte {
	names := make([][]byte, len(keys))
	for i, key := range keys {
		names[i] = t.name(key)
	}
	return names
}

// DeleteMany implements [drivers.L2].
func (t *Table) DeleteMany(ctx context.Context, keys []string) error {
	names := t.names(keys)
	return t.base.Execute(ctx, "delete", len(keys), func() error {
		_, err := t.remove(ctx, names, "")
		return err
	})
}

// remove deletes the rows of names, under a condition if it is not empty, and returns how
// many it deleted. Sent twice, it costs no more than a load.
func (t *Table) remove(ctx context.Context, names [][]byte, condition string) (int64, error) {
	var total int64
	for chunk := range slices.Chunk(names, maxKeys) {
		s := t.statement("DELETE FROM ", t.from, " WHERE name IN ").list(chunk).add(condition)
		n, err := t.exec(ctx, s)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// SetMany implements [drivers.L2]. A large batch is stored in several statements, each of
// which is atomic.
func (t *Table) SetMany(ctx context.Context, items []drivers.Item) error {
	n := len(items)
	items = own(items)
	// Of several values for one key only the last is stored, because a statement cannot
	// write one row twice.
	slices.Reverse(items)
	distinct := items[:0]
	for i := range firsts(items) {
		distinct = append(distinct, items[i])
	}
	slices.Reverse(distinct)
	return t.base.Execute(ctx, "set", n, func() error {
		if err := t.checkItems(items); err != nil {
			return err
		}
		return t.groups(len(distinct), maxItems, itemSize(distinct), func(from, to int) error {
			group := distinct[from:to]
			s := t.insert(itemKeys(group), 0, func(s *statement, i int) { t.value(s, group[i]) })
			s = t.overwrite(s, "", t.written()...)
			s.once = true
			_, err := t.exec(ctx, s)
			return err
		})
	})
}

// AddMany implements [drivers.Adder].
func (t *Table) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	items = own(items)
	values := make([][]byte, len(items))
	err := t.base.Execute(ctx, "add", len(items), func() error {
		if err := t.checkItems(items); err != nil {
			return err
		}
		return t.add(ctx, items, values)
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// add stores the items whose keys are absent and reads the values of the other keys. A
// key whose value is gone by the time of the read is added again.
func (t *Table) add(ctx context.Context, items []drivers.Item, values [][]byte) error {
	var todo []int
	for i := range firsts(items) {
		todo = append(todo, i)
	}
	stored := make(map[string][]byte, len(items))
	for len(todo) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		group := make([]drivers.Item, len(todo))
		for i, at := range todo {
			group[i] = items[at]
		}
		won, err := t.addAbsent(ctx, group, t.absent())
		if err != nil {
			return err
		}
		var lost []string
		var lostAt []int
		for i, at := range todo {
			if won[i] {
				stored[items[at].Key] = items[at].Value
			} else {
				lost, lostAt = append(lost, items[at].Key), append(lostAt, at)
			}
		}
		present := make([][]byte, len(lost))
		if err := t.get(ctx, lost, present); err != nil {
			return err
		}
		todo = todo[:0]
		for i, value := range present {
			if value == nil {
				todo = append(todo, lostAt[i])
			} else {
				stored[lost[i]] = value
			}
		}
	}
	for i, item := range items {
		values[i] = append([]byte{}, stored[item.Key]...)
	}
	return nil
}

// own copies items. It replaces nil values by empty ones, because nil would be NULL.
func own(items []drivers.Item) []drivers.Item {
	items = slices.Clone(items)
	for i := range items {
		items[i].Value = append([]byte{}, items[i].Value...)
	}
	return items
}

func (t *Table) checkItems(items []drivers.Item) error {
	for _, item := range items {
		if err := checkTTL(item.TTL); err != nil {
			return err
		}
		if err := t.checkSize(item.Key, item.Value); err != nil {
			return err
		}
	}
	return nil
}

func itemKeys(items []drivers.Item) []string {
	keys := make([]string, len(items))
	for i := range items {
		keys[i] = items[i].Key
	}
	return keys
}

func itemSize(items []drivers.Item) func(int) int {
	return func(i int) int { return len(items[i].Key) + len(items[i].Value) + overhead }
}

// firsts yields the index of the first item of each key.
func firsts(items []drivers.Item) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		seen := make(map[string]bool, len(items))
		for i := range items {
			if seen[items[i].Key] {
				continue
			}
			seen[items[i].Key] = true
			if !yield(i) {
				return
			}
		}
	}
}
