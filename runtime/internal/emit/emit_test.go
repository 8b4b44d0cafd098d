package emit

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/entry"
)

func TestAHookThatPanicsIsLoggedAndTheNextIsCalled(t *testing.T) {
	var out bytes.Buffer
	called := 0
	e := New("main", slog.New(slog.NewTextHandler(&out, nil)), event.Hooks{Miss: func(event.Miss) { panic("broken hook") }})
	e.Add(event.Hooks{Miss: func(m event.Miss) {
		if m != (event.Miss{Store: "main", Cache: "users", Key: "user:1"}) {
			t.Error(m)
		}
		called++
	}})
	e.Miss("users", "user:1")
	if called != 1 || !strings.Contains(out.String(), "broken hook") || !strings.Contains(out.String(), "store=main") {
		t.Fatal(called, out.String())
	}
	e.Hit("users", &entry.Item{Key: "user:1"}, event.L1, false) // without a hook nothing happens
}

func TestWarningsOfOneTextAreLimited(t *testing.T) {
	var out bytes.Buffer
	e := New("main", slog.New(slog.NewTextHandler(&out, nil)), event.Hooks{})
	for range 5 {
		e.Warn("shared tier: read", errors.New("refused"))
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("%d lines: %s", n, out.String())
	}
}
