package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// Keys and tags come from users. In an error or a log line, none looks like a line of its own,
// and none fills the disk.
func TestNamesInErrorsAndLogLinesAreShortAndOnOneLine(t *testing.T) {
	mayTell(t, "shared tier", "breaker", "pending", "invalidation", "invalidations")
	forged := "1\n2026-12-01 ERROR all is lost"
	long := strings.Repeat("x", 10<<20)
	var log bytes.Buffer
	var shared faketier.Shared
	s := newStore(t, runtime.L2(&shared), runtime.Hooks(event.LogHooks(slog.New(plainLines{&log}), slog.LevelInfo)))
	c := newCache[string, int](t, s)
	shared.Down(errors.New("disk"))
	defer shared.Down(nil)
	for what, err := range map[string]error{
		"key": c.DeleteMany(t.Context(), forged, long), "tag": s.DeleteByTag(t.Context(), runtime.Tag(forged), runtime.Tag(long)),
		"load": (&event.LoadError{Store: "main", Keys: []string{forged, long}, Err: errors.New("disk")}),
	} {
		if err == nil || strings.Contains(err.Error(), "\n2026") || len(err.Error()) > 1000 {
			t.Errorf("%s: %d bytes: %.300v", what, len(err.Error()), err)
		}
	}
	if strings.Contains(log.String(), "\n2026") || log.Len() > 20_000 {
		t.Errorf("logged are %d bytes: %.300s", log.Len(), log.String())
	}
}

// The same for each event, whatever names it has.
func TestNamesInEventsAreLoggedShortAndOnOneLine(t *testing.T) {
	forged := "1\n2026-12-01 ERROR all is lost" + strings.Repeat("x", 10<<20)
	var log bytes.Buffer
	hooks := reflect.ValueOf(event.LogHooks(slog.New(plainLines{&log}), slog.LevelInfo))
	for i := range hooks.NumField() {
		e := reflect.New(hooks.Field(i).Type().In(0)).Elem()
		for _, name := range []string{"Key", "Keys", "Tags", "Targets", "Namespace"} {
			switch f := e.FieldByName(name); f.Kind() {
			case reflect.String:
				f.SetString(forged)
			case reflect.Slice:
				f.Set(reflect.ValueOf([]string{forged, forged}))
			}
		}
		log.Reset()
		hooks.Field(i).Call([]reflect.Value{e})
		if n := strings.Count(log.String(), "\n"); n != 1 || log.Len() > 2000 {
			t.Errorf("%s: %d lines, %d bytes", hooks.Type().Field(i).Name, n, log.Len())
		}
	}
}

// plainLines is a handler that quotes nothing, as some are.
type plainLines struct{ to *bytes.Buffer }

func (plainLines) Enabled(context.Context, slog.Level) bool { return true }
func (p plainLines) WithAttrs([]slog.Attr) slog.Handler     { return p }
func (p plainLines) WithGroup(string) slog.Handler          { return p }
func (p plainLines) Handle(_ context.Context, r slog.Record) error {
	fmt.Fprint(p.to, r.Message)
	r.Attrs(func(a slog.Attr) bool { fmt.Fprint(p.to, " ", a.Key, "=", a.Value); return true })
	fmt.Fprintln(p.to)
	return nil
}
