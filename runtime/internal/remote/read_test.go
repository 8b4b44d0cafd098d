package remote_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/outbox"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

var hour = policy.Policy{TTL: time.Hour, Grace: time.Hour}

// keysRead remembers the keys of each read.
func keysRead(shared *faketier.Shared) *[][]string {
	var reads [][]string
	shared.SetBefore(func(_ context.Context, op string, keys []string) error {
		if op == "get" {
			reads = append(reads, slices.Clone(keys))
		}
		return nil
	})
	return &reads
}

// pend queues a change that has not reached the shared tier.
func pend(s *storetest.Store, target func(string) pending.Target, name string) {
	s.Outbox.Add([]string{name}, target, pending.Item{Remote: true}, errDown)
}

func deleteStamp(name string) pending.Target { return outbox.StampTarget(name, false) }

func TestEntriesAndTheStampsThatCheckThemAreReadInOneRoundTrip(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared, Prefix: "app"})
	set(t, s.Remote, "app:b", "v")
	cell := s.Stamps.Cell("t:x")
	reads := keysRead(&shared)
	for range 2 {
		values, err := s.Remote.Read(t.Context(), time.Second, []string{"app:a", "app:b"}, []*stamp.Cell{cell})
		if err != nil || values[0] != nil || string(values[1]) != "v" {
			t.Fatal(values, err)
		}
	}
	want := [][]string{{"app:a", "app:b", "app:!s:t:x"}, {"app:a", "app:b"}} // and a stamp that is trusted is not read again
	if len(*reads) != 2 || !slices.Equal((*reads)[0], want[0]) || !slices.Equal((*reads)[1], want[1]) {
		t.Errorf("%q, want %q", *reads, want)
	}
	if v, _, ok := cell.Current(); ok || len(shared.Keys()) != 1 {
		t.Errorf("a read has made the stamp %v: %q", v, shared.Keys())
	}
}

// race R47: a process may be stopped between the answer of the tier and what becomes of it. What
// was read, and its stamps, are as old as the begin of the read.
func TestWhatIsReadIsAsOldAsTheBeginOfTheRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared, StampTrust: time.Minute})
		kind := s.Kind("")
		if err := s.Remote.MakeStamps(t.Context(), kind.Required, time.Hour); err != nil {
			t.Fatal(err)
		}
		packed, err := kind.Pack(s.Item(kind, "k", "v", hour))
		if err != nil {
			t.Fatal(err)
		}
		shared.Put("k", packed.Value)
		time.Sleep(time.Hour) // the stamps are not trusted any more
		shared.SetAfter(func(string, []string) { time.Sleep(500 * time.Millisecond) })
		began := clock.Now()
		items, _, err := s.Remote.ReadEntries(t.Context(), time.Second, kind, &hour, []string{"k"}, kind.Required)
		shared.SetAfter(nil)
		if err != nil || items[0] == nil || items[0].ConfirmedAt() != began {
			t.Errorf("%v, %v", items, err)
		}
		if _, trustUntil, _ := kind.Required[0].Current(); trustUntil != began+int64(time.Minute) {
			t.Errorf("its stamp is trusted for %v too long", time.Duration(trustUntil-began)-time.Minute)
		}
	})
}

func TestARemovedKeyIsAbsentWhileItsInvalidationIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		for _, key := range []string{"a", "b", "c"} {
			set(t, s.Remote, key, key)
		}
		reads := keysRead(&shared)
		pend(s, outbox.KeyTarget, "b")
		values, err := s.Remote.Read(t.Context(), time.Second, []string{"a", "b", "c", "d"}, nil)
		if err != nil || string(values[0]) != "a" || values[1] != nil || string(values[2]) != "c" || values[3] != nil {
			t.Errorf("%q, %v", values, err)
		}
		if len(*reads) != 1 || !slices.Equal((*reads)[0], []string{"a", "c", "d"}) || !s.Remote.KeyBlocked("b") || s.Remote.KeyBlocked("a") {
			t.Errorf("%q was read", *reads)
		}
	})
}

func TestAStampWithAPendingChangeIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		cell := s.Stamps.Cell("t:x")
		pend(s, deleteStamp, "t:x")
		_, err := s.Remote.Read(t.Context(), time.Second, []string{"k"}, []*stamp.Cell{cell})
		if err == nil || !strings.Contains(err.Error(), "pending") {
			t.Error(err)
		}
		if v, _, ok := cell.Current(); !ok || !cell.Provided(v) {
			t.Error("the cell has no stamp of this process")
		}
		if shared.Calls("get") != 0 {
			t.Error("it was read")
		}
	})
}

func TestAReadThatFailsGivesEachCellAStampThatOnlyThisProcessKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		known, fresh := s.Stamps.Cell("t:known"), s.Stamps.Cell("t:fresh")
		if err := s.Remote.MakeStamps(t.Context(), []*stamp.Cell{known}, time.Hour); err != nil {
			t.Fatal(err)
		}
		before, _, _ := known.Current()
		time.Sleep(time.Second) // what is known has to be read again
		shared.Down(errDown)
		if _, err := s.Remote.Read(t.Context(), time.Second, []string{"k"}, []*stamp.Cell{known, fresh}); !errors.Is(err, errDown) {
			t.Error(err)
		}
		if v, _, _ := known.Current(); v != before {
			t.Error("a stamp that was known has changed")
		}
		v, trustUntil, ok := fresh.Current()
		if !ok || !fresh.Provided(v) || trustUntil > time.Now().UnixNano() {
			t.Errorf("%v until %v, %v: it has to be checked once the tier answers", v, trustUntil, ok)
		}
		shared.Down(nil)
		if _, err := s.Remote.Read(t.Context(), time.Second, nil, []*stamp.Cell{fresh}); err != nil {
			t.Error(err)
		}
		if now, _, ok := fresh.Current(); ok {
			t.Error("it was not checked:", now)
		}
	})
}

// race R18, R23: a stamp that changes while it is read is read again, so that what was on
// its way when the change came is not believed.
func TestAStampThatChangesWhileItIsReadIsReadAgain(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared})
	cell := s.Stamps.Cell("t:x")
	if err := s.Remote.MakeStamps(t.Context(), []*stamp.Cell{cell}, time.Hour); err != nil {
		t.Fatal(err)
	}
	old, _, _ := cell.Current()
	s.Stamps.Doubt(cell)
	set(t, s.Remote, "k", "v")
	reads := 0
	shared.SetAfter(func(op string, _ []string) {
		if op != "get" {
			return
		}
		if reads++; reads == 1 { // the old stamp has been read, and is on its way
			shared.Put("!s:t:x", stamp.Record{Value: stamp.Value{Delete: 99, Expire: old.Expire}}.Bytes())
			s.Stamps.Change("t:x", false, true)
		}
	})
	values, err := s.Remote.Read(t.Context(), time.Second, []string{"k"}, []*stamp.Cell{cell})
	if err != nil || string(values[0]) != "v" || reads != 2 {
		t.Error(values, err, reads)
	}
	if v, _, _ := cell.Current(); v.Delete != 99 || v.Expire != old.Expire {
		t.Errorf("%v is believed, after %v", v, old)
	}
}

func TestAStampThatChangesAllTheTimeIsNotReadForEver(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared})
	cell := s.Stamps.Cell("t:x")
	reads := 0
	shared.SetAfter(func(op string, _ []string) {
		if op == "get" || op == "add" {
			reads++
			s.Stamps.Announce("t:x")
		}
	})
	if err := s.Remote.MakeStamps(t.Context(), []*stamp.Cell{cell}, time.Hour); err != nil {
		t.Error(err)
	}
	if v, _, ok := cell.Current(); !ok || !cell.Provided(v) || reads > 10 {
		t.Errorf("%v, %v after %d reads", v, ok, reads)
	}
}

// race R22: a stamp that the tier has lost, or that somebody else has written over, never
// comes back as the one that was there.
func TestALostOrForeignStampIsMadeAnew(t *testing.T) {
	for name, spoil := range map[string]func(*faketier.Shared){
		"evicted": func(shared *faketier.Shared) { shared.Evict("!s:t:x") },
		"foreign": func(shared *faketier.Shared) { shared.Put("!s:t:x", []byte("foreign")) },
		"zero":    func(shared *faketier.Shared) { shared.Put("!s:t:x", make([]byte, 24)) },
		"half": func(shared *faketier.Shared) {
			shared.Put("!s:t:x", stamp.Record{Value: stamp.Value{Expire: 1}}.Bytes())
		},
	} {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		cells := []*stamp.Cell{s.Stamps.Cell("t:x")}
		err := s.Remote.MakeStamps(t.Context(), cells, time.Hour)
		old, _, _ := cells[0].Current()
		spoil(&shared)
		s.Stamps.Doubt(cells[0])
		before := shared.Keys()
		_, errRead := s.Remote.Read(t.Context(), time.Second, nil, cells)
		if v, _, ok := cells[0].Current(); ok || !maps.EqualFunc(before, shared.Keys(), slices.Equal[[]byte]) {
			t.Errorf("%s: a reader has %v, or has changed the tier", name, v)
		}
		errAgain := s.Remote.MakeStamps(t.Context(), cells, time.Hour)
		v, _, _ := cells[0].Current()
		if err := errors.Join(err, errRead, errAgain); err != nil || v.Delete == old.Delete || v.Delete == 0 || v.Expire == old.Expire {
			t.Errorf("%s: %v after %v, %v", name, v, old, err)
		}
		if r, _ := stamp.Parse(shared.Keys()["!s:t:x"]); r.Value != v {
			t.Errorf("%s: the tier does not have it", name)
		}
		if s.Told("warn", "foreign data") != (name != "evicted") {
			t.Errorf("%s: %q", name, s.Lines("warn"))
		}
	}
}

// Of two processes that make a missing stamp at once, both end with one.
func TestTwoProcessesThatMakeOneStampAgree(t *testing.T) {
	var shared faketier.Shared
	here, there := storetest.New(t, store.Config{L2: &shared}), storetest.New(t, store.Config{L2: &shared})
	a, b := here.Stamps.Cell("t:x"), there.Stamps.Cell("t:x")
	once := false
	shared.SetBefore(func(_ context.Context, op string, _ []string) error {
		if op == "add" && !once { // here knows of none, and there is faster
			once = true
			if err := there.Remote.MakeStamps(t.Context(), []*stamp.Cell{b}, time.Hour); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err := here.Remote.MakeStamps(t.Context(), []*stamp.Cell{a}, time.Hour); err != nil {
		t.Fatal(err)
	}
	one, _, _ := a.Current()
	if two, _, _ := b.Current(); one != two {
		t.Errorf("%v here, %v there", one, two)
	}
}

// write stores an item of kind in the shared tier.
func write(t *testing.T, s *storetest.Store, it *entry.Item, kind *entry.Kind) {
	t.Helper()
	packed, err := kind.Pack(it)
	if err != nil {
		t.Fatal(err)
	}
	set(t, s.Remote, packed.Key, string(packed.Value))
}

// read reads the entries of keys, as a load does.
func read(t *testing.T, s *storetest.Store, kind *entry.Kind, keys ...string) ([]*entry.Item, error) {
	t.Helper()
	data, err := s.Remote.Read(t.Context(), time.Second, keys, kind.Required)
	if err != nil {
		t.Fatal(err)
	}
	return s.Remote.DecodeEntries(t.Context(), kind, &hour, keys, data)
}

func TestWhatCannotBeReadIsTakenForAMissAndTold(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared})
	kind, other := s.Kind("a.Load"), s.Kind("a.Load")
	other.Fingerprint++
	if _, err := read(t, s, kind, "none"); err != nil {
		t.Fatal(err)
	}
	write(t, s, s.Item(kind, "good", "v", hour), kind)
	write(t, s, s.Item(other, "other", "v", hour), other)
	shared.Put("foreign", []byte("foreign"))
	decode := kind.Decode
	kind.Decode = func(b []byte) (any, error) {
		v, _ := decode(b)
		if v == "broken" {
			return nil, errDown
		}
		return v, nil
	}
	write(t, s, s.Item(kind, "broken", "broken", hour), kind)
	items, err := read(t, s, kind, "none", "good", "other", "broken", "foreign")
	if err != nil || items[0] != nil || items[1] == nil || items[1].Value != "v" || items[2] != nil || items[3] != nil || items[4] != nil {
		t.Fatal(items, err)
	}
	got := s.Lines("unreadable")
	slices.Sort(got)
	want := []string{"broken: " + errDown.Error(), "foreign: " + entry.ErrUnreadable.Error(), "other schema: " + entry.ErrSchema.Error()}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if len(s.Lines("warn")) != 2 { // a text each
		t.Errorf("%q", s.Lines("warn"))
	}
}

// race R35: what another build has stored beside an entry is neither read nor told.
func TestOfSeveralVariantsTheOwnOneIsRead(t *testing.T) {
	var shared faketier.Shared
	s := storetest.New(t, store.Config{L2: &shared})
	one, two, three := s.Kind("a.Load"), s.Kind("a.Load"), s.Kind("a.Load")
	two.Fingerprint++
	three.Fingerprint += 2
	if _, err := read(t, s, one, "none"); err != nil {
		t.Fatal(err)
	}
	write(t, s, s.Item(one, "k", "one", hour), one)
	beside, _, err := two.PackBeside(s.Item(two, "k", "two", hour), shared.Keys()["k"])
	if err != nil {
		t.Fatal(err)
	}
	set(t, s.Remote, "k", string(beside.Value))
	for kind, want := range map[*entry.Kind]any{one: "one", two: "two"} {
		items, err := read(t, s, kind, "k")
		if err != nil || items[0] == nil || items[0].Value != want {
			t.Errorf("%v, %v, want %v", items, err, want)
		}
	}
	if s.Lines("unreadable") != nil || s.Lines("warn") != nil {
		t.Errorf("%q, %q", s.Lines("unreadable"), s.Lines("warn"))
	}
	if items, err := read(t, s, three, "k"); err != nil || items[0] != nil {
		t.Error(items, err)
	}
	if got, want := s.Lines("unreadable"), []string{"k schema: " + entry.ErrSchema.Error()}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// An entry may carry stamps that this process has not asked for: those of result tags.
func TestTheStampsThatEntriesCarryAreReadAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		here, there := storetest.New(t, store.Config{L2: &shared}), storetest.New(t, store.Config{L2: &shared})
		kind := there.Kind("")
		for _, key := range []string{"a", "b"} {
			if err := there.Remote.MakeStamps(t.Context(), kind.Cells([]string{key, "all"}), time.Hour); err != nil {
				t.Fatal(err)
			}
			write(t, there, there.Item(kind, key, "v", hour, key, "all"), kind)
		}
		reads := keysRead(&shared)
		items, err := read(t, here, here.Kind(""), "a", "b")
		if err != nil || len(*reads) != 2 || len((*reads)[1]) != 3 {
			t.Errorf("%v, %q", err, *reads)
		}
		for _, it := range items {
			if v := here.Memory.CheckLocal(it, time.Now().UnixNano()); v != 4 {
				t.Errorf("%s is worth %d", it.Key, v)
			}
		}
		time.Sleep(time.Second) // what is known of the stamps is too old
		data, err := here.Remote.Read(t.Context(), time.Second, []string{"a", "b"}, here.Kind("").Required)
		if err != nil {
			t.Fatal(err)
		}
		shared.Down(errDown)
		if items, err := here.Remote.DecodeEntries(t.Context(), here.Kind(""), &hour, []string{"a", "b"}, data); !errors.Is(err, errDown) || items != nil {
			t.Errorf("%v, %v: it may have been invalidated, and nobody can tell", items, err)
		}
	})
}

// race R23: an entry that is younger than what is known of its stamp knows better.
func TestAnEntryWithAYoungerStampThanTheOneThatIsTrustedHasItReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		here, there := storetest.New(t, store.Config{L2: &shared, StampTrust: time.Hour}), storetest.New(t, store.Config{L2: &shared})
		kind, hereKind := there.Kind(""), here.Kind("")
		tagged := func() *entry.Item { return there.Item(kind, "k", "v", hour, "x") }
		if err := there.Remote.MakeStamps(t.Context(), kind.Cells([]string{"x"}), time.Hour); err != nil {
			t.Fatal(err)
		}
		write(t, there, tagged(), kind)
		if items, err := read(t, here, hereKind, "k"); err != nil || items[0] == nil {
			t.Fatal(items, err)
		}
		old := tagged()
		time.Sleep(time.Second)
		if err := there.Invalidate.DeleteByTag(t.Context(), []string{"x"}, invalidate.Mode{}); err != nil { // here does not hear of it
			t.Fatal(err)
		}
		if err := there.Remote.MakeStamps(t.Context(), kind.Cells([]string{"x"}), time.Hour); err != nil {
			t.Fatal(err)
		}
		write(t, there, tagged(), kind)
		items, err := read(t, here, hereKind, "k")
		if err != nil || here.Memory.CheckLocal(items[0], time.Now().UnixNano()) != 4 {
			t.Errorf("%v: the younger entry is not valid", err)
		}
		write(t, there, old, kind)
		items, err = read(t, here, hereKind, "k")
		if err != nil || here.Memory.CheckLocal(items[0], time.Now().UnixNano()) != 0 {
			t.Errorf("%v: the older entry is valid", err)
		}
	})
}
