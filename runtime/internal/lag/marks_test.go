package lag

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
)

const span = time.Second

func key(text string) Name { return Name{Text: text} }

func TestAMarkLastsForTheSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(span, 0)
		began := clock.Mono()
		if m.Any(key("k")) {
			t.Error("nothing is marked")
		}
		m.Keys([]string{"k"})
		m.Stamps([]string{"s"})
		for name, want := range map[Name]bool{key("k"): true, {true, "s"}: true, {true, "k"}: false, key("s"): false, key("other"): false} {
			if m.Any(name) != want {
				t.Errorf("%v: %v", name, !want)
			}
		}
		if !m.Any(key("other"), key("k")) {
			t.Error("one of several")
		}
		time.Sleep(span / 2)
		m.Keys([]string{"k", "later"})
		time.Sleep(span/2 + 1)
		if m.Any(Name{true, "s"}) || !m.Any(key("k")) || !m.Any(key("later")) {
			t.Error("a mark ends with its own span, and a later one goes on")
		}
		if !m.AnyAt(began, Name{true, "s"}) {
			t.Error("what has begun before")
		}
		time.Sleep(span)
		if m.Any(key("k"), key("later")) {
			t.Error("marked for ever")
		}
		m.Keys([]string{"one"})
		if len(m.until) != 1 || len(m.order) != 1 || len(m.times) != 1 {
			t.Errorf("%d names are remembered", len(m.until))
		}
	})
}

func TestManyNamesAreAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(span, 0)
		names := make([]string, most)
		for i := range names {
			names[i] = fmt.Sprint(i)
		}
		m.Keys(names)
		if m.Any(key("other")) || len(m.until) != most {
			t.Error("too early", len(m.until))
		}
		m.Keys([]string{"one more"})
		if !m.Any(key("other")) || len(m.until) != 0 || len(m.order) != 0 {
			t.Error("what is not remembered does not lag", len(m.until))
		}
		time.Sleep(span)
		if m.Any(key("other")) {
			t.Error("for ever")
		}
		m.All()
		if !m.Any(key("other")) {
			t.Error("not all")
		}
	})
}

func TestWithoutASpanNothingLags(t *testing.T) {
	for _, d := range []time.Duration{0, -1} {
		m := New(d, 0)
		m.Keys([]string{"k"})
		m.Stamps([]string{"k"})
		m.All()
		if m != nil || m.Any(key("k")) {
			t.Error(d)
		}
	}
}
