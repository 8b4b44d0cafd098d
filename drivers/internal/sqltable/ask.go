package sqltable

import (
	"context"
	"database/sql"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// How leases are asked for. An upsert takes leases, and notes who is awaited, where a condition
// holds. How the other rows are read depends on the database:
//
//   - One that can have an upsert in a WITH reads in the same statement, before it writes. What
//     it has read as lent is not written. So processes that wait for a lease do not write, and
//     do not wait for each other's locks.
//   - A library is asked before, in a query of its own, which costs little: one that waits need
//     not wait for the one lock for writers. What the upsert then has not changed is read again.
//   - Of MySQL all rows are read after the upsert, and the mark tells which were taken. The upsert
//     writes nothing where it changes nothing.
//
// An answer is what held at one moment: that of the read, or that of the write. A row that was
// changed between the two may show no reason why it was not taken. Then its key has no answer,
// and the caller asks again.

// endOfLease is what lease_until has when a fill or a release has ended a lease: a time in the
// past, which is odd if somebody has waited.
const endOfLease = "lease_until % 2"

// until adds an expression for the end of a lease that begins now: an even time.
func (t *Table) until(s *statement, ttl time.Duration) *statement {
	ms := lifetime(ttl)
	return s.add(t.Now, " + ", t.Now, " % 2 + ").arg(ms + ms%2)
}

// askLeases asks for the leases of keys, which are different, and adds the answers to found.
func (t *Table) askLeases(ctx context.Context, keys []string, want drivers.LeaseRequest, found map[string]drivers.Lease) error {
	names, mark := t.names(keys), newMark()
	answers := make(map[string]drivers.Lease, len(keys))
	// What an attempt has told counts only if that has succeeded: if not, it has taken nothing.
	read := func(s *statement) error {
		return t.base.WhileBusy(ctx, func() error {
			told := make(map[string]drivers.Lease)
			err := t.queryIn(ctx, nil, s, func(rows *sql.Rows) error {
				name, lease, answered, err := scanLease(rows, want)
				if answered {
					told[name] = lease
				}
				return err
			})
			if err == nil {
				maps.Copy(answers, told)
			}
			return err
		})
	}
	// unanswered returns the keys that have no answer yet.
	unanswered := func() []string {
		return slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
			_, answered := answers[string(t.name(key))]
			return answered
		})
	}
	var err error
	switch {
	case t.UpsertInWith:
		err = read(t.readAndTake(keys, names, want))
	case t.OnDuplicateKey:
		if _, err = t.exec(ctx, t.take(keys, mark, want)); err == nil {
			err = read(t.look(names, mark))
		}
	default:
		if err = read(t.look(names, mark)); err != nil {
			break
		}
		rest := unanswered()
		// As many keys as prepared statements are for.
		err = t.groups(len(rest), maxItems, func(int) int { return 0 }, func(from, to int) error {
			s := t.take(rest[from:to], mark, want).add(" RETURNING ")
			return read(t.leaseColumns(s, taken(want)))
		})
		if rest = unanswered(); err == nil && len(rest) > 0 {
			err = read(t.look(t.names(rest), mark))
		}
	}
	if err != nil {
		return err
	}
	for _, key := range keys {
		if lease, answered := answers[string(t.name(key))]; answered {
			found[key] = lease
		}
	}
	return nil
}

// take returns the upsert that takes the leases of keys.
func (t *Table) take(keys []string, mark int64, want drivers.LeaseRequest) *statement {
	s := t.insert(keys, mark, func(s *statement, i int) {
		t.until(s.arg([]byte{}).add(", 0, ").arg([]byte(want.Token)).add(", "), want.TTL)
	})
	return t.onConflict(s, want)
}

// onConflict adds to an upsert what it does with a row that exists. The row is changed if its
// lease is taken, or has to be noted as awaited.
func (t *Table) onConflict(s *statement, want drivers.LeaseRequest) *statement {
	s.once = true
	until := t.stored("lease_until")
	take, note, kept := "1 = 1", "", ""
	if want.Replace {
		kept = " + CASE WHEN " + until + " > " + t.Now + " THEN " + until + " % 2 ELSE 0 END"
	} else {
		take = until + " <= " + t.Now
		if want.Await {
			note = until + " > " + t.Now + " AND " + until + " % 2 = 0"
		}
	}
	if want.IfAbsent {
		take += " AND " + t.absent()
		if note != "" {
			note += " AND " + t.absent()
		}
	}
	if t.OnDuplicateKey {
		otherwise := until
		if note != "" {
			otherwise = "IF(" + note + ", " + until + " + 1, " + until + ")"
		}
		return s.add(" ON DUPLICATE KEY UPDATE ", t.assignment("mark", take), ", ", t.assignment("lease", take),
			", lease_until = IF(", take, ", VALUES(lease_until)", kept, ", ", otherwise, ")")
	}
	s.add(" ON CONFLICT (name) DO UPDATE SET ")
	if note == "" {
		return s.add("lease = excluded.lease, lease_until = excluded.lease_until", kept, " WHERE ", take)
	}
	return s.add("lease = CASE WHEN ", take, " THEN excluded.lease ELSE c.lease END, ",
		"lease_until = CASE WHEN ", take, " THEN excluded.lease_until ELSE ", until, " + 1 END ",
		"WHERE ", take, " OR ", note)
}

// taken is the condition that a row that an upsert returns was taken. Otherwise the upsert has
// noted that its lease is awaited, which makes the time odd.
func taken(want drivers.LeaseRequest) string {
	if want.Replace {
		return "1 = 1"
	}
	return "lease_until % 2 = 0"
}

// readAndTake returns a statement that reads the rows of names that give a reason not to take
// their leases, and takes the leases of the others.
func (t *Table) readAndTake(keys []string, names [][]byte, want drivers.LeaseRequest) *statement {
	s := t.statement("WITH held AS (SELECT * FROM ", t.from, " WHERE name IN ").list(names).add(" AND (1 = 0")
	if want.IfAbsent {
		s.add(" OR expires > ", t.Now)
	}
	if !want.Replace {
		s.add(" OR lease_until > ", t.Now)
		if want.Await {
			s.add(" AND lease_until % 2 = 1")
		}
	}
	s.add(")), asked AS (INSERT INTO ", t.into, " (name, rest, value, expires, lease, lease_until) SELECT key.name, key.rest, ''::bytea, 0, ")
	t.until(t.bytes(s, []byte(want.Token)).add(", "), want.TTL).add(" FROM (VALUES ")
	for i, key := range keys {
		t.bytes(t.bytes(s.add(separator(i, "(", ", (")), names[i]).add(", "), t.rest(key)).add(")")
	}
	s.add(") key (name, rest) WHERE key.name NOT IN (SELECT name FROM held)")
	t.leaseColumns(t.onConflict(s, want).add(" RETURNING *) SELECT "), taken(want)).add(" FROM asked UNION ALL SELECT ")
	return t.leaseColumns(s, "1 = 0").add(" FROM held")
}

// bytes adds a parameter whose type the statement would not tell.
func (t *Table) bytes(s *statement, value any) *statement { return s.arg(value).add("::bytea") }

// look returns a query for the rows of names. The call with mark has taken those that have it.
func (t *Table) look(names [][]byte, mark int64) *statement {
	s := t.statement("SELECT ")
	if t.OnDuplicateKey {
		t.leaseColumns(s, "mark = ", mark)
	} else {
		t.leaseColumns(s, "1 = 0")
	}
	return s.add(" FROM ", t.from, " WHERE name IN ").list(names)
}

// leaseColumns adds the columns that scanLease scans. taken, with args at its end, is the
// condition that the call has taken the row.
func (t *Table) leaseColumns(s *statement, taken string, args ...any) *statement {
	s.add("name, CASE WHEN ", taken)
	for _, arg := range args {
		s.arg(arg)
	}
	return s.add(" THEN 1 ELSE 0 END, lease, lease_until - ", t.Now, ", lease_until % 2, ",
		"CASE WHEN expires > ", t.Now, " THEN 1 ELSE 0 END, CASE WHEN expires > ", t.Now, " THEN value END")
}

// scanLease returns what a row tells of a lease. answered is false if that is no answer to the
// request.
func scanLease(rows *sql.Rows, want drivers.LeaseRequest) (name string, lease drivers.Lease, answered bool, err error) {
	var key, holder sql.RawBytes
	var left int64
	var awaited, present int
	if err := rows.Scan(&key, &lease.Taken, &holder, &left, &awaited, &present, &lease.Value); err != nil {
		return "", lease, false, err
	}
	switch {
	case present == 0:
		lease.Value = nil
	case lease.Value == nil:
		lease.Value = []byte{} // some client libraries return an empty value as nil
	}
	switch {
	case lease.Taken:
		answered = true
	case want.IfAbsent && present != 0:
		answered = true
	case left > 0 && !want.Replace:
		lease.Holder, lease.Left = string(holder), milliseconds(left)
		answered = !want.Await || awaited != 0
	}
	return string(key), lease, answered, nil
}

// milliseconds returns ms as a duration, or the longest one.
func milliseconds(ms int64) time.Duration {
	return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}
