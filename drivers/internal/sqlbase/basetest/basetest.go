// Package basetest is what the tests of all tables in SQL databases use.
package basetest

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// Usable returns d, which must be usable, and closes it when the test ends.
func Usable[D interface {
	Err() error
	Close() error
}](t testing.TB, d D) D {
	t.Helper()
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Execute executes statements.
func Execute(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// MustSay checks that an error names the driver, the operation and the table, and contains each of
// reasons.
func MustSay(t testing.TB, err error, driver, operation, table string, reasons ...string) {
	t.Helper()
	if want := fmt.Sprintf("%s: %s in table %q: ", driver, operation, table); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want it to begin with %q", err, want)
		return
	}
	for _, reason := range reasons {
		if !strings.Contains(err.Error(), reason) {
			t.Errorf("error %q does not say %q", err, reason)
		}
	}
}
