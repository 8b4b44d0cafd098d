package collect_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cachegen/cachegen/runtime/internal/budget"
	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// A store of a test remembers what it has carried out.
type store struct {
	got      []*collect.Changes
	function string
	warned   int
	err      error
}

func (s *store) HasOutbox() bool { return false }

func (s *store) Leave(context.Context, collect.Exec, *collect.Changes) (collect.Left, error) {
	panic("it has no outbox")
}

func (s *store) CarryOut(ctx context.Context, c *collect.Changes) (bool, error) {
	if collect.Of(ctx) != nil {
		panic("a change that is carried out would be held")
	}
	s.got, s.function = append(s.got, c), budget.Of(ctx).Function
	return s.err == nil, s.err
}

func (s *store) Warn(string, error) { s.warned++ }

func (s *store) only(t *testing.T) *collect.Changes {
	t.Helper()
	if len(s.got) != 1 {
		t.Fatalf("carried out %d times", len(s.got))
	}
	return s.got[0]
}

func remove(c *collect.Collected, s *store, keys ...string) bool {
	return c.Hold(s, "", func(ch *collect.Changes) { ch.Invalidate(keys, nil, collect.How{}) })
}

func keysOf[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), " ")
}

var (
	someKeys = []string{"a", "b", "c"}
	someTags = []string{"x", "y"}
	// tagged are the tags that the entries of all keys have.
	tagged = map[string][]string{"a": {"x"}, "b": {"x", "y"}, "c": nil}
)

func TestChangesComeToWhatTheirOrderSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		outer, inner := new(collect.Changes), new(collect.Changes)
		state, told := map[string]string{}, map[string]bool{}
		invalidate := func(key string, how collect.How) {
			if how.Expire && (state[key] == "" || state[key] == "expired") {
				state[key] = "expired"
			} else {
				state[key] = "deleted"
			}
			told[key] = told[key] || !how.Silent
		}
		c := outer
		n := rapid.IntRange(1, 12).Draw(t, "n")
		for i := range n {
			if rapid.IntRange(0, n).Draw(t, "inner") == 0 {
				outer.Absorb(inner)
				inner = new(collect.Changes)
				c = inner
			}
			how := collect.How{Expire: rapid.Bool().Draw(t, "expire"), Silent: rapid.Bool().Draw(t, "silent")}
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				key := rapid.SampledFrom(someKeys).Draw(t, "key")
				c.Invalidate([]string{key}, nil, how)
				invalidate(key, how)
			case 2:
				tag := rapid.SampledFrom(someTags).Draw(t, "tag")
				c.Invalidate(nil, []string{tag}, how)
				for _, key := range someKeys {
					if slices.Contains(tagged[key], tag) {
						invalidate(key, collect.How{Expire: how.Expire})
					}
				}
			case 3:
				of := entry.Cache{Name: rapid.SampledFrom([]string{"", "cache"}).Draw(t, "clear")}
				c.Clear(of, collect.How{})
				for _, key := range someKeys {
					invalidate(key, collect.How{})
				}
			default:
				key := rapid.SampledFrom(someKeys).Draw(t, "key")
				stamps := []string{entry.StoreStamp, entry.Cache{Name: "cache"}.Stamp()}
				c.Set(key, collect.Set{Stamps: append(stamps, entry.TagStamps(tagged[key])...), Silent: how.Silent, Of: i})
				state[key] = fmt.Sprint(i)
				told[key] = told[key] || !how.Silent
			}
		}
		if c == inner {
			outer.Absorb(inner)
		}
		c = outer
		for _, key := range someKeys {
			how, invalidated := c.Keys[key]
			tellsByKey := invalidated && !how.Silent
			how.Silent = false
			names := []string{entry.StoreStamp, entry.Cache{Name: "cache"}.Stamp()}
			for _, cl := range names {
				if _, ok := c.Clears[cl]; ok {
					how, invalidated, tellsByKey = collect.How{}, true, true
				}
			}
			for _, tag := range tagged[key] {
				if h, ok := c.Tags[tag]; ok {
					how.Expire = h.Expire && (how.Expire || !invalidated)
					invalidated, tellsByKey = true, true
				}
			}
			set, isSet := c.Sets[key]
			got := ""
			switch {
			case isSet:
				got = fmt.Sprint(set.Of)
				tellsByKey = tellsByKey || !set.Silent
			case invalidated && how.Expire:
				got = "expired"
			case invalidated:
				got = "deleted"
			}
			if got != state[key] || tellsByKey != told[key] {
				t.Errorf("%s is %q, told %v, want %q, %v: %+v", key, got, tellsByKey, state[key], told[key], c)
			}
		}
	})
}

func TestWhatIsHeldIsCarriedOutOnce(t *testing.T) {
	var a, b store
	a.err = errors.New("down")
	ctx, c := collect.New(t.Context(), collect.Inside, nil)
	if collect.Of(ctx) != c || collect.Of(t.Context()) != nil || collect.Of(collect.Without(ctx)) != nil || !collect.Open() {
		t.Error("the context")
	}
	remove(c, &a, "1", "2")
	remove(c, &a, "2", "3")
	c.Hold(&b, "app.Save", func(ch *collect.Changes) { ch.Clear(entry.Cache{Name: "n"}, collect.How{}) })
	c.Hold(&b, "app.Move", func(ch *collect.Changes) { ch.Invalidate(nil, []string{"t"}, collect.How{}) })
	if err := c.Commit(ctx); !errors.Is(err, a.err) {
		t.Error(err)
	}
	if got := keysOf(a.only(t).Keys); got != "1 2 3" {
		t.Error(got)
	}
	if ch := b.only(t); len(ch.Tags) != 1 || len(ch.Clears) != 1 || b.function != "app.Save, app.Move" {
		t.Errorf("%+v %q", ch, b.function)
	}
	for range 2 {
		if err := c.Commit(ctx); err != collect.ErrDone {
			t.Error(err)
		}
		if remove(c, &a, "4") {
			t.Error("held although it has ended")
		}
	}
	if a.warned != 1 || b.warned != 0 || collect.Open() {
		t.Error(a.warned, b.warned, collect.Open())
	}
}

func covers(c *collect.Collected, s *store, key string, stamps ...string) bool {
	table := stamp.NewTable(func(string) uint64 { return 1 })
	var refs []entry.StampRef
	for _, name := range stamps {
		refs = append(refs, entry.StampRef{Cell: table.Cell(name)})
	}
	return c.Covers(s, key, refs)
}

func TestWhatIsHeldCoversEntries(t *testing.T) {
	var s, other store
	_, c := collect.New(t.Context(), collect.Inside, nil)
	c.Hold(&s, "", func(ch *collect.Changes) {
		ch.Invalidate([]string{"deleted"}, []string{"tag"}, collect.How{})
		ch.Invalidate([]string{"expired"}, nil, collect.How{Expire: true})
		ch.Clear(entry.Cache{Namespace: []string{"n"}}, collect.How{})
		ch.Set("set", collect.Set{})
	})
	for _, test := range []struct {
		key    string
		stamps []string
		want   bool
	}{
		{"deleted", nil, true}, {"expired", nil, true}, {"set", nil, true}, {"x", nil, false},
		{"x", []string{"s", "t:tag"}, true}, {"x", []string{"s", "n:@n"}, true}, {"x", []string{"s", "n:@m", "c::tag", "t:other"}, false},
	} {
		if got := covers(c, &s, test.key, test.stamps...); got != test.want {
			t.Errorf("%s %q: %v", test.key, test.stamps, got)
		}
		if covers(c, &other, test.key, test.stamps...) {
			t.Errorf("%s %q in another store", test.key, test.stamps)
		}
	}
	c.Rollback()
	if covers(c, &s, "deleted") {
		t.Error("after the end")
	}
}

func TestATransactionThatCommitsByItselfIsNoPartOfTheOuterOne(t *testing.T) {
	var s store
	ctx, outer := collect.New(t.Context(), collect.Inside, nil)
	defer outer.Rollback()
	remove(outer, &s, "outer")
	inside, c := collect.New(ctx, collect.Apart, nil)
	remove(c, &s, "1")
	if !covers(c, &s, "outer") || covers(outer, &s, "1") {
		t.Error("a reader of the inner one is one of the outer one, too")
	}
	c.Hold(&s, "", func(ch *collect.Changes) { ch.Set("2", collect.Set{}) })
	if err := c.Commit(inside); err != nil {
		t.Fatal(err)
	}
	if ch := s.only(t); keysOf(ch.Keys) != "1" || keysOf(ch.Sets) != "2" || covers(outer, &s, "1") {
		t.Errorf("%+v", ch)
	}
}

// Whether it commits by itself is not known: what it changes is deleted when it is committed, and
// when the outer ones are.
func TestATransactionThatMayBeAPartOfAnotherDeletesTwice(t *testing.T) {
	var s store
	ctx, outermost := collect.New(t.Context(), collect.Inside, nil)
	ctx, outer := collect.New(ctx, collect.Inside, nil)
	inside, c := collect.New(ctx, collect.Unknown, nil)
	remove(c, &s, "1")
	c.Hold(&s, "", func(ch *collect.Changes) { ch.Set("2", collect.Set{}) })
	if err := c.Commit(inside); err != nil {
		t.Fatal(err)
	}
	outer.Rollback()
	if err := outermost.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if len(s.got) != 2 || keysOf(s.got[0].Keys) != "1 2" || keysOf(s.got[1].Keys) != "1 2" || len(s.got[0].Sets)+len(s.got[1].Sets) > 0 {
		t.Errorf("%+v", s.got)
	}
}

func TestAPartIsTakenOverByTheTransactionThatItIsOf(t *testing.T) {
	var s store
	ctx, first := collect.New(t.Context(), collect.Inside, nil)
	first.SetOf("first")
	ctx, second := collect.New(ctx, collect.Apart, nil)
	second.SetOf("second")
	if second.Find("first") != first || second.Find("second") != second || second.Find("third") != nil || first.Find("second") != nil {
		t.Error("not found")
	}
	inside, c := collect.New(ctx, collect.Inside, second.Find("first"))
	remove(c, &s, "1")
	if err := errors.Join(c.Commit(inside), second.Commit(ctx)); err != nil || len(s.got) > 0 {
		t.Fatal(err, s.got)
	}
	if err := first.Commit(ctx); err != nil || keysOf(s.only(t).Keys) != "1" {
		t.Error(err)
	}
	if second.Find("first") != nil {
		t.Error("found although it has ended")
	}
}

// When the outer one has ended before its part, nobody knows whether the data has changed.
func TestAPartThatEndsLateIsCarriedOut(t *testing.T) {
	var s store
	ctx, outer := collect.New(t.Context(), collect.Inside, nil)
	inside, c := collect.New(ctx, collect.Inside, nil)
	remove(c, &s, "1")
	c.Hold(&s, "", func(ch *collect.Changes) { ch.Set("2", collect.Set{}) })
	outer.Rollback()
	if err := c.Commit(inside); err != nil {
		t.Fatal(err)
	}
	if ch := s.only(t); keysOf(ch.Keys) != "1 2" || len(ch.Sets) > 0 || s.warned != 1 {
		t.Errorf("%+v, warned %d times", ch, s.warned)
	}
	// One that begins later has nothing to do with it.
	s = store{}
	inside, c = collect.New(ctx, collect.Inside, nil)
	remove(c, &s, "1")
	if err := c.Commit(inside); err != nil || s.warned != 0 || len(s.got) != 1 {
		t.Error(err, s)
	}
}

func TestNamesAreBoundedByTheirBytes(t *testing.T) {
	var c collect.Changes
	long := strings.Repeat("k", 1<<20)
	for i := range 20 {
		c.Invalidate([]string{fmt.Sprint(i, long)}, nil, collect.How{Silent: true, Log: i != 3})
	}
	if !c.Everything || len(c.Keys) > 0 || c.Whole.Silent || c.Whole.Log {
		t.Errorf("%v, %d keys, %+v", c.Everything, len(c.Keys), c.Whole)
	}
}

func TestMoreValuesThanABoundAreDeleted(t *testing.T) {
	var c collect.Changes
	for i := range 1002 {
		c.Set(fmt.Sprint(i), collect.Set{})
	}
	c.Set("1", collect.Set{Of: "again"})
	if len(c.Sets) != 1000 || keysOf(c.Keys) != "1000 1001" || c.Sets["1"].Of != "again" {
		t.Errorf("%d values, deletions of %s", len(c.Sets), keysOf(c.Keys))
	}
}
