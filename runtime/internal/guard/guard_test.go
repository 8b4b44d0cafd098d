package guard

import (
	"errors"
	"strings"
	"testing"
)

func TestAPanicIsAnError(t *testing.T) {
	err := Call(func() error { panic("no connection") })
	if err == nil || !strings.HasPrefix(err.Error(), "driver panicked: no connection\n") || !strings.Contains(err.Error(), "guard_test.go") {
		t.Fatal(err)
	}
	own := errors.New("own")
	if err := Call(func() error { return own }); err != own {
		t.Fatal(err)
	}
}
