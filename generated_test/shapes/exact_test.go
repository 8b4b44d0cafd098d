package shapes

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime/wire"
)

func roundTrip[V any](t *testing.T, value *valueFuncs[V], v V) V {
	t.Helper()
	data, err := wire.Marshal(v, value.Encode)
	if err != nil {
		t.Fatalf("%+v: %v", v, err)
	}
	out, err := wire.Unmarshal(data, value.Decode)
	if err != nil {
		t.Fatalf("%+v: %v", v, err)
	}
	return out
}

func TestTimes(t *testing.T) {
	now := time.Now()
	for _, in := range []time.Time{
		{},                                  // no location
		time.Unix(0, 0).UTC(),               // before 2106 and without nanoseconds
		time.Unix(1<<33, 1).UTC(),           // with them
		time.Unix(1<<40, 999_999_999).UTC(), // after 2514
		time.Unix(-1, 1).UTC(),              // before 1970
		now,                                 // with a monotonic reading
		now.Local(),
		now.In(time.FixedZone("UTC", 0)), now.In(time.FixedZone("UTC", 3600)), now.In(time.FixedZone("", 0)),
		now.In(time.FixedZone("Local", -60)), now.In(time.FixedZone("Asia/Kolkata", 60)), now.In(time.FixedZone("../x", 1)),
		time.Date(2024, 11, 3, 1, 30, 0, 0, zone("America/New_York")), // twice that night
		time.Date(2024, 11, 3, 1, 30, 0, 0, zone("America/New_York")).Add(time.Hour),
		time.Time{}.In(zone("Asia/Kolkata")), // local mean time
	} {
		out := roundTrip(t, timeFuncs, in)
		wantSame(t, in.String(), out, in.Round(0), false)
		if out != out.Round(0) {
			t.Errorf("%v has a monotonic reading", out)
		}
		if in.Location() == time.UTC && !reflect.DeepEqual(out, in) {
			t.Errorf("%#v comes back as %#v", in, out)
		}
	}
}

func TestExtremes(t *testing.T) {
	for _, in := range []Everything{
		{I: math.MinInt, I8: math.MinInt8, I16: math.MinInt16, I32: math.MinInt32, I64: math.MinInt64},
		{I: math.MaxInt, I8: math.MaxInt8, I16: math.MaxInt16, I32: math.MaxInt32, I64: math.MaxInt64},
		{U: math.MaxUint, U8: math.MaxUint8, U16: math.MaxUint16, U32: math.MaxUint32, U64: math.MaxUint64},
		{F32: math.MaxFloat32, F64: math.SmallestNonzeroFloat64, Ratio: Ratio(math.Inf(-1))},
		{Raw: []byte{}, Digits: []Digit{}, Notes: Notes{}},
		{S: string(make([]byte, 31)), Raw: make([]byte, 256), Notes: make(Notes, 16)},
		{S: string(make([]byte, 1<<16)), Raw: make([]byte, 1<<16), Notes: make(Notes, 1<<16)},
	} {
		if out := roundTrip(t, everythingFuncs, &in); !reflect.DeepEqual(out, &in) {
			t.Errorf("%.200v comes back as %.200v", in, out)
		}
	}
	for shift := range 64 { // around every length of a number
		for _, d := range []int64{-1, 0, 1} {
			n := int64(1)<<shift + d
			in := &Everything{I64: n, U64: uint64(n), For: time.Duration(-n)}
			if out := roundTrip(t, everythingFuncs, in); !reflect.DeepEqual(out, in) {
				t.Errorf("%d comes back as %d, %d, %d", n, out.I64, out.U64, out.For)
			}
		}
	}
	nan := math.Float64frombits(0x7ff8_0000_dead_beef)
	negative := math.Copysign(0, -1)
	out := roundTrip(t, everythingFuncs, &Everything{F64: nan, Ratio: Ratio(negative), F32: float32(math.NaN())})
	if math.Float64bits(out.F64) != math.Float64bits(nan) || !math.Signbit(float64(out.Ratio)) || out.F32 == out.F32 {
		t.Errorf("got %v, %v, %v", out.F64, out.Ratio, out.F32)
	}
}

func TestNilIsNotEmpty(t *testing.T) {
	empty := Containers{
		Names: []string{}, Rows: [][]int{nil, {}}, Items: []Item{}, Links: []*Item{nil, {Tags: []string{}}},
		ByName: map[string]Item{}, ByLevel: map[Level][]*Item{1: nil, 2: {}}, Nested: map[string]map[string][]time.Time{"a": nil, "b": {}},
		Slice: &[]int{},
	}
	for _, in := range []Containers{{}, empty} {
		if out := roundTrip(t, containersFuncs, in); !reflect.DeepEqual(out, in) {
			t.Errorf("%+v comes back as %+v", in, out)
		}
		if out := containersFuncs.Copy(in); !reflect.DeepEqual(out, in) {
			t.Errorf("%+v is copied as %+v", in, out)
		}
	}
	if out := roundTrip(t, nodeFuncs, nil); out != nil {
		t.Errorf("nil comes back as %+v", out)
	}
	if out := roundTrip(t, treeFuncs, Tree{}); out == nil {
		t.Error("an empty map comes back as nil")
	}
}
