package sqltable

import (
	"crypto/sha256"
	"fmt"
	"regexp"
)

// A Dialect is what one kind of database does differently.
type Dialect struct {
	// Name begins every error.
	Name string
	// Quote surrounds the table's name.
	Quote string
	// Numbered parameters are $1, $2; others are question marks.
	Numbered bool
	// Now is the database's clock as an expression: Unix time in milliseconds, the
	// same in all of a statement and constant to the planner.
	Now string
	// MaxKey is how many bytes of a key fit into an index. A longer one is found by
	// its first MaxKey bytes and a hash of all, with the rest in a column of its
	// own. Zero is no limit, and no such column.
	MaxKey int
	// MaxTable is the longest table name, in bytes; zero is no limit.
	MaxTable int
	// Reserved is the beginning of names that tables cannot have, in lower case.
	Reserved string
	// OnDuplicateKey: the upsert is MySQL's, which knows no condition, and no
	// statement returns rows that it changed. Instead such rows bear the mark of
	// the call in a column of their own.
	OnDuplicateKey bool
	// MaxStatement is a query for how many bytes a statement may have, if the
	// database has a setting for it.
	MaxStatement string
	// MaxItem is how many bytes key and value may have together; zero is no limit
	// besides that of a statement.
	MaxItem int64
	// Schema returns the statements that make the table and its index, if they are
	// not there.
	Schema func(table string) []string
	// Columns is a query for the columns of the table %s: what their names are and, in
	// one text or several, what they can keep. Fit says by name what of that is good
	// enough. It is for databases that would take what a column then loses.
	Columns string
	Fit     map[string]*regexp.Regexp
	// CreateLock is executed before them, in one transaction with them, if not
	// empty.
	CreateLock string
	// Busy reports that a statement had no effect and is worth another try.
	Busy func(error) bool
	// TooLarge reports that the database does not take so many bytes.
	TooLarge func(error) bool
}

// name returns what the column name has for key.
func (d *Dialect) name(key string) []byte {
	if d.MaxKey == 0 || len(key) <= d.MaxKey {
		return []byte(key)
	}
	sum := sha256.Sum256([]byte(key))
	return append([]byte(key[:d.MaxKey]), sum[:]...)
}

// rest returns what the column rest has for key: nil unless the key is long. A nil
// []byte would be NULL to some drivers only.
func (d *Dialect) rest(key string) any {
	if d.MaxKey == 0 || len(key) <= d.MaxKey {
		return nil
	}
	return []byte(key[d.MaxKey:])
}

// key is the inverse of name and rest.
func (d *Dialect) key(name, rest []byte) string {
	if rest == nil {
		return string(name)
	}
	return string(name[:d.MaxKey]) + string(rest)
}

// restColumn is rest in a list of what to select.
func (d *Dialect) restColumn() string {
	if d.MaxKey == 0 {
		return "NULL"
	}
	return "rest"
}

func (d *Dialect) quoted(table string) string { return d.Quote + table + d.Quote }

// stored is a column as the row has it, where an upsert could also mean the new one.
func (d *Dialect) stored(column string) string {
	if d.OnDuplicateKey {
		return column
	}
	return "c." + column
}

// assignment gives column the value that an upsert wanted to insert, under a
// condition if it is not empty. Where the database wants it in each assignment, the
// columns of the condition have to be assigned last.
func (d *Dialect) assignment(column, condition string) string {
	switch {
	case !d.OnDuplicateKey:
		return fmt.Sprintf("%[1]s = excluded.%[1]s", column)
	case condition == "":
		return fmt.Sprintf("%[1]s = VALUES(%[1]s)", column)
	default:
		return fmt.Sprintf("%[1]s = IF(%[2]s, VALUES(%[1]s), %[1]s)", column, condition)
	}
}

// successor returns the first string after all that begin with prefix; ok is false
// if there is none.
func successor(prefix string) (end []byte, ok bool) {
	end = []byte(prefix)
	for len(end) > 0 {
		if last := len(end) - 1; end[last] < 0xff {
			end[last]++
			return end, true
		} else {
			end = end[:last]
		}
	}
	return nil, false
}
