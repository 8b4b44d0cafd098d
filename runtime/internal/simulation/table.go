package simulation

import (
	"fmt"

	"github.com/cachegen/cachegen/runtime"
)

// A tableRow is a value of the caches. The source answers each question with a version of
// its own, so that a value tells when it was loaded.
type tableRow struct {
	ID      int
	Version int64
	Group   int // of the result tag
}

// The table has outerRows rows in the namespace rows, and after them innerRows in the
// namespace inner of it.
const (
	outerRows = 4
	innerRows = 2
	allRows   = outerRows + innerRows
)

func isInner(row int) bool { return row >= outerRows }

// rowsWhere returns the rows that satisfy keep.
func rowsWhere(keep func(row int) bool) (rows []int) {
	for row := range allRows {
		if keep(row) {
			rows = append(rows, row)
		}
	}
	return rows
}

// rowTag is the tag that the key of a row tells, groupTag the one that its value tells.
func rowTag(row int) runtime.Tag     { return runtime.Tag(fmt.Sprint("row:", row)) }
func groupTag(group int) runtime.Tag { return runtime.Tag(fmt.Sprint("group:", group)) }

// entryKey is the key of a row's entry in the shared tier.
func entryKey(row int) string {
	if isInner(row) {
		return fmt.Sprint("@rows@inner:", row)
	}
	return fmt.Sprint("@rows:", row)
}
