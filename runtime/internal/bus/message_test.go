package bus

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var samples = []Message{
	{Origin: 1, Number: 1, Changes: []Change{{Drop, []string{"app:user:1", "", "\x00\xff"}}}},
	{Origin: 1 << 63, Sent: time.Hour, Number: 300, Last: 290, Ago: 7 * time.Millisecond, Changes: []Change{{Expire, []string{"k"}}}},
	{Number: math.MaxUint64, Last: math.MaxUint64, Ago: maxAgo},
	{Changes: []Change{{DeleteStamp, []string{"t:team:1", "s"}}, {ExpireStamp, []string{"n:@users"}}, {Suspect, []string{}}, {Filled, []string{"k"}}}},
}

func TestParseInvertsAppend(t *testing.T) {
	for _, m := range samples {
		got, err := Parse(Append(nil, &m))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("got %+v, %v, want %+v", got, err, m)
		}
	}
	long, err := Parse(Append(nil, &Message{Sent: -1, Ago: maxAgo + time.Hour}))
	if err != nil || long.Ago != maxAgo || long.Sent != 0 {
		t.Errorf("what is longer than can be told: %+v, %v", long, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range samples {
		f.Add(Append(nil, &m))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		again, err := Parse(Append(nil, &m))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("what was read is not read again: %+v, %+v, %v", m, again, err)
		}
	})
}

func TestDamagedMessagesAreUnreadable(t *testing.T) {
	header := Append(nil, &Message{Origin: 7, Number: 5, Last: 4})
	whole := Append(nil, &Message{Origin: 7, Number: 5, Last: 4, Changes: []Change{{Expire, []string{"a", "", "long enough"}}}})
	for n := range whole {
		if n == len(header) { // a heartbeat
			continue
		}
		if m, err := Parse(whole[:n]); err != ErrUnreadable {
			t.Errorf("%d of %d bytes: %v, %v", n, len(whole), m, err)
		}
	}
	for name, b := range map[string][]byte{
		"another version":   append([]byte{1}, whole[1:]...),
		"a later version":   append([]byte{3}, whole[1:]...),
		"no kind":           append(slices.Clone(header), 0, 0),
		"unknown kind":      append(slices.Clone(header), byte(Filled)+1, 0),
		"more":              append(slices.Clone(whole), 1),
		"hostile count":     append(slices.Clone(header), byte(Drop), 0xff, 0xff, 0xff, 0xff, 0x0f),
		"hostile length":    append(slices.Clone(header), byte(Drop), 1, 0xff, 0xff, 0xff, 0xff, 0x0f),
		"after itself":      append(slices.Clone(header[:9]), 0, 5, 6, 0),
		"longer ago":        append(slices.Clone(header[:9]), 0, 5, 1, 0xff, 0xff, 0xff, 0xff, 0x0f),
		"beyond durations":  append(slices.Clone(header[:9]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 5, 1, 0),
		"beyond any number": append(slices.Clone(header[:9]), 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
	} {
		if m, err := Parse(b); err != ErrUnreadable {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	for k, want := range map[Kind]string{Drop: "drop", Expire: "expire", DeleteStamp: "delete stamp", ExpireStamp: "expire stamp", Suspect: "suspect", Filled: "filled", 9: "Kind(9)"} {
		if k.String() != want {
			t.Error(k)
		}
	}
}
