package sqlite

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

var dialect = sqltable.Dialect{
	Name:  "sqlite",
	Quote: `"`,
	// SQLite itself keeps 'now' as a whole number of milliseconds. julianday returns it as
	// a floating point number, and rounding restores the whole number.
	Now:      "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
	Reserved: "sqlite_",
	Schema:   schema,
	Busy:     busy,
	TooLarge: tooLarge,
}

func schema(table string) []string {
	return []string{
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS "%s" (
	name BLOB NOT NULL PRIMARY KEY,
	value BLOB NOT NULL,
	expires INTEGER NOT NULL,
	lease BLOB,
	lease_until INTEGER NOT NULL DEFAULT 0
)`, table),
		fmt.Sprintf(`CREATE INDEX IF NOT EXISTS "%[1]s_expires" ON "%[1]s" (expires)`, table),
	}
}

// code returns the primary result code of err, from any client library: by a method
// where the library has one, otherwise by the text of sqlite3_errmsg, which is stable.
func code(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code() & 0xff
	}
	for text, code := range resultTexts {
		if strings.Contains(err.Error(), text) {
			return code
		}
	}
	return 0
}

const (
	resultBusy   = 5
	resultLocked = 6
	resultTooBig = 18
)

var resultTexts = map[string]int{
	"database is locked":        resultBusy,
	"database table is locked":  resultLocked,
	"database schema is locked": resultLocked,
	"string or blob too big":    resultTooBig,
}

func busy(err error) bool {
	c := code(err)
	return c == resultBusy || c == resultLocked
}

func tooLarge(err error) bool { return code(err) == resultTooBig }
