package sqltable

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"strconv"
	"time"
)

// page is how many rows a scan, a deletion by prefix or a prune handles at a time, so
// that other writers are not kept waiting.
const page = maxKeys

type scanned struct {
	name []byte
	key  string
	live bool
}

// scan returns the next page of rows whose key begins with prefix, in the order of names,
// after the row named after; nil is the beginning.
func (t *Table) scan(ctx context.Context, prefix string, after []byte, liveOnly bool) (rows []scanned, err error) {
	s := t.statement("SELECT name, ", t.restColumn(), ", CASE WHEN expires > ", t.Now, " THEN 1 ELSE 0 END FROM ", t.from, " WHERE 1 = 1")
	if liveOnly {
		s.add(" AND expires > ", t.Now)
	}
	if t.MaxKey > 0 && len(prefix) > t.MaxKey {
		between(s, "rest", prefix[t.MaxKey:])
		prefix = prefix[:t.MaxKey]
	}
	between(s, "name", prefix)
	if after != nil {
		s.add(" AND name > ").arg(after)
	}
	s.add(" ORDER BY name LIMIT ", strconv.Itoa(page))
	row := func(r *sql.Rows) error {
		var name []byte
		var rest sql.RawBytes
		var live int
		if err := r.Scan(&name, &rest, &live); err != nil {
			return err
		}
		if name == nil {
			name = []byte{}
		}
		rows = append(rows, scanned{name, t.key(name, rest), live != 0})
		return nil
	}
	err = t.base.WhileBusy(ctx, func() error {
		rows = rows[:0]
		return t.queryIn(ctx, nil, s, row)
	})
	return rows, err
}

// between adds the condition that column begins with prefix. It is a range, which can use
// an index, and in which no character is a wildcard.
func between(s *statement, column, prefix string) {
	if prefix == "" {
		return
	}
	s.add(" AND ", column, " >= ").arg([]byte(prefix))
	if end, ok := successor(prefix); ok {
		s.add(" AND ", column, " < ").arg(end)
	}
}

// Scan implements [drivers.Scanner]. It calls f between statements, with no lock and no
// connection held.
func (t *Table) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	var after []byte
	for {
		var rows []scanned
		err := t.base.Execute(ctx, "scan", 0, func() (err error) {
			rows, err = t.scan(ctx, prefix, after, true)
			return err
		})
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			keys := make([]string, len(rows))
			for i := range rows {
				keys[i] = rows[i].key
			}
			if err := f(keys); err != nil {
				return t.base.In("scan", 0, err)
			}
		}
		if len(rows) < page {
			return nil
		}
		after = rows[len(rows)-1].name
	}
}

// DeletePrefix implements [drivers.PrefixDeleter]. Keys removed by a call that then fails
// stay removed.
func (t *Table) DeletePrefix(ctx context.Context, prefix string) (int64, error) {
	var total int64
	var after []byte
	for {
		var n int64
		var rows []scanned
		err := t.base.Execute(ctx, "delete by prefix", 0, func() (err error) {
			if rows, err = t.scan(ctx, prefix, after, false); err != nil {
				return err
			}
			var live, dead [][]byte
			for _, row := range rows {
				if row.live {
					live = append(live, row.name)
				} else {
					dead = append(dead, row.name)
				}
			}
			if _, err = t.remove(ctx, dead, ""); err != nil {
				return err
			}
			n, err = t.remove(ctx, live, "")
			return err
		})
		if err != nil {
			return total, err // n and rows may still be written to
		}
		total += n
		if len(rows) < page {
			return total, nil
		}
		after = rows[len(rows)-1].name
	}
}

// Prune implements [drivers.Pruner]. It removes a page of items at a time, so that other
// writers are not kept waiting. Items removed by a call that then fails stay removed.
func (t *Table) Prune(ctx context.Context) (int64, error) {
	ended := t.ended()
	var total int64
	for {
		var n int64
		var found int
		err := t.base.Execute(ctx, "prune", 0, func() (err error) {
			// Rows with a value, and rows with a lease only, which are not counted.
			var items, leases [][]byte
			row := func(r *sql.Rows) error {
				var name []byte
				var expires int64
				if err := r.Scan(&name, &expires); err != nil {
					return err
				}
				if name == nil {
					name = []byte{}
				}
				if expires > 0 {
					items = append(items, name)
				} else {
					leases = append(leases, name)
				}
				return nil
			}
			s := t.statement("SELECT name, expires FROM ", t.from, " WHERE 1 = 1", ended, " LIMIT ", strconv.Itoa(page))
			err = t.base.WhileBusy(ctx, func() error {
				items, leases = items[:0], leases[:0]
				return t.queryIn(ctx, nil, s, row)
			})
			if err != nil {
				return err
			}
			found = len(items) + len(leases)
			// With the condition again, because a row may have been written in the meantime.
			if _, err = t.remove(ctx, leases, ended); err != nil {
				return err
			}
			n, err = t.remove(ctx, items, ended)
			return err
		})
		if err != nil {
			return total, err // n and found may still be written to
		}
		total += n
		if found < page {
			return total, nil
		}
	}
}

// ended is the condition that a row has neither a value nor a lease.
func (t *Table) ended() string {
	return " AND expires <= " + t.Now + " AND lease_until <= " + t.Now
}

// pruneInBackground runs until Close.
func (t *Table) pruneInBackground() {
	for {
		// Random, so that the processes that share the table do not prune at the same time.
		wait := time.NewTimer(t.options.PruneEvery/2 + rand.N(t.options.PruneEvery))
		select {
		case <-wait.C:
		case <-t.background.Done():
			wait.Stop()
			return
		}
		removed, err := t.Prune(t.background)
		if t.options.OnPrune != nil && t.background.Err() == nil {
			t.options.OnPrune(removed, err)
		}
	}
}
