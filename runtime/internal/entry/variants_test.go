package entry

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// builds returns the kinds of several builds of one function, which know the same stamps.
func builds(n int) (kinds []*Kind) {
	first := newKind(true)
	for i := range n {
		k := newKind(true)
		k.Stamps, k.Required = first.Stamps, first.Required
		k.Fingerprint = uint64(100 + i)
		kinds = append(kinds, k)
	}
	return kinds
}

// beside returns the bytes of key k after a build has stored value there.
func beside(t *testing.T, k *Kind, value string, p policy.Policy, before []byte) []byte {
	t.Helper()
	packed, _, err := k.PackBeside(k.New("k", value, Present, &p, clock.Wall(), Refs(k.Required)), before)
	if err != nil {
		t.Fatal(err)
	}
	return packed.Value
}

// read returns what a build reads from the bytes of key k.
func read(k *Kind, data []byte) (any, error) {
	p := policy.Policy{TTL: time.Hour}
	it, value, err := k.Unpack(&p, "k", data)
	if err != nil {
		return nil, err
	}
	if err := k.Fill(it, value); err != nil {
		return nil, err
	}
	if it.packed == 0 || !it.IsPacked(data) {
		return nil, errors.New("it is not what it was read from")
	}
	return it.Value, nil
}

// race R35: builds that cannot read each other's entries do not replace them.
func TestEachBuildReadsItsVariant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, p := builds(4), policy.Policy{TTL: time.Hour}
		alone := beside(t, all[0], "a", p, nil)
		if packed, err := all[0].Pack(all[0].New("k", "a", Present, &p, clock.Wall(), Refs(all[0].Required))); err != nil || !bytes.Equal(alone, packed.Value) {
			t.Errorf("one entry is not its envelope: %q, %v", alone, err)
		}
		data := alone
		for i, k := range all[1:3] {
			time.Sleep(time.Second)
			data = beside(t, k, string("bc"[i]), p, data)
		}
		for i, want := range []any{"a", "b", "c"} {
			if got, err := read(all[i], data); got != want || err != nil {
				t.Errorf("build %d: %v, %v", i, got, err)
			}
		}
		if _, err := read(all[3], data); err != ErrSchema {
			t.Errorf("a build that has stored nothing: %v", err)
		}
		again := beside(t, all[1], "B", p, data) // in place of its own
		if got, err := read(all[1], again); got != "B" || err != nil || len(again) != len(data) {
			t.Errorf("%v, %v, %d bytes after %d", got, err, len(again), len(data))
		}
		time.Sleep(time.Second)
		four := beside(t, all[3], "d", p, again) // of more than three the youngest are kept
		for i, want := range []any{nil, "B", "c", "d"} {
			if got, err := read(all[i], four); got != want || (err == nil) != (want != nil) {
				t.Errorf("of four, build %d: %v, %v", i, got, err)
			}
		}
	})
}

func TestReadingAVariantCopiesNothing(t *testing.T) {
	all, p := builds(2), policy.Policy{TTL: time.Hour}
	data := beside(t, all[1], "b", p, beside(t, all[0], "a", p, nil))
	v, err := variant(data, all[0].Fingerprint)
	if err != nil || &v[0] != &data[len(data)-len(v)] || cap(v) != len(v) {
		t.Error(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = variant(data, all[0].Fingerprint) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	_, value, err := Parse(v)
	if err != nil || cap(value) != len(value) {
		t.Errorf("a codec could write behind the value: %d, %d, %v", len(value), cap(value), err)
	}
}

func TestWhatNobodyCanUseDoesNotStayBesideANewEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := builds(2)
		long, short := policy.Policy{TTL: time.Hour}, policy.Policy{TTL: time.Minute, Grace: time.Minute}
		for _, test := range []struct {
			name   string
			before func() []byte
			wait   time.Duration
			kept   bool
			ttl    time.Duration
		}{
			{"alive", func() []byte { return beside(t, all[1], "b", short, nil) }, time.Minute, true, time.Hour},
			{"lives longer", func() []byte { return beside(t, all[1], "b", policy.Policy{TTL: 3 * time.Hour}, nil) }, time.Hour, true, 2 * time.Hour},
			{"without an end", func() []byte { return beside(t, all[1], "b", policy.Policy{TTL: time.Duration(clock.Never)}, nil) }, time.Hour, true, 0},
			{"over", func() []byte { return beside(t, all[1], "b", short, nil) }, 2 * time.Minute, false, time.Hour},
			{"cleared", func() []byte {
				data := beside(t, all[1], "b", long, nil)
				all[1].Stamps.Change(all[1].Required[1].Name, false, false)
				return data
			}, 0, false, time.Hour},
			{"of another cache", func() []byte {
				return Append(nil, &Header{StaleUntil: clock.Never, Stamps: []stamp.Named{{Name: "s"}, {Name: "c::other"}}}, nil)
			}, 0, false, time.Hour},
			{"without stamps", func() []byte { return Append(nil, &Header{StaleUntil: clock.Never}, nil) }, 0, false, time.Hour},
			{"unreadable", func() []byte { return []byte("foreign") }, 0, false, time.Hour},
			{"empty", func() []byte { return []byte{} }, 0, false, time.Hour},
			{"with a changed byte", func() []byte {
				data := beside(t, all[1], "b", long, nil)
				data[len(data)-checksum-1]++
				return data
			}, 0, false, time.Hour},
		} {
			before := test.before()
			time.Sleep(test.wait)
			it := all[0].New("k", "a", Present, &long, clock.Wall(), Refs(all[0].Required))
			both, alone, err := all[0].PackBeside(it, before)
			if err != nil || both.Key != "k" || both.TTL != test.ttl || alone.TTL != time.Hour {
				t.Errorf("%s: %+v, %+v, %v", test.name, both, alone, err)
			}
			_, err = read(all[1], both.Value)
			if kept := err == nil; kept != test.kept || bytes.Equal(both.Value, alone.Value) == test.kept {
				t.Errorf("%s: kept %v, %v", test.name, kept, err)
			}
			for _, data := range [][]byte{both.Value, alone.Value} {
				if got, err := read(all[0], data); got != "a" || err != nil || !it.IsPacked(data) {
					t.Errorf("%s: the new entry: %v, %v", test.name, got, err)
				}
			}
		}
	})
}

// race R34: that there is no value is a variant like others.
func TestAVariantCanSayThatThereIsNoValue(t *testing.T) {
	all, p := builds(3), policy.Policy{TTL: time.Hour, NotFoundTTL: time.Hour}
	data := beside(t, all[0], "a", p, nil)
	for i, presence := range []Presence{NotFound, Absent} {
		k := all[i+1]
		packed, _, err := k.PackBeside(k.New("k", nil, presence, &p, clock.Wall(), Refs(k.Required)), data)
		if err != nil {
			t.Fatal(err)
		}
		data = packed.Value
	}
	for i, want := range []Presence{Present, NotFound, Absent} {
		if it, _, err := all[i].Unpack(&p, "k", data); err != nil || it.Presence != want {
			t.Errorf("build %d: %+v, %v", i, it, err)
		}
	}
	all[1].NotFound = nil // another build has none
	if _, _, err := all[1].Unpack(&p, "k", data); err != ErrSchema {
		t.Error(err)
	}
}

func TestAnItemIsAmongVariants(t *testing.T) {
	all, p := builds(2), policy.Policy{TTL: time.Hour}
	it := all[0].New("k", "a", Present, &p, clock.Wall(), Refs(all[0].Required))
	packed, err := all[0].Pack(it)
	if err != nil {
		t.Fatal(err)
	}
	both := beside(t, all[1], "b", p, packed.Value)
	other := beside(t, all[1], "b", p, nil)
	newer := beside(t, all[0], "A", p, both)
	for _, test := range []struct {
		name string
		data []byte
		want bool
	}{
		{"alone", packed.Value, true}, {"beside another", both, true}, {"another", other, false}, {"a newer one", newer, false},
		{"nothing", nil, false}, {"cut", both[:len(both)-1], false}, {"only a head", both[:severalHead], false},
	} {
		if got := it.IsPacked(test.data); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if (&Item{}).IsPacked(both) {
		t.Error("an item that was never packed")
	}
}

// race R33: an expire concerns what all builds have stored.
func TestExpireReachesAllVariants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := builds(3)
		grace, none := policy.Policy{TTL: time.Hour, Grace: time.Minute}, policy.Policy{TTL: time.Hour}
		one := beside(t, all[0], "a", grace, nil)
		both := beside(t, all[1], "b", policy.Policy{TTL: time.Hour, Grace: 2 * time.Minute}, one)
		three := beside(t, all[2], "c", none, both)
		broken := slices.Clone(both)
		broken[severalHead+lengthBytes+fixed]++ // in the younger one
		for _, test := range []struct {
			name string
			data []byte
			left []any
			ttl  time.Duration
		}{
			{"one", one, []any{"a", nil, nil}, time.Minute},
			{"both with grace", both, []any{"a", "b", nil}, 2 * time.Minute},
			{"one without", three, []any{"a", "b", nil}, 2 * time.Minute},
			{"all without", beside(t, all[0], "a", none, beside(t, all[1], "b", none, nil)), nil, 0},
			{"one unreadable", broken, []any{"a", nil, nil}, time.Minute},
			{"nothing readable", []byte("foreign"), nil, 0},
			{"cut", both[:len(both)-1], nil, 0},
		} {
			swaps := ExpiredValues([]string{"none", "k"}, [][]byte{nil, test.data})
			if len(swaps) != 1 || swaps[0].Key != "k" || !bytes.Equal(swaps[0].Old, test.data) || swaps[0].TTL != test.ttl {
				t.Errorf("%s: %+v", test.name, swaps)
				continue
			}
			if (swaps[0].New == nil) != (test.left == nil) {
				t.Errorf("%s: %q is left", test.name, swaps[0].New)
			}
			for i, want := range test.left {
				p := policy.Policy{TTL: time.Hour}
				it, value, err := all[i].Unpack(&p, "k", swaps[0].New)
				if (err == nil) != (want != nil) || err == nil && (string(value) != want || !it.Expired || it.FreshUntil != clock.Now()) {
					t.Errorf("%s: build %d: %+v, %q, %v", test.name, i, it, value, err)
				}
			}
		}
	})
}

func TestWhatClaimsToBeVariantsAndIsNotIsUnreadable(t *testing.T) {
	all, p := builds(4), policy.Policy{TTL: time.Hour}
	var envelopes [][]byte
	for _, k := range all {
		envelopes = append(envelopes, beside(t, k, "v", p, nil))
	}
	both := join(envelopes[:2])
	for n := severalHead; n < len(both); n++ {
		cut := both[:n]
		if _, ok := Headers(cut); ok && n != severalHead+lengthBytes+len(envelopes[0]) {
			t.Errorf("%d of %d bytes are readable", n, len(both))
		}
		if _, err := read(all[1], cut); err == nil {
			t.Errorf("%d of %d bytes have the last variant", n, len(both))
		}
	}
	long := slices.Clone(both)
	binary.BigEndian.PutUint32(long[severalHead:], 1<<32-1)
	nested := join([][]byte{both, envelopes[2]})
	for name, data := range map[string][]byte{
		"nothing": both[:severalHead], "a length beyond the data": long, "a length below that of an entry": append(slices.Clone(both[:severalHead]), 0, 0, 0, 0),
		"more than there can be": join(envelopes), "variants inside variants": nested,
	} {
		if _, ok := Headers(data); ok {
			t.Errorf("%s: readable", name)
		}
		if _, err := read(all[3], data); err != ErrUnreadable && err != ErrSchema {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who may write to the shared tier may have written anything.
func FuzzVariants(f *testing.F) {
	all, p := builds(3), policy.Policy{TTL: time.Hour, Grace: time.Hour}
	var data []byte
	for _, k := range all {
		it := k.New("k", "value", Present, &p, clock.Wall(), Refs(k.Required))
		packed, _, err := k.PackBeside(it, data)
		if err != nil {
			f.Fatal(err)
		}
		data = packed.Value
		f.Add(data)
	}
	f.Add(join([][]byte{data, data}))
	f.Add([]byte{0xCA, 0x6E, 2, 0, 0, 0, 0})
	f.Add([]byte{0xCA, 0x6E, 2, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, data []byte) {
		parts := variants(data)
		size := 0
		for _, v := range parts {
			size += len(v)
		}
		if size > len(data) || len(parts) > maxVariants {
			t.Fatalf("%d parts of %d bytes in %d", len(parts), size, len(data))
		}
		for _, k := range all {
			_, _ = read(k, data)
		}
		_, _ = Headers(data)
		for _, w := range ExpiredValues([]string{"k"}, [][]byte{data}) {
			if w.New != nil && len(w.New) > len(data) {
				t.Fatalf("%d bytes have become %d", len(data), len(w.New))
			}
		}
		it := all[0].New("k", "own", Present, &p, clock.Wall(), Refs(all[0].Required))
		packed, alone, err := all[0].PackBeside(it, data)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(all[0], packed.Value); got != "own" || err != nil {
			t.Fatalf("%v, %v", got, err)
		}
		if len(packed.Value) > len(alone.Value)+len(data)+severalHead+maxVariants*lengthBytes {
			t.Fatalf("%d bytes beside %d", len(packed.Value), len(data))
		}
		for _, k := range all[1:] { // what was readable and alive still is
			before, errBefore := read(k, data)
			after, errAfter := read(k, packed.Value)
			if errBefore == nil && errAfter == nil && before != after {
				t.Fatalf("%v has become %v", before, after)
			}
		}
	})
}
