package echo

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatWasWrittenIsToldFromAnythingElse(t *testing.T) {
	var w Written
	if _, ok := w.Last("k"); ok || w.Own("k", nil, 0) {
		t.Error("something was written")
	}
	w.note("k", []byte("a"), true)
	a, _ := w.Last("k")
	for found, own := range map[string]bool{"a": true, "b": false, "": false} {
		if w.Own("k", []byte(found), a) != own {
			t.Errorf("%q: not %v", found, own)
		}
	}
	if w.Own("k", nil, a) || w.Own("other", []byte("a"), a) {
		t.Error("nothing, or another key's, is taken for it")
	}
	w.note("k", []byte("b"), true) // while it was read
	if !w.Own("k", []byte("a"), a) || !w.Own("k", []byte("b"), a) || w.Own("k", []byte("c"), a) {
		t.Error("what was written meanwhile")
	}
	w.note("k", nil, true)
	if last, _ := w.Last("k"); !w.Own("k", []byte{}, last) || w.Own("k", nil, last) {
		t.Error("a value that is empty is none")
	}
	w.note("k", nil, false)
	if last, _ := w.Last("k"); w.Own("k", []byte{}, last) || !w.Own("k", nil, last) {
		t.Error("none is a value that is empty")
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Written
		is := func(key string) bool { _, ok := w.Last(key); return ok }
		w.note("k", nil, false)
		for i := range 2*most + 1 {
			w.note(fmt.Sprint(i), nil, false)
		}
		if is("k") || !is(fmt.Sprint(2*most)) || len(w.latest)+len(w.before) > 2*most {
			t.Error("the wrong ones are remembered")
		}
		time.Sleep(lately)
		w.note("new", nil, false)
		time.Sleep(lately)
		w.note("newer", nil, false)
		if is(fmt.Sprint(2*most)) || !is("new") {
			t.Error("not for a while")
		}
	})
}
