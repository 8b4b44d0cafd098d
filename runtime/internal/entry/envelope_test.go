package entry

import (
	"bytes"
	"reflect"
	"testing"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sample() Header {
	return Header{
		Flags: FlagExpired, FreshUntil: 1, StaleUntil: 1 << 60, Grace: 1 << 59, LoadStarted: -5, Fingerprint: 42,
		Stamps: []stamp.Named{{Name: "s", Value: stamp.Value{Delete: 5, Expire: 6}}, {Name: "t:team:7", Value: stamp.Value{Delete: 5, Expire: 6}}},
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

func TestExpireEndsTheFreshnessAndKeepsTheGrace(t *testing.T) {
	for _, test := range []struct {
		name      string
		h         Header
		at        int64
		left      bool
		fresh, to int64
	}{
		{"fresh", Header{FreshUntil: 100, StaleUntil: 150, Grace: 50}, 10, true, 10, 60},
		{"fresh, with less left than its grace", Header{FreshUntil: 100, StaleUntil: 30, Grace: 50}, 10, true, 10, 30},
		{"stale", Header{FreshUntil: 100, StaleUntil: 150, Grace: 50}, 120, true, 100, 150}, // it does not begin anew
		{"over", Header{FreshUntil: 100, StaleUntil: 150, Grace: 50}, 150, false, 100, 150},
		{"without grace", Header{FreshUntil: 100, StaleUntil: 100}, 10, false, 10, 10},
	} {
		if left := test.h.Expire(test.at); left != test.left || test.h.FreshUntil != test.fresh || test.h.StaleUntil != test.to || test.h.Flags&FlagExpired == 0 {
			t.Errorf("%s: %v, %+v", test.name, left, test.h)
		}
	}
}

func TestEveryTruncationIsUnreadable(t *testing.T) {
	whole := Append(nil, &Header{Stamps: []stamp.Named{{Name: "t:x", Value: stamp.Value{Delete: 5, Expire: 6}}}}, []byte("value"))
	for n := range whole {
		if _, _, err := Parse(whole[:n]); err != ErrUnreadable {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
}
