package sqlite

import (
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBusyIsRecognisedWithoutACode(t *testing.T) {
	for text, want := range map[string]bool{
		"database is locked": true, "database table is locked: cachegen": true, "constraint failed": false,
	} {
		if got := busy(errors.New(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestATooLargeValueIsRefused(t *testing.T) {
	for text, want := range map[string]bool{"string or blob too big (18)": true, "disk I/O error": false} {
		if got := tooLarge(fmt.Errorf("step: %w", errors.New(text))); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
