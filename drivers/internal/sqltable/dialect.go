package sqltable

import (
	"crypto/sha256"
	"fmt"
	"regexp"

	"github.com/cachegen/cachegen/drivers/internal/sqlbase"
)

// A Dialect describes how one kind of database differs from the others.
type Dialect struct {
	sqlbase.Dialect
	// Numbered: parameters are $1, $2, …; otherwise question marks.
	Numbered bool
	// Now is an expression for the database's clock: Unix time in milliseconds, the same
	// throughout a statement and constant to the planner.
	Now string
	// MaxKey is how many bytes of a key fit into an index. A longer key is found by its
	// first MaxKey bytes and a hash of the whole key; the column rest holds the
	// remainder. Zero is no limit, and there is no column rest.
	MaxKey int
	// OnDuplicateKey: the upsert is MySQL's, which has no condition, and no statement
	// returns the rows that it changed. Instead a statement sets the column mark of the
	// rows to the mark of the call.
	OnDuplicateKey bool
	// UpsertInWith: a WITH can have an upsert, and casts are written "::bytea", as PostgreSQL
	// has it. Without, and without OnDuplicateKey, an upsert can have RETURNING.
	UpsertInWith bool
	// MaxStatement is a query for how many bytes a statement may have; empty if the
	// database has no setting for it.
	MaxStatement string
	// MaxItem is how many bytes key and value may have together; zero is no limit
	// besides that of a statement.
	MaxItem int64
	// Schema returns the statements that create the table and its index where they do
	// not exist. The name is not empty.
	Schema func(table string) []string
	// Columns is a query for the columns of the table %s: the name and, in one or several
	// more texts, the type of each. Fit has, by name, a pattern for the types that store
	// every byte. They are for databases that would store a value in an unfit column and
	// lose a part of it.
	Columns string
	Fit     map[string]*regexp.Regexp
	// Identity are queries for a text that names the server and the history of its data, from
	// the best to one that every server answers. There are none if the tier cannot tell.
	Identity []string
	// Untold reports that the server does not have what an Identity asks for, or does not tell
	// it to this user.
	Untold func(error) bool
}

// name returns the column name of key's row.
func (d *Dialect) name(key string) []byte {
	if d.MaxKey == 0 || len(key) <= d.MaxKey {
		return []byte(key)
	}
	sum := sha256.Sum256([]byte(key))
	return append([]byte(key[:d.MaxKey]), sum[:]...)
}

// rest returns the column rest of key's row: nil unless the key is long. The result is
// not a []byte because a nil []byte is NULL to some client libraries only.
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

// restColumn is the column rest in the list of a SELECT.
func (d *Dialect) restColumn() string {
	if d.MaxKey == 0 {
		return "NULL"
	}
	return "rest"
}

// stored is the value of a column in the existing row, in an upsert, where the plain name
// could also mean the new value.
func (d *Dialect) stored(column string) string {
	if d.OnDuplicateKey {
		return column
	}
	return "c." + column
}

// assignment sets column, in an upsert, to the value that would have been inserted, under
// a condition if condition is not empty. With OnDuplicateKey the condition is part of
// each assignment, so the columns of the condition have to be assigned last.
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

// successor returns the first string that is greater than all strings with prefix; ok is
// false if there is none.
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
