package entry

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

func sample() Header {
	return Header{
		Flags: Expired, FreshUntil: 1, StaleUntil: 1 << 60, Grace: 1 << 59, LoadStarted: -5, Fingerprint: 42,
		Stamps: []stamp.Named{{Name: "s", Value: stamp.New()}, {Name: "t:team:7", Value: stamp.New()}},
	}
}

func TestParseInvertsAppend(t *testing.T) {
	for _, h := range []Header{sample(), {}} {
		for _, value := range [][]byte{{}, []byte("value"), bytes.Repeat([]byte{0}, 1000)} {
			got, v, err := Parse(Append(nil, &h, value))
			if err != nil || !reflect.DeepEqual(got, h) || !bytes.Equal(v, value) {
				t.Fatalf("got %+v, %q, %v, want %+v, %q", got, v, err, h, value)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	h := sample()
	f.Add(Append(nil, &h, []byte("value")))
	f.Add([]byte{0xCA, 0x6E, 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		h, value, err := Parse(data)
		if err != nil {
			return
		}
		again, v, err := Parse(Append(nil, &h, value))
		if err != nil || !reflect.DeepEqual(again, h) || !bytes.Equal(v, value) {
			t.Fatalf("what was read is not read again: %+v, %+v, %v", h, again, err)
		}
	})
}
