package entry

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

var errNoValue = errors.New("no value")

func anyNumber(string) uint64 { return rand.Uint64() }

// newKind returns a kind of strings whose entries are also cleared with the store and with
// the cache.
func newKind(remote bool) *Kind {
	table := stamp.NewTable(anyNumber)
	k := &Kind{
		Cache: "a.Load", Fingerprint: 42, Stamps: table, Random: anyNumber, Remote: remote,
		Encode:   func(v any) ([]byte, error) { return []byte(v.(string)), nil },
		Decode:   func(b []byte) (any, error) { return string(b), nil },
		Size:     func(v any) int { s, _ := v.(string); return len(s) },
		NotFound: errNoValue, Absent: func(v any) bool { return v == "" },
	}
	for _, name := range (Cache{Name: k.Cache}).RequiredStamps() {
		k.Required = append(k.Required, provided(table, name))
	}
	return k
}

// provided returns the cell of a name, with a stamp.
func provided(table *stamp.Table, name string) *stamp.Cell {
	c := table.Cell(name)
	table.Provide(c, clock.Never)
	return c
}

func TestWhatIsPackedIsUnpackedAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKind(true)
		provided(k.Stamps, TagStamp("team:1"))
		p := policy.Policy{TTL: time.Minute, Grace: time.Hour, NotFoundTTL: time.Minute, L1TTL: time.Second, Refresh: policy.Span{Percent: 50}}
		for _, presence := range []Presence{Present, NotFound, Absent} {
			it := k.New("user:7", "value", presence, &p, clock.Now(), Refs(k.Cells([]string{"team:1"})))
			packed, err := k.Pack(it)
			if err != nil || packed.Key != "user:7" || packed.TTL != time.Duration(it.StaleUntil-clock.Now()) {
				t.Fatal(packed, err)
			}
			time.Sleep(time.Second)
			got, value, err := k.Unpack(&p, "user:7", packed.Value)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Fill(got, value); err != nil {
				t.Fatal(err)
			}
			if got.Value != it.Value || got.Presence != presence || got.FreshUntil != it.FreshUntil || got.StaleUntil != it.StaleUntil || got.Grace != it.Grace ||
				got.LoadStarted != it.LoadStarted || got.Size != it.Size || got.RefreshAt != it.RefreshAt || !slices.Equal(got.Stamps, it.Stamps) || !got.IsInt("user:", 7) {
				t.Errorf("got %+v, want %+v", got, it)
			}
			// race R30: the deadlines are those of the load; only the time in memory begins anew.
			if !got.FromRemote || got.LocalOnly || got.ObtainedAt != clock.Now() || got.RecheckAt != clock.Now()+int64(time.Second) {
				t.Errorf("it does not say where it is from: %+v", got)
			}
		}
	})
}

// race R34: that there is no value has a TTL of its own, no grace, and no value.
// race R47: what a value says of its source is as old as the begin of its load, or of the read
// that found it, however long that took.
// A machine whose clock is behind has not come to the moment at which an entry was expired.
func TestWhatAUserHasExpiredIsFreshByNoClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := newKind(true), policy.Policy{TTL: 2 * time.Hour, Grace: time.Hour}
		packed, err := k.Pack(k.New("user:7", "value", Present, &p, clock.Now(), Refs(k.Required)))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		expired := ExpiredValues([]string{"user:7"}, [][]byte{packed.Value})[0].New
		for _, behind := range []time.Duration{0, time.Minute, 2 * time.Hour} {
			restore := clock.Set(-behind)
			it, _, err := k.Unpack(&p, "user:7", expired)
			restore()
			if err != nil || it.FreshUntil > clock.Now() || it.StaleUntil <= clock.Now() {
				t.Errorf("a clock that is %v behind: fresh for %v, stale for %v, %v", behind,
					time.Duration(it.FreshUntil-clock.Now()), time.Duration(it.StaleUntil-clock.Now()), err)
			}
		}
	})
}

func TestAnItemIsConfirmedAsOfWhenItWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKind(true)
		p := policy.Policy{TTL: time.Hour}
		began, wall := clock.Now(), clock.Wall()
		time.Sleep(5 * time.Second)
		it := k.New("user:7", "value", Present, &p, wall, Refs(k.Cells(nil)))
		if it.ConfirmedAt() != began || it.ObtainedAt != clock.Now() || it.FreshUntil != clock.Add(clock.Now(), time.Hour) {
			t.Errorf("confirmed %v, obtained %v ago", clock.Now()-it.ConfirmedAt(), clock.Now()-it.ObtainedAt)
		}
		for name, copied := range map[string]*Item{"kept": k.Kept(it), "expired": it.ExpiredCopy(clock.Now())} {
			if copied != nil && copied.ConfirmedAt() != began {
				t.Errorf("a copy that is %s is confirmed %v later", name, copied.ConfirmedAt()-began)
			}
		}
		it.FoundAt(began - 1)
		it.Confirm(0, began-2)
		if it.ConfirmedAt() != began-1 {
			t.Error("confirmed earlier than before")
		}
	})
}

func TestThatThereIsNoValueIsKeptForItsOwnTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, now := newKind(true), clock.Now()
		p := policy.Policy{TTL: time.Hour, Grace: time.Hour, Refresh: policy.Span{Percent: 50}}.Apply(policy.Options{NotFoundTTL: policy.Some(time.Minute)})
		for _, presence := range []Presence{NotFound, Absent} {
			it := k.New("k", "value", presence, &p, now, nil)
			if it.Value != nil || it.FreshUntil != now+int64(time.Minute) || it.HasGrace() || it.StaleUntil != it.FreshUntil || it.RefreshAt != clock.Never {
				t.Errorf("%+v", it)
			}
		}
	})
}

// race R35: what was written for another shape is no entry of this one.
func TestWhatAnotherKindHasWrittenIsNotUnpacked(t *testing.T) {
	k := newKind(true)
	p := policy.Policy{TTL: time.Minute}
	pack := func(presence Presence, stamps []StampRef) []byte {
		packed, err := k.Pack(k.New("k", "value", presence, &p, 1, stamps))
		if err != nil {
			t.Fatal(err)
		}
		return packed.Value
	}
	whole := Refs(k.Cells(nil))
	value, notFound, absent := pack(Present, whole), pack(NotFound, whole), pack(Absent, whole)
	for _, test := range []struct {
		name   string
		data   []byte
		change func(*Kind)
		want   error
	}{
		{"the same", value, func(*Kind) {}, nil},
		{"another shape", value, func(k *Kind) { k.Fingerprint++ }, ErrSchema},
		{"not found, of a cache without such an error", notFound, func(k *Kind) { k.NotFound = nil }, ErrSchema},
		{"absent, of a cache without such a value", absent, func(k *Kind) { k.Absent = nil }, ErrSchema},
		{"bytes", []byte("bytes"), func(*Kind) {}, ErrUnreadable},
		{"nothing", nil, func(*Kind) {}, ErrUnreadable},
		{"without stamps", pack(Present, nil), func(*Kind) {}, ErrMissingStamp},
		{"without the cache's stamp", pack(Present, whole[:1]), func(*Kind) {}, ErrMissingStamp},
		{"stamps in another order", pack(Present, []StampRef{whole[1], whole[0]}), func(*Kind) {}, ErrMissingStamp},
	} {
		other := newKind(true)
		other.Stamps, other.Required = k.Stamps, k.Required
		test.change(other)
		it, _, err := other.Unpack(&p, "k", test.data)
		if !errors.Is(err, test.want) || (it != nil) != (test.want == nil) {
			t.Errorf("%s: %v, %v", test.name, it, err)
		}
	}
}

func TestTheCodecsErrorsAreHandedOn(t *testing.T) {
	k := newKind(true)
	broken := errors.New("broken")
	p := policy.Policy{TTL: time.Minute}
	it := k.New("k", "value", Present, &p, 1, nil)
	k.Encode = func(any) ([]byte, error) { return nil, broken }
	k.Decode = func([]byte) (any, error) { return nil, broken }
	if _, err := k.Pack(it); err != broken {
		t.Error(err)
	}
	if err := k.Fill(it, nil); err != broken {
		t.Error(err)
	}
	none := k.New("k", nil, NotFound, &p, 1, nil)
	if _, err := k.Pack(none); err != nil {
		t.Error("there is nothing to encode:", err)
	}
	if err := k.Fill(none, nil); err != nil {
		t.Error("there is nothing to decode:", err)
	}
}

// The stamps that have invalidated the old item since then have invalidated the new one.
func TestARenewedItemCarriesTheStampsOfTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKind(true)
		p := policy.Policy{TTL: time.Minute}
		provided(k.Stamps, TagStamp("old"))
		old := k.New("k", "value", Present, &p, 1, Refs(k.Cells([]string{"old"})))
		k.Stamps.Change(StoreStamp, true, false)
		provided(k.Stamps, TagStamp("new"))
		time.Sleep(time.Hour)
		it := k.Renew(old, &p, 2, Refs(k.Cells([]string{"old", "new"})))
		if it.Value != "value" || it.LoadStarted != 2 || it.FreshUntil != clock.Now()+int64(time.Minute) {
			t.Errorf("%+v", it)
		}
		if len(it.Stamps) != 4 || !slices.Equal(it.Stamps[:3], old.Stamps) || it.Stamps[3].Cell.Name != TagStamp("new") {
			t.Errorf("%+v", it.Stamps)
		}
		if len(old.Stamps) != 3 {
			t.Error("the old one has changed")
		}
	})
}

func TestCellsAreTheRequiredOnesAndEachTagOnce(t *testing.T) {
	k := newKind(false)
	names := func(cells []*stamp.Cell) (names []string) {
		for _, c := range cells {
			names = append(names, c.Name)
		}
		return names
	}
	if got := names(k.Cells([]string{"a", "b", "a"})); !slices.Equal(got, []string{"s", "c::a.Load", "t:a", "t:b"}) {
		t.Error(got)
	}
	k.Cells([]string{"a"})[0] = nil
	if k.Required[0] == nil {
		t.Error("the kind's own list was handed out")
	}
	carried := Refs(k.Cells([]string{"a"}))
	if got := names(k.TagCells(carried, []string{"b", "a", "b"})); !slices.Equal(got, []string{"t:b"}) {
		t.Error(got)
	}
	if !Carries(carried, k.Required[1]) || Carries(carried, k.Stamps.Cell("t:b")) {
		t.Error("Carries")
	}
}

func TestOwnCopiesWhereCallersMustNotShare(t *testing.T) {
	k := newKind(false)
	b := []byte("x")
	if got := k.Own(b).([]byte); &got[0] != &b[0] {
		t.Error("copied although nothing asks for it")
	}
	k.Copy = func(v any) any { return bytes.Clone(v.([]byte)) }
	if got := k.Own(b).([]byte); &got[0] == &b[0] || string(got) != "x" {
		t.Error("not a copy")
	}
	if k.Own(nil) != nil {
		t.Error("a nil has a copy")
	}
}
