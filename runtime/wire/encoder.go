package wire

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"math"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/cachegen/cachegen/runtime/internal/reflectvalue"
	"github.com/cachegen/cachegen/runtime/internal/reflectwire"
	"github.com/cachegen/cachegen/runtime/internal/scan"
)

// An Encoder writes one value. [Marshal] makes it. Its methods do nothing once one
// of them has failed. It is not safe for concurrent use.
type Encoder struct {
	m     *msgpack.Encoder
	out   output
	err   error
	depth int
}

// output is what an Encoder has written.
type output struct{ data []byte }

func (o *output) Write(b []byte) (int, error) {
	o.data = append(o.data, b...)
	return len(b), nil
}

func (o *output) WriteByte(c byte) error {
	o.data = append(o.data, c)
	return nil
}

func (e *Encoder) begin() {
	e.out.data, e.err, e.depth = e.out.data[:0], nil, 0
	e.m.Reset(&e.out)
}

// keptOutput is how much room an idle Encoder keeps.
const keptOutput = 64 << 10

// end returns what has been written of a value of type t, so that it may be decoded.
func (e *Encoder) end(t reflect.Type) ([]byte, error) {
	if e.err != nil {
		return nil, e.err
	}
	if !scan.Dense(t) {
		if len(e.out.data) > MaxDepth { // a level takes a byte
			if _, err := scan.Skip(e.out.data, 0); err == scan.ErrDepth { // nobody would read it
				return nil, err
			}
		}
		if scan.AtMost(t, e.out.data) > scan.Budget(len(e.out.data)) {
			e.out.data = scan.Pad(e.out.data, scan.Memory(t, e.out.data))
		}
	}
	data := bytes.Clone(e.out.data)
	if cap(e.out.data) > keptOutput {
		e.out.data = nil
	}
	return data, nil
}

// Fail makes encoding fail with err, unless it has already failed or err is nil.
func (e *Encoder) Fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// Enter begins a value of a recursive type, and reports whether it may be written:
// not if it is nested too deep. Leave ends it.
func (e *Encoder) Enter() bool {
	if e.depth++; e.depth > MaxDepth {
		e.Fail(scan.ErrDepth)
	}
	return e.err == nil
}

// Leave ends what [Encoder.Enter] began.
func (e *Encoder) Leave() { e.depth-- }

// Nil writes that there is no value.
func (e *Encoder) Nil() {
	if e.err == nil {
		e.out.data = append(e.out.data, msgpcode.Nil)
	}
}

// Bool writes v.
func (e *Encoder) Bool(v bool) {
	if e.err == nil {
		e.err = e.m.EncodeBool(v)
	}
}

// Int writes v in as few bytes as it needs.
func (e *Encoder) Int(v int64) {
	if v >= 0 {
		e.Uint(uint64(v))
		return
	}
	if e.err != nil {
		return
	}
	switch b := e.out.data; {
	case v >= -32:
		e.out.data = append(b, byte(v))
	case v >= math.MinInt8:
		e.out.data = append(b, msgpcode.Int8, byte(v))
	case v >= math.MinInt16:
		e.out.data = binary.BigEndian.AppendUint16(append(b, msgpcode.Int16), uint16(v))
	case v >= math.MinInt32:
		e.out.data = binary.BigEndian.AppendUint32(append(b, msgpcode.Int32), uint32(v))
	default:
		e.out.data = binary.BigEndian.AppendUint64(append(b, msgpcode.Int64), uint64(v))
	}
}

// Uint writes v in as few bytes as it needs.
func (e *Encoder) Uint(v uint64) {
	if e.err != nil {
		return
	}
	switch b := e.out.data; {
	case v <= math.MaxInt8:
		e.out.data = append(b, byte(v))
	case v <= math.MaxUint8:
		e.out.data = append(b, msgpcode.Uint8, byte(v))
	case v <= math.MaxUint16:
		e.out.data = binary.BigEndian.AppendUint16(append(b, msgpcode.Uint16), uint16(v))
	case v <= math.MaxUint32:
		e.out.data = binary.BigEndian.AppendUint32(append(b, msgpcode.Uint32), uint32(v))
	default:
		e.out.data = binary.BigEndian.AppendUint64(append(b, msgpcode.Uint64), v)
	}
}

// Float32 writes v.
func (e *Encoder) Float32(v float32) {
	if e.err == nil {
		e.err = e.m.EncodeFloat32(v)
	}
}

// Float64 writes v.
func (e *Encoder) Float64(v float64) {
	if e.err == nil {
		e.err = e.m.EncodeFloat64(v)
	}
}

// String writes v.
func (e *Encoder) String(v string) {
	switch {
	case e.err != nil:
	case len(v) <= int(msgpcode.FixedStrMask): // as most names and many values
		e.out.data = append(append(e.out.data, msgpcode.FixedStrLow|byte(len(v))), v...)
	default:
		e.length(len(v))
		e.err = e.m.EncodeString(v)
	}
}

// Bytes writes v. A nil v is written as nil.
func (e *Encoder) Bytes(v []byte) {
	if e.err == nil {
		e.length(len(v))
		e.err = e.m.EncodeBytes(v)
	}
}

// length panics if MessagePack has no way to write n; the library would cut it off.
func (e *Encoder) length(n int) {
	if uint64(n) > math.MaxUint32 {
		panic("a string, slice or map is longer than MessagePack can say")
	}
}

// Struct begins a struct of n fields, each a Key and a value.
func (e *Encoder) Struct(n int) {
	switch {
	case e.err != nil:
	case n <= int(msgpcode.FixedMapMask):
		e.out.data = append(e.out.data, msgpcode.FixedMapLow|byte(n))
	default:
		e.err = e.m.EncodeMapLen(n)
	}
}

// Key writes a field's name.
func (e *Encoder) Key(name string) { e.String(name) }

// Map begins a map of n keys and their values, or writes nil if isNil.
func (e *Encoder) Map(n int, isNil bool) {
	if isNil {
		e.Nil()
	} else if e.err == nil {
		e.length(n)
		e.err = e.m.EncodeMapLen(n)
	}
}

// Array begins an array of n elements, or a struct that is written without names.
func (e *Encoder) Array(n int) { e.Slice(n, false) }

// Slice begins a slice of n elements, or writes nil if isNil.
func (e *Encoder) Slice(n int, isNil bool) {
	switch {
	case e.err != nil:
	case isNil:
		e.Nil()
	case n <= int(msgpcode.FixedArrayMask):
		e.out.data = append(e.out.data, msgpcode.FixedArrayLow|byte(n))
	default:
		e.length(n)
		e.err = e.m.EncodeArrayLen(n)
	}
}

// Raw writes bytes that are a value already.
func (e *Encoder) Raw(data []byte) {
	if e.err == nil {
		e.out.data = append(e.out.data, data...)
	}
}

// Custom writes v by its EncodeMsgpack.
func (e *Encoder) Custom(v msgpack.CustomEncoder) {
	if e.err == nil {
		e.err = v.EncodeMsgpack(e.m)
		e.m.Reset(&e.out) // it may have changed the settings
	}
}

// Msgpack writes what v's MarshalMsgpack returns, which has to be one value.
func (e *Encoder) Msgpack(v msgpack.Marshaler) {
	if e.err != nil {
		return
	}
	data, err := v.MarshalMsgpack()
	if err == nil {
		err = scan.Single(data)
	}
	e.Fail(err)
	e.Raw(data)
}

// Binary writes what v's MarshalBinary returns.
func (e *Encoder) Binary(v encoding.BinaryMarshaler) {
	if e.err == nil {
		data, err := v.MarshalBinary()
		e.Fail(err)
		e.Bytes(data)
	}
}

// Gob writes what v's GobEncode returns.
func (e *Encoder) Gob(v interface{ GobEncode() ([]byte, error) }) {
	if e.err == nil {
		data, err := v.GobEncode()
		e.Fail(err)
		e.Bytes(data)
	}
}

// Text writes what v's MarshalText returns.
func (e *Encoder) Text(v encoding.TextMarshaler) {
	if e.err == nil {
		data, err := v.MarshalText()
		e.Fail(err)
		e.Bytes(data)
	}
}

// Reflect writes the value that v points to as msgpack does by reflection. It is
// for types that generated code cannot name. It fails if the value is nested too deep, or
// holds itself.
func (e *Encoder) Reflect(v any) {
	if e.err == nil && reflectvalue.TooDeep(v, MaxDepth) {
		e.err = scan.ErrDepth
	}
	if e.err != nil {
		return
	}
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() && reflectvalue.Storable(p.Type().Elem()) {
		reflectwire.Encode(e, p.Elem())
		return
	}
	e.err = e.m.Encode(v)
	e.m.Reset(&e.out)
}
