package sqlite

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// Statements come in sizes that are powers of two, so that few of them serve
// batches of any length. The largest stays below 999 parameters, the limit of
// old builds of SQLite.
const (
	maxKeys  = 512
	maxItems = 256
	// pruneBatch bounds how long Prune keeps other writers waiting at a time.
	pruneBatch = 1000
)

// GetMany implements [drivers.L2].
func (d *Driver) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	keys = slices.Clone(keys)
	values := make([][]byte, len(keys))
	err := d.execute(ctx, "get", len(keys), func() error {
		clear(values)
		first := make(map[string]int, len(keys))
		for i := range keys {
			if _, again := first[keys[i]]; !again {
				first[keys[i]] = i
			}
		}
		for rest := keys; len(rest) > 0; {
			n := min(len(rest), maxKeys)
			text, args := d.in(`SELECT key, value FROM "%s" WHERE (expires = 0 OR expires > ?) AND key IN (%s)`, rest[:n], now())
			err := d.query(ctx, func(key, value []byte) { values[first[string(key)]] = value }, text, args...)
			if err != nil {
				return err
			}
			rest = rest[n:]
		}
		// The caller owns each value, also that of a key named twice.
		for i := range keys {
			if f := first[keys[i]]; f != i && values[f] != nil {
				values[i] = append([]byte{}, values[f]...)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// DeleteMany implements [drivers.L2].
func (d *Driver) DeleteMany(ctx context.Context, keys []string) error {
	keys = slices.Clone(keys)
	return d.execute(ctx, "delete", len(keys), func() error {
		for rest := keys; len(rest) > 0; {
			n := min(len(rest), maxKeys)
			text, args := d.in(`DELETE FROM "%s" WHERE key IN (%s)`, rest[:n])
			if _, err := d.exec(ctx, text, args...); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	})
}

// in completes a statement about keys with its table and its parameters: args
// first, then the keys, the last one repeated up to the next power of two.
func (d *Driver) in(format string, keys []string, args ...any) (string, []any) {
	n := 1 << bits.Len(uint(len(keys)-1))
	for i := range n {
		args = append(args, []byte(keys[min(i, len(keys)-1)]))
	}
	return fmt.Sprintf(format, d.table, strings.Repeat("?,", n-1)+"?"), args
}

const upsert = `INSERT INTO "%[1]s" (key, value, expires) VALUES %[2]s
ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires`

// SetMany implements [drivers.L2]. Items are stored a few hundred at a time, each
// such group as a whole.
func (d *Driver) SetMany(ctx context.Context, items []drivers.Item) error {
	items = own(items)
	return d.execute(ctx, "set", len(items), func() error {
		return d.insert(items, func(group []drivers.Item, rows string, args []any) error {
			_, err := d.exec(ctx, fmt.Sprintf(upsert, d.table, rows), args...)
			return err
		})
	})
}

// An expired row counts as absent: it gets the new value. A live one is written
// as it is, because RETURNING tells of written rows only.
const addition = `INSERT INTO "%[1]s" AS t (key, value, expires) VALUES %[2]s
ON CONFLICT (key) DO UPDATE SET
	value = CASE WHEN t.expires > 0 AND t.expires <= %[3]s THEN excluded.value ELSE t.value END,
	expires = CASE WHEN t.expires > 0 AND t.expires <= %[3]s THEN excluded.expires ELSE t.expires END
RETURNING key, value`

// AddMany implements [drivers.Adder].
func (d *Driver) AddMany(ctx context.Context, items []drivers.Item) ([][]byte, error) {
	items = own(items)
	values := make([][]byte, len(items))
	err := d.execute(ctx, "add", len(items), func() error {
		done := 0
		return d.insert(items, func(group []drivers.Item, rows string, args []any) error {
			stored := make(map[string][]byte, len(group))
			clock := fmt.Sprintf("?%d", len(args)+1)
			text := fmt.Sprintf(addition, d.table, rows, clock)
			err := d.query(ctx, func(key, value []byte) { stored[string(key)] = value }, text, append(args, now())...)
			if err != nil {
				return err
			}
			for i, item := range group {
				values[done+i] = stored[item.Key]
			}
			done += len(group)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// insert calls write with items in groups, each with its VALUES and their arguments.
func (d *Driver) insert(items []drivers.Item, write func(group []drivers.Item, rows string, args []any) error) error {
	for _, item := range items {
		if item.TTL < 0 {
			return fmt.Errorf("negative ttl %s", item.TTL)
		}
	}
	for len(items) > 0 {
		n := min(1<<(bits.Len(uint(len(items)))-1), maxItems)
		args := make([]any, 0, 3*n+1)
		for _, item := range items[:n] {
			args = append(args, []byte(item.Key), item.Value, expiry(item.TTL))
		}
		if err := write(items[:n], strings.Repeat("(?,?,?),", n-1)+"(?,?,?)", args); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

// own copies items. No value is nil afterwards, which would be NULL.
func own(items []drivers.Item) []drivers.Item {
	items = slices.Clone(items)
	for i := range items {
		items[i].Value = append([]byte{}, items[i].Value...)
	}
	return items
}

// Prune implements [drivers.Pruner]. It removes a thousand items at a time, so
// that other writers get their turn; what an interrupted Prune removed stays so.
func (d *Driver) Prune(ctx context.Context) (int64, error) {
	text := fmt.Sprintf(`DELETE FROM "%[1]s" WHERE key IN
(SELECT key FROM "%[1]s" WHERE expires > 0 AND expires <= ? LIMIT %[2]d)`, d.table, pruneBatch)
	var total int64
	for {
		var n int64
		err := d.execute(ctx, "prune", 0, func() (err error) {
			n, err = d.exec(ctx, text, now())
			return err
		})
		if err != nil {
			return total, err // n may still be written to
		}
		total += n
		if n < pruneBatch {
			return total, nil
		}
	}
}

func now() int64 { return time.Now().UnixMilli() }

// expiry rounds up: now rounds down, so an item lives for its TTL at least.
func expiry(ttl time.Duration) int64 {
	if ttl == 0 {
		return 0
	}
	end := time.Now().Add(ttl)
	ms := end.UnixMilli()
	if end.Nanosecond()%int(time.Millisecond) > 0 {
		ms++
	}
	return ms
}
