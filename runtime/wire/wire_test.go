package wire_test

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/runtime/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A kind is one kind of value, in a way that does not depend on its type.
type kind struct {
	name   string
	values []any
	encode func(*wire.Encoder, any)
	decode func(*wire.Decoder) any
	plain  func() any // where plain msgpack decodes to; nil if it cannot
}

func of[T any](name string, encode func(*wire.Encoder, T), decode func(*wire.Decoder) T, values ...T) kind {
	k := kind{
		name:   name,
		encode: func(e *wire.Encoder, v any) { encode(e, v.(T)) },
		decode: func(d *wire.Decoder) any { return decode(d) },
		plain:  func() any { return new(T) },
	}
	for _, v := range values {
		k.values = append(k.values, v)
	}
	return k
}

func (k kind) opaque() kind { k.plain = nil; return k }

var instant = time.Date(2026, 11, 26, 3, 47, 47, 123456789, time.UTC)

type money struct{ units int64 }

func (m money) MarshalBinary() ([]byte, error) { return []byte{byte(m.units)}, nil }
func (m *money) UnmarshalBinary(b []byte) error {
	if len(b) != 1 {
		return errors.New("money is one byte")
	}
	m.units = int64(b[0])
	return nil
}

type raw struct{ data []byte }

func (r raw) MarshalMsgpack() ([]byte, error)  { return r.data, nil }
func (r *raw) UnmarshalMsgpack(b []byte) error { r.data = b; return nil }
func (r raw) EncodeMsgpack(e *msgpack.Encoder) error {
	e.UseCompactInts(false)
	return e.EncodeBytes(r.data)
}
func (r *raw) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	d.SetCustomStructTag("json")
	r.data, err = d.DecodeBytes()
	return err
}

func kinds(t *testing.T) []kind {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddr("2001:db8::1")
	return []kind{
		of("bool", (*wire.Encoder).Bool, (*wire.Decoder).Bool, true, false),
		of("int64", (*wire.Encoder).Int, (*wire.Decoder).Int64, 0, 1, -1, 127, 128, -32, -33, math.MaxInt16, math.MinInt16, math.MaxInt32, math.MinInt64, math.MaxInt64),
		of("int", func(e *wire.Encoder, v int) { e.Int(int64(v)) }, (*wire.Decoder).Int, 0, math.MaxInt, math.MinInt),
		of("int32", func(e *wire.Encoder, v int32) { e.Int(int64(v)) }, (*wire.Decoder).Int32, 0, math.MaxInt32, math.MinInt32),
		of("int16", func(e *wire.Encoder, v int16) { e.Int(int64(v)) }, (*wire.Decoder).Int16, 0, math.MaxInt16, math.MinInt16),
		of("int8", func(e *wire.Encoder, v int8) { e.Int(int64(v)) }, (*wire.Decoder).Int8, 0, math.MaxInt8, math.MinInt8),
		of("uint64", (*wire.Encoder).Uint, (*wire.Decoder).Uint64, 0, 127, 128, 255, 65535, math.MaxUint32, math.MaxUint64),
		of("uint", func(e *wire.Encoder, v uint) { e.Uint(uint64(v)) }, (*wire.Decoder).Uint, 0, math.MaxUint),
		of("uint32", func(e *wire.Encoder, v uint32) { e.Uint(uint64(v)) }, (*wire.Decoder).Uint32, 0, math.MaxUint32),
		of("uint16", func(e *wire.Encoder, v uint16) { e.Uint(uint64(v)) }, (*wire.Decoder).Uint16, 0, math.MaxUint16),
		of("uint8", func(e *wire.Encoder, v uint8) { e.Uint(uint64(v)) }, (*wire.Decoder).Uint8, 0, math.MaxUint8),
		of("float32", (*wire.Encoder).Float32, (*wire.Decoder).Float32, 0, 1.5, float32(math.Inf(1))),
		of("float64", (*wire.Encoder).Float64, (*wire.Decoder).Float64, 0, -1.5, math.MaxFloat64),
		of("string", (*wire.Encoder).String, (*wire.Decoder).String, "", "a", strings.Repeat("b", 31), strings.Repeat("c", 32), strings.Repeat("d", 300), "\xff\x00", strings.Repeat("e", 70_000)),
		of("bytes", (*wire.Encoder).Bytes, (*wire.Decoder).Bytes, nil, []byte{}, []byte("a"), bytes.Repeat([]byte("b"), 70_000)),
		of("slice", func(e *wire.Encoder, v []int64) {
			e.Slice(len(v), v == nil)
			for _, n := range v {
				e.Int(n)
			}
		}, func(d *wire.Decoder) []int64 {
			if d.Nil() {
				return nil
			}
			n := d.Slice()
			out := make([]int64, 0, wire.Cap[int64](d, n))
			for range n {
				out = append(out, d.Int64())
			}
			return out
		}, nil, []int64{}, []int64{1, 2, 3}, slices.Repeat([]int64{7}, 70_000)),
		of("map", func(e *wire.Encoder, v map[string]int64) {
			e.Map(len(v), v == nil)
			for _, k := range wire.Keys(v) {
				e.String(k)
				e.Int(v[k])
			}
		}, func(d *wire.Decoder) map[string]int64 {
			if d.Nil() {
				return nil
			}
			n := d.Map()
			out := make(map[string]int64, wire.MapCap[string, int64](d, n))
			for range n {
				k := d.String()
				out[k] = d.Int64()
			}
			return out
		}, nil, map[string]int64{}, map[string]int64{"a": 1, "b": 2, "": 3}),
		of("struct", func(e *wire.Encoder, v struct{ A, B int64 }) {
			e.Struct(2)
			e.Key("A")
			e.Int(v.A)
			e.Key("B")
			e.Int(v.B)
		}, func(d *wire.Decoder) (v struct{ A, B int64 }) {
			for range d.Struct() {
				switch d.Key() {
				case "A":
					v.A = d.Int64()
				case "B":
					v.B = d.Int64()
				default:
					d.Skip()
				}
			}
			return v
		}, struct{ A, B int64 }{1, 2}),
		of("array", func(e *wire.Encoder, v [2]int64) { e.Array(2); e.Int(v[0]); e.Int(v[1]) },
			func(d *wire.Decoder) (v [2]int64) {
				if d.Array(2) {
					v[0], v[1] = d.Int64(), d.Int64()
				}
				return v
			}, [2]int64{3, 4}),
		of("filled", func(e *wire.Encoder, v [4]byte) { e.Bytes(v[:]) }, func(d *wire.Decoder) (v [4]byte) { d.Fill(v[:]); return v }, [4]byte{1, 2, 3, 4}),
		of("time in UTC", (*wire.Encoder).Time, (*wire.Decoder).Time, instant, time.Unix(0, 0).UTC(), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)),
		of("time elsewhere", (*wire.Encoder).Time, (*wire.Decoder).Time, instant.In(paris), instant.In(time.FixedZone("", 90)), instant.In(time.FixedZone("UTC", 3600)), instant.Local()).opaque(),
		of("custom", func(e *wire.Encoder, v raw) { e.Custom(v) }, func(d *wire.Decoder) (v raw) { d.Custom(&v); return v }, raw{[]byte("abc")}).opaque(),
		of("msgpack", func(e *wire.Encoder, v raw) { e.Msgpack(v) }, func(d *wire.Decoder) (v raw) { d.Msgpack(&v); return v }, raw{[]byte{0x92, 1, 2}}).opaque(),
		of("binary", func(e *wire.Encoder, v money) { e.Binary(v) }, func(d *wire.Decoder) (v money) { d.Binary(&v); return v }, money{7}),
		of("text", func(e *wire.Encoder, v netip.Addr) { e.Text(v) }, func(d *wire.Decoder) (v netip.Addr) { d.Text(&v); return v }, address).opaque(),
		of("reflect", func(e *wire.Encoder, v map[string][]int8) { e.Reflect(&v) }, func(d *wire.Decoder) (v map[string][]int8) { d.Reflect(&v); return v }, map[string][]int8{"a": {1}}),
	}
}

func same(a, b any) bool {
	if t, ok := a.(time.Time); ok {
		u := b.(time.Time)
		nameT, offsetT := t.Zone()
		nameU, offsetU := u.Zone()
		return t.Equal(u) && nameT == nameU && offsetT == offsetU
	}
	return reflect.DeepEqual(a, b)
}

func TestRoundTrips(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			for _, v := range k.values {
				data, err := wire.Marshal(v, k.encode)
				if err != nil {
					t.Fatal(err)
				}
				got, err := wire.Unmarshal(data, k.decode)
				if err != nil || !same(got, v) {
					t.Fatalf("%.80v came back as %.80v, %v", v, got, err)
				}
				if k.plain == nil {
					continue
				}
				into := k.plain()
				if err := msgpack.Unmarshal(data, into); err != nil {
					t.Fatalf("plain msgpack: %v", err)
				}
				if got := reflect.ValueOf(into).Elem().Interface(); !same(got, v) {
					t.Fatalf("plain msgpack makes %.80v of %.80v", got, v)
				}
			}
		})
	}
}

// Whatever is cut off, added or of another kind is an error, and never a panic.
func TestDamagedBytesAreErrors(t *testing.T) {
	all := kinds(t)
	for _, k := range all {
		t.Run(k.name, func(t *testing.T) {
			v := k.values[len(k.values)-1]
			data, err := wire.Marshal(v, k.encode)
			if err != nil {
				t.Fatal(err)
			}
			for n := range min(len(data), 300) {
				if _, err := wire.Unmarshal(data[:n], k.decode); err == nil {
					t.Errorf("%d of %d bytes are enough", n, len(data))
				}
			}
			if _, err := wire.Unmarshal(append(slices.Clone(data), 1), k.decode); err == nil {
				t.Error("more bytes do no harm")
			}
			for b := range 256 { // another kind of value, or a length that is not there
				hostile := append([]byte{byte(b)}, bytes.Repeat([]byte{0xff}, 9)...)
				_, _ = wire.Unmarshal(hostile, k.decode)
			}
		})
	}
}

// A length that somebody has made up does not make anyone allocate for it.
func TestHostileLengthsAllocateLittle(t *testing.T) {
	for _, k := range kinds(t) {
		for _, head := range [][]byte{{0xdd}, {0xdf}, {0xc6}, {0xdb}, {0xc9}} { // array, map, bytes, string, extension of 32-bit length
			data := append(slices.Clone(head), 0xff, 0xff, 0xff, 0xff, 1)
			var before, after goruntime.MemStats
			goruntime.ReadMemStats(&before)
			_, _ = wire.Unmarshal(data, k.decode)
			goruntime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
				t.Errorf("%s of %x: %d bytes", k.name, head, n)
			}
		}
	}
}

func TestNumbersThatDoNotFitAreErrors(t *testing.T) {
	huge := func(e *wire.Encoder, v uint64) { e.Uint(v) }
	negative := func(e *wire.Encoder, v int64) { e.Int(v) }
	big, err := wire.Marshal(uint64(math.MaxUint64), huge)
	if err != nil {
		t.Fatal(err)
	}
	minus, err := wire.Marshal(int64(math.MinInt64), negative)
	if err != nil {
		t.Fatal(err)
	}
	for name, decode := range map[string]func(*wire.Decoder){
		"int64": func(d *wire.Decoder) { d.Int64() }, "int32": func(d *wire.Decoder) { d.Int32() },
		"int16": func(d *wire.Decoder) { d.Int16() }, "int8": func(d *wire.Decoder) { d.Int8() },
		"uint32": func(d *wire.Decoder) { d.Uint32() }, "uint16": func(d *wire.Decoder) { d.Uint16() }, "uint8": func(d *wire.Decoder) { d.Uint8() },
	} {
		if _, err := wire.Unmarshal(big, func(d *wire.Decoder) int { decode(d); return 0 }); err == nil {
			t.Errorf("%s takes the largest uint64", name)
		}
	}
	if _, err := wire.Unmarshal(minus, (*wire.Decoder).Uint64); err == nil {
		t.Error("a uint64 takes the smallest int64")
	}
}

// Once something has failed, nothing more is read or written, and the first error is told.
func TestTheFirstErrorSticks(t *testing.T) {
	first := errors.New("first")
	_, err := wire.Marshal(0, func(e *wire.Encoder, _ int) {
		e.Fail(nil)
		e.Fail(first)
		e.Fail(errors.New("second"))
		e.Nil()
		e.Bool(true)
		e.Int(1)
		e.Uint(1)
		e.Float32(1)
		e.Float64(1)
		e.String("")
		e.Bytes(nil)
		e.Struct(1)
		e.Map(1, false)
		e.Slice(1, true)
		e.Raw([]byte{1})
		e.Custom(raw{})
		e.Msgpack(raw{})
		e.Binary(money{})
		e.Text(big.NewInt(1))
		e.Reflect(1)
		e.Time(instant)
		if e.Enter() {
			t.Error("entered")
		}
	})
	if !errors.Is(err, first) || strings.Contains(err.Error(), "second") {
		t.Error(err)
	}
	_, err = wire.Unmarshal([]byte{1, 2, 3}, func(d *wire.Decoder) int {
		if !d.OK() {
			t.Error("it has failed already")
		}
		d.Fail(nil)
		d.Fail(first)
		d.Fail(errors.New("second"))
		var r raw
		var m money
		var n big.Int
		d.Custom(&r)
		d.Msgpack(&r)
		d.Binary(&m)
		d.Text(&n)
		d.Reflect(&n)
		d.Skip()
		d.Fill(make([]byte, 1))
		if d.OK() || d.Bool() || d.Int() != 0 || d.Uint64() != 0 || d.Float32() != 0 || d.Float64() != 0 || d.String() != "" || d.Key() != "" ||
			d.Bytes() != nil || d.Map() != 0 || d.Slice() != 0 || d.Array(1) || !d.Nil() || !d.Time().IsZero() || d.Enter() {
			t.Error("something was read")
		}
		return 1
	})
	if !errors.Is(err, first) || strings.Contains(err.Error(), "second") {
		t.Error(err)
	}
}

// Nil where a value is wanted is an error; a pointer, slice or map asks for it first.
func TestNilWhereAValueIsWanted(t *testing.T) {
	for _, k := range kinds(t) {
		switch k.name {
		case "bytes", "slice", "map", "custom", "msgpack", "binary", "text", "reflect":
			if _, err := wire.Unmarshal([]byte{0xc0}, k.decode); err != nil {
				t.Errorf("%s: %v", k.name, err)
			}
		default:
			if _, err := wire.Unmarshal([]byte{0xc0}, k.decode); err == nil {
				t.Errorf("%s takes nil", k.name)
			}
		}
	}
}

type node struct {
	next *node
	all  []*node
	by   map[string]*node
}

func encodeNode(e *wire.Encoder, v *node) {
	if v == nil {
		e.Nil()
		return
	}
	if e.Enter() {
		e.Array(1)
		encodeNode(e, v.next)
	}
	e.Leave()
}

func decodeNode(d *wire.Decoder) *node {
	if d.Nil() {
		return nil
	}
	out := &node{}
	if d.Enter() && d.Array(1) {
		out.next = decodeNode(d)
	}
	d.Leave()
	return out
}

func TestCyclesAndDepthAreErrors(t *testing.T) {
	cycle := &node{}
	cycle.next = cycle
	if _, err := wire.Marshal(cycle, encodeNode); err == nil {
		t.Error("a cycle was written")
	}
	deep := bytes.Repeat([]byte{0x91}, 3*wire.MaxDepth)
	if _, err := wire.Unmarshal(append(deep, 0xc0), decodeNode); err == nil {
		t.Error("any depth is read")
	}
	for name, decode := range map[string]func(*wire.Decoder){
		"skip":    (*wire.Decoder).Skip,
		"reflect": func(d *wire.Decoder) { var v any; d.Reflect(&v) },
		"custom":  func(d *wire.Decoder) { d.Custom(&raw{}) },
		"msgpack": func(d *wire.Decoder) { d.Msgpack(&raw{}) },
	} {
		if _, err := wire.Unmarshal(append(deep, 0xc0), func(d *wire.Decoder) int { decode(d); return 0 }); err == nil {
			t.Errorf("%s follows any depth", name)
		}
	}
}

func TestPanicsOfMethodsAreErrors(t *testing.T) {
	if _, err := wire.Marshal(0, func(*wire.Encoder, int) { panic("encode") }); err == nil || !strings.Contains(err.Error(), "encode") {
		t.Error(err)
	}
	if v, err := wire.Unmarshal([]byte{1}, func(*wire.Decoder) int { panic("decode") }); err == nil || v != 0 {
		t.Error(v, err)
	}
}

// A MarshalMsgpack that returns something else than one value would shift the rest.
func TestMarshalMsgpackHasToReturnOneValue(t *testing.T) {
	for _, data := range [][]byte{nil, {1, 2}, {0x92, 1}} {
		if _, err := wire.Marshal(raw{data}, func(e *wire.Encoder, v raw) { e.Msgpack(v) }); err == nil {
			t.Errorf("%x was taken", data)
		}
	}
}

type failing struct{}

var errMarshal = errors.New("marshal")

func (failing) MarshalBinary() ([]byte, error)       { return nil, errMarshal }
func (failing) MarshalText() ([]byte, error)         { return nil, errMarshal }
func (failing) MarshalMsgpack() ([]byte, error)      { return nil, errMarshal }
func (failing) EncodeMsgpack(*msgpack.Encoder) error { return errMarshal }
func (failing) UnmarshalBinary([]byte) error         { return errMarshal }
func (failing) UnmarshalText([]byte) error           { return errMarshal }
func (failing) UnmarshalMsgpack([]byte) error        { return errMarshal }
func (failing) DecodeMsgpack(*msgpack.Decoder) error { return errMarshal }

var _ encoding.TextUnmarshaler = failing{}

type talking struct{ failing }

func (talking) UnmarshalText(b []byte) error { return fmt.Errorf("%w: %s", errMarshal, b) }

type panicking struct{ failing }

func (panicking) UnmarshalText(b []byte) error { panic(string(b)) }

// Methods like to tell all that they were given in their errors. Anyone may have written it.
func TestErrorsOfMethodsAreShortAndOnOneLine(t *testing.T) {
	text := "1\n2026-12-01 ERROR all is lost" + strings.Repeat("x", 1<<20)
	data, err := wire.Marshal(text, (*wire.Encoder).String)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []encoding.TextUnmarshaler{talking{}, panicking{}} {
		_, err := wire.Unmarshal(data, func(d *wire.Decoder) int { d.Text(v); return 0 })
		if err == nil || len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%T: %.200v", v, err)
		}
		if _, ok := v.(talking); ok && !errors.Is(err, errMarshal) {
			t.Errorf("not the method's error: %.200v", err)
		}
	}
}

func TestErrorsOfMethodsAreTold(t *testing.T) {
	for _, encode := range []func(*wire.Encoder, failing){
		func(e *wire.Encoder, v failing) { e.Binary(v) }, func(e *wire.Encoder, v failing) { e.Text(v) },
		func(e *wire.Encoder, v failing) { e.Msgpack(v) }, func(e *wire.Encoder, v failing) { e.Custom(v) },
	} {
		if _, err := wire.Marshal(failing{}, encode); !errors.Is(err, errMarshal) {
			t.Error(err)
		}
	}
	for _, decode := range []func(*wire.Decoder){
		func(d *wire.Decoder) { d.Binary(failing{}) }, func(d *wire.Decoder) { d.Text(failing{}) },
		func(d *wire.Decoder) { d.Msgpack(failing{}) }, func(d *wire.Decoder) { d.Custom(failing{}) },
	} {
		if _, err := wire.Unmarshal([]byte{0xc4, 1, 1}, func(d *wire.Decoder) int { decode(d); return 0 }); !errors.Is(err, errMarshal) {
			t.Error(err)
		}
	}
}

func TestKeysThatHaveNoOrderAreWrittenInTheOrderOfTheirBytes(t *testing.T) {
	m := map[[1]int64]string{{3}: "c", {1}: "a", {2}: "b"}
	data := func() []byte {
		data, err := wire.Marshal(m, func(e *wire.Encoder, m map[[1]int64]string) {
			entries := wire.Entries(e, m, func(e *wire.Encoder, k [1]int64) { e.Array(1); e.Int(k[0]) })
			e.Map(len(entries), false)
			for _, entry := range entries {
				e.Raw(entry.Key)
				e.String(entry.Value)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := data()
	if want := []byte{0x83, 0x91, 1, 0xa1, 'a', 0x91, 2, 0xa1, 'b', 0x91, 3, 0xa1, 'c'}; !bytes.Equal(first, want) {
		t.Errorf("%x", first)
	}
	_, err := wire.Marshal(m, func(e *wire.Encoder, m map[[1]int64]string) {
		if wire.Entries(e, m, func(e *wire.Encoder, _ [1]int64) { e.Fail(errMarshal) }) != nil {
			t.Error("entries of keys that cannot be written")
		}
	})
	if !errors.Is(err, errMarshal) {
		t.Error(err)
	}
}

type octet uint8

func TestBytesOfNamedTypes(t *testing.T) {
	if got := wire.AsBytes([]octet{1, 2}); !bytes.Equal(got, []byte{1, 2}) {
		t.Error(got)
	}
	if got := wire.FromBytes[octet]([]byte{1, 2}); !slices.Equal(got, []octet{1, 2}) {
		t.Error(got)
	}
}

func TestCopiesShareNothingAndKeepCycles(t *testing.T) {
	if wire.CloneSlice[[]int](nil) != nil || wire.CloneMap[map[int]int](nil) != nil || wire.CloneSlice([]int{}) == nil {
		t.Error("nil and empty are mixed up")
	}
	a := []int{1}
	b := wire.CloneSlice(a)
	b[0] = 2
	m := map[int]int{1: 1}
	n := wire.CloneMap(m)
	n[1] = 2
	if a[0] != 1 || m[1] != 1 {
		t.Error("shared")
	}
	if c := wire.Copy([][]int{{1}}); !reflect.DeepEqual(c, [][]int{{1}}) {
		t.Error(c)
	}

	var unshare func(*node, wire.Seen)
	unshare = func(v *node, seen wire.Seen) {
		v.next = wire.CopyPointer(seen, v.next, unshare)
		each := func(p **node, seen wire.Seen) { *p = wire.CopyPointer(seen, *p, unshare) }
		v.all = wire.CopySlice(seen, v.all, each)
		v.by = wire.CopyMap(seen, v.by, each)
	}
	from := &node{}
	from.next = &node{next: from}
	from.all = []*node{from, from.next, nil}
	from.by = map[string]*node{"self": from, "next": from.next}
	from.next.all, from.next.by = from.all, from.by
	to := wire.CopyPointer(wire.Seen{}, from, unshare)
	switch {
	case to == from, to.next == from.next, &to.all[0] == &from.all[0]:
		t.Error("shared")
	case to.next.next != to, to.all[0] != to, to.all[1] != to.next, to.all[2] != nil, to.by["self"] != to, to.by["next"] != to.next:
		t.Error("another shape")
	case &to.next.all[0] != &to.all[0]:
		t.Error("what was one slice is two")
	}
	to.by["new"] = nil
	if len(to.next.by) != 3 || len(from.by) != 2 {
		t.Error("what was one map is two, or shared")
	}
	if wire.CopyMap(wire.Seen{}, map[string]*node(nil), nil) != nil || wire.CopyPointer[node](wire.Seen{}, nil, nil) != nil {
		t.Error("nil does not stay nil")
	}
}

func TestSizes(t *testing.T) {
	var none *[16]byte
	if wire.PointerSize(none) != 0 || wire.PointerSize(new([16]byte)) != 16 {
		t.Error("pointer")
	}
	if wire.SliceSize(make([]int32, 1, 4)) != 16 || wire.SliceSize([]int32(nil)) != 0 {
		t.Error("slice")
	}
	if wire.MapSize(map[int]int(nil)) != 0 || wire.MapSize(map[int]int{}) >= wire.MapSize(map[int]int{1: 1}) {
		t.Error("map")
	}
	s := "text"
	if wire.Size(&s) != 4 {
		t.Error("text", wire.Size(&s))
	}
	var size func(*node, wire.Seen) int
	size = func(v *node, seen wire.Seen) int {
		return wire.SizePointer(seen, v.next, size) +
			wire.SizeSlice(seen, v.all, func(p **node, seen wire.Seen) int { return wire.SizePointer(seen, *p, size) }) +
			wire.SizeMap(seen, v.by, func(k string, p **node, seen wire.Seen) int { return len(k) + wire.SizePointer(seen, *p, size) })
	}
	one := &node{}
	one.next, one.all, one.by = one, []*node{one}, map[string]*node{"self": one}
	alone := wire.SizePointer(wire.Seen{}, &node{}, size)
	if n := wire.SizePointer(wire.Seen{}, one, size); n <= alone || n > alone+400 {
		t.Errorf("%d with itself, %d without", n, alone)
	}
}

// What lies in a shared tier may have been written by anyone.
func FuzzRead(f *testing.F) {
	texts := reflect.TypeFor[[]string]()
	write := func(list []string) []byte {
		data, err := wire.Write(texts, func(e *wire.Encoder) {
			e.Slice(len(list), list == nil)
			for _, s := range list {
				e.String(s)
			}
		})
		if err != nil {
			f.Fatal(err)
		}
		return data
	}
	read := func(data []byte) (list []string, err error) {
		err = wire.Read(texts, data, func(d *wire.Decoder) {
			n := d.Slice()
			if n >= 0 {
				list = make([]string, 0, wire.Cap[string](d, n))
			}
			for i := 0; i < n && d.OK(); i++ {
				list = append(list, d.String())
			}
		})
		return list, err
	}
	f.Add(write(nil))
	f.Add(write([]string{"", "a", "\xff"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = wire.Read(texts, data, func(d *wire.Decoder) { d.Skip() })
		list, err := read(data)
		if err != nil {
			return
		}
		again, err := read(write(list))
		if err != nil || !reflect.DeepEqual(again, list) {
			t.Fatalf("%q was read, and then %q, %v", list, again, err)
		}
	})
}
