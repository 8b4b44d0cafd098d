package sqlite

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cachegen/cachegen/drivers/internal/sqlbase"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

var dialect = sqltable.Dialect{
	Dialect: sqlbase.Dialect{
		Name:     "sqlite",
		Quote:    `"`,
		Reserved: "sqlite_",
		Busy:     busy,
		Answered: answered,
		TooLarge: tooLarge,
	},
	// SQLite itself keeps 'now' as a whole number of milliseconds. julianday returns it as
	// a floating point number, and rounding restores the whole number.
	Now:    "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
	Schema: schema,
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
	resultPerm      = 3
	resultBusy      = 5
	resultLocked    = 6
	resultReadOnly  = 8
	resultInterrupt = 9
	resultIOErr     = 10
	resultCorrupt   = 11
	resultFull      = 13
	resultCantOpen  = 14
	resultTooBig    = 18
	resultNotADB    = 26
)

var resultTexts = map[string]int{
	"database is locked":        resultBusy,
	"database table is locked":  resultLocked,
	"database schema is locked": resultLocked,
	"string or blob too big":    resultTooBig,

	"access permission denied":             resultPerm,
	"attempt to write a readonly database": resultReadOnly,
	"disk I/O error":                       resultIOErr,
	"database disk image is malformed":     resultCorrupt,
	"database or disk is full":             resultFull,
	"unable to open database file":         resultCantOpen,
	"file is not a database":               resultNotADB,
	"no such table":                        1,
	"no such column":                       1,
}

func busy(err error) bool {
	c := code(err)
	return c == resultBusy || c == resultLocked
}

// answered reports every result of the library but those of a wait. There is no server that
// could be away: what cannot be written can often be read.
func answered(err error) bool {
	c := code(err)
	return c != 0 && c != resultBusy && c != resultLocked && c != resultInterrupt
}

func tooLarge(err error) bool { return code(err) == resultTooBig }
