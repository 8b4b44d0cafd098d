package bus

import (
	"reflect"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var samples = []Message{
	{Origin: 1, Kind: Drop, Names: []string{"app:user:1", "", "\x00\xff"}},
	{Origin: 1 << 63, Kind: Expire, Names: []string{"k"}},
	{Kind: DeleteStamp, Names: []string{"t:team:1", "s"}},
	{Kind: ExpireStamp, Names: []string{"n:@users"}},
}

func TestParseInvertsAppend(t *testing.T) {
	for _, m := range samples {
		got, err := Parse(Append(nil, &m))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("got %+v, %v, want %+v", got, err, m)
		}
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
	whole := Append(nil, &Message{Origin: 7, Kind: Expire, Names: []string{"a", "", "long enough"}})
	for n := range whole {
		if m, err := Parse(whole[:n]); err != ErrUnreadable {
			t.Errorf("%d of %d bytes: %v, %v", n, len(whole), m, err)
		}
	}
	for name, b := range map[string][]byte{
		"another version": append([]byte{9}, whole[1:]...),
		"no kind":         Append(nil, &Message{}),
		"unknown kind":    Append(nil, &Message{Kind: ExpireStamp + 1}),
		"more":            append(append([]byte{}, whole...), 1),
		"hostile count":   append(append([]byte{}, whole[:10]...), 0xff, 0xff, 0xff, 0xff, 0x0f),
		"hostile length":  append(append([]byte{}, whole[:10]...), 1, 0xff, 0xff, 0xff, 0xff, 0x0f),
	} {
		if m, err := Parse(b); err != ErrUnreadable {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	for k, want := range map[Kind]string{Drop: "drop", Expire: "expire", DeleteStamp: "delete stamp", ExpireStamp: "expire stamp", 9: "Kind(9)"} {
		if k.String() != want {
			t.Error(k)
		}
	}
}
