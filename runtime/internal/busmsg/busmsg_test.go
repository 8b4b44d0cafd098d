package busmsg

import (
	"reflect"
	"testing"
)

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
