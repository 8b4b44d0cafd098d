package sqltable

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// The number of keys in a statement is a power of two, so that few prepared statements
// serve batches of any length. The largest statement has fewer than 999 parameters, the
// limit of old builds of SQLite.
const (
	maxKeys  = 512 // in a statement that only names keys
	maxItems = 128 // in a statement that inserts items
	maxPairs = 64  // in a statement that compares values or updates each key to its own value
	// maxBytes bounds what one statement of several items sends.
	maxBytes = 4 << 20
	// overhead is an upper bound of the bytes that a statement has for each item besides
	// the key and the value.
	overhead = 1 << 10
)

// A statement builds the text and the arguments of a statement side by side.
type statement struct {
	numbered bool
	once     bool // see send
	text     strings.Builder
	args     []any
}

func (t *Table) statement(text ...string) *statement {
	s := &statement{numbered: t.Numbered}
	return s.add(text...)
}

func (s *statement) add(text ...string) *statement {
	for _, part := range text {
		s.text.WriteString(part)
	}
	return s
}

// arg adds a parameter with its value.
func (s *statement) arg(value any) *statement {
	s.args = append(s.args, value)
	if s.numbered {
		s.text.WriteByte('$')
		s.text.WriteString(strconv.Itoa(len(s.args)))
	} else {
		s.text.WriteByte('?')
	}
	return s
}

// list adds names in parentheses, the last one repeated up to a power of two.
func (s *statement) list(names [][]byte) *statement {
	n := 1 << bits.Len(uint(len(names)-1))
	for i := range n {
		s.add(separator(i, "(", ","))
		s.arg(names[min(i, len(names)-1)])
	}
	return s.add(")")
}

// choose adds an expression that has, in the row of names[i], the value of i.
func (s *statement) choose(names [][]byte, value func(i int) any, otherwise string) *statement {
	s.add("CASE name")
	for i, name := range names {
		s.add(" WHEN ").arg(name).add(" THEN ").arg(value(i))
	}
	return s.add(" ELSE ", otherwise, " END")
}

func separator(i int, first, later string) string {
	if i == 0 {
		return first
	}
	return later
}

// insert adds the beginning of an upsert of keys. values adds the columns value,
// expires, lease and lease_until of the i-th.
func (t *Table) insert(keys []string, mark int64, values func(s *statement, i int)) *statement {
	s := t.statement("INSERT INTO ", t.into, " (name, value, expires, lease, lease_until")
	if t.MaxKey > 0 {
		s.add(", rest")
	}
	if t.OnDuplicateKey {
		s.add(", mark")
	}
	s.add(") VALUES ")
	for i, key := range keys {
		s.add(separator(i, "(", ", (")).arg(t.name(key)).add(", ")
		values(s, i)
		if t.MaxKey > 0 {
			s.add(", ").arg(t.rest(key))
		}
		if t.OnDuplicateKey {
			s.add(", ").arg(mark)
		}
		s.add(")")
	}
	return s
}

// overwrite adds the end of an upsert, which changes columns of existing rows, under a
// condition if it is not empty. MySQL looks at the condition again for each column, so those of
// the condition have to be the last, or to be set to what does not make it false.
func (t *Table) overwrite(s *statement, condition string, columns ...string) *statement {
	if t.OnDuplicateKey {
		s.add(" ON DUPLICATE KEY UPDATE ", t.assignment("mark", condition))
	} else {
		s.add(" ON CONFLICT (name) DO UPDATE SET ")
	}
	for i, column := range columns {
		if i > 0 || t.OnDuplicateKey {
			s.add(", ")
		}
		s.add(t.assignment(column, condition))
	}
	if condition != "" && !t.OnDuplicateKey {
		s.add(" WHERE ", condition)
	}
	return s
}

// written returns the columns that a write changes.
func (t *Table) written() []string {
	columns := []string{"value", "lease", "lease_until", "expires"}
	if t.MaxKey > 0 {
		columns = append([]string{"rest"}, columns...)
	}
	return columns
}

// value adds the columns of insert for an item.
func (t *Table) value(s *statement, item drivers.Item) {
	s.arg(item.Value).add(", ", t.Now, " + ").arg(lifetime(item.TTL)).add(", NULL, 0")
}

func (t *Table) absent() string { return t.stored("expires") + " <= " + t.Now }

// forever is a TTL in milliseconds that does not end, small enough to add the clock.
const forever = 1 << 62

// lifetime returns ttl in milliseconds, rounded up so that an item is kept for at least
// its TTL: the clock rounds down, both when the item is written and when it is read.
func lifetime(ttl time.Duration) int64 {
	if ttl == 0 {
		return forever
	}
	ms := ttl.Milliseconds() + 1
	if ttl%time.Millisecond > 0 {
		ms++
	}
	return ms
}

// groups divides n things into consecutive ranges for one statement each, and calls f for
// each range until f fails. The length of a range is a power of two, at most limit, and the
// sizes of its things together fit into a statement.
func (t *Table) groups(n, limit int, size func(i int) int, f func(from, to int) error) error {
	bytes := maxBytes
	if most := t.limit.Load(); most > 0 {
		bytes = int(min(int64(bytes), most/4)) // escaping can double the size
	}
	for from := 0; from < n; {
		to, sum := from, 0
		for to < n && to-from < limit && (to == from || sum+size(to) <= bytes) {
			sum += size(to)
			to++
		}
		to = from + 1<<(bits.Len(uint(to-from))-1)
		if err := f(from, to); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// checkSize refuses a key and values that do not fit into a statement.
func (t *Table) checkSize(key string, values ...[]byte) error {
	size := int64(len(key)) + overhead
	for _, value := range values {
		size += int64(len(value))
	}
	if limit := t.limit.Load(); limit > 0 && size > limit {
		return fmt.Errorf("%w: a key and value of %d bytes; %s is %d", drivers.ErrRefused, size-overhead, t.MaxStatement, limit)
	}
	if t.MaxItem > 0 && size > t.MaxItem {
		return fmt.Errorf("%w: a key and value of %d bytes; at most %d are allowed", drivers.ErrRefused, size-overhead, t.MaxItem-overhead)
	}
	return nil
}
