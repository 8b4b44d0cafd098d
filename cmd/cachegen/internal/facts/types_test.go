package facts

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestImportable(t *testing.T) {
	for _, test := range []struct {
		path, by string
		want     bool
	}{
		{"fmt", "example.com/app", true},
		{"internal/bisect", "example.com/app", false},
		{"vendor/golang.org/x/net/http/httpguts", "example.com/app", false},
		{"net/internal/socktest", "example.com/app", false},
		{"example.com/app/internal/ids", "example.com/app", true},
		{"example.com/app/internal/ids", "example.com/app/users", true},
		{"example.com/app/internal/ids", "example.com/apple", false},
		{"example.com/lib/internal", "example.com/app", false},
		{"example.com/lib/internals", "example.com/app", true},
	} {
		if got := importable(test.path, test.by); got != test.want {
			t.Errorf("importable(%s, %s) = %t", test.path, test.by, got)
		}
	}
}
