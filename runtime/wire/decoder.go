package wire

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/cachegen/cachegen/runtime/internal/reflectvalue"
	"github.com/cachegen/cachegen/runtime/internal/reflectwire"
	"github.com/cachegen/cachegen/runtime/internal/scan"
)

// A Decoder reads one value. [Unmarshal] makes it. Once a method has failed, all
// return zero values, and Nil returns true. It is not safe for concurrent use.
type Decoder struct {
	m       *msgpack.Decoder
	in      input
	err     error
	depth   int
	shallow bool // all of the rest is nested less than MaxDepth
	room    int  // bytes that may still be allocated
	ahead   int  // bytes that may be allocated before there is anything to put there
	lookups int  // of locations that there are not
}

// input is what a Decoder reads.
type input struct {
	data []byte
	at   int
}

func (r *input) Read(b []byte) (int, error) {
	if r.at >= len(r.data) && len(b) > 0 {
		return 0, io.EOF
	}
	n := copy(b, r.data[r.at:])
	r.at += n
	return n, nil
}

func (r *input) ReadByte() (byte, error) {
	if r.at >= len(r.data) {
		return 0, io.EOF
	}
	r.at++
	return r.data[r.at-1], nil
}

func (r *input) UnreadByte() error {
	if r.at == 0 {
		return io.ErrNoProgress
	}
	r.at--
	return nil
}

func (d *Decoder) begin(data []byte) {
	d.in, d.err, d.depth, d.shallow, d.lookups = input{data: data}, nil, 0, false, 0
	d.room, d.ahead = scan.Budget(len(data)), 64<<10+8*len(data)
	d.m.Reset(&d.in)
}

func (d *Decoder) end() error {
	if d.err == nil && !scan.Padded(d.in.data, d.in.at) {
		d.Fail(scan.ErrTrailing)
	}
	err := d.err
	d.in = input{}
	return err
}

// OK reports whether nothing has failed.
func (d *Decoder) OK() bool { return d.err == nil }

// Fail makes decoding fail with err, unless it has already failed or err is nil.
func (d *Decoder) Fail(err error) {
	if err != nil && d.err == nil {
		d.fail(err)
	}
}

func (d *Decoder) fail(err error) { d.err = fmt.Errorf("at byte %d: %w", d.in.at, err) }

// Enter begins a value of a recursive type, and reports whether it may be read: not
// if it is nested too deep. Leave ends it.
func (d *Decoder) Enter() bool {
	if d.depth++; d.depth > MaxDepth {
		d.Fail(scan.ErrDepth)
	}
	return d.err == nil
}

// Leave ends what [Decoder.Enter] began.
func (d *Decoder) Leave() { d.depth-- }

// peek returns the first byte of the next value; Nil's if there is none.
func (d *Decoder) peek() byte {
	if d.err != nil {
		return msgpcode.Nil
	}
	if d.in.at >= len(d.in.data) {
		d.Fail(scan.ErrShort)
		return msgpcode.Nil
	}
	return d.in.data[d.in.at]
}

// wanted is peek for a value that cannot be nil. It returns false if it is, or if
// decoding has failed.
func (d *Decoder) wanted(what string) (byte, bool) {
	c := d.peek()
	if c == msgpcode.Nil && d.err == nil {
		d.Fail(fmt.Errorf("nil instead of %s", what))
	}
	return c, d.err == nil
}

// Nil reports whether the next value is nil, and reads it if so.
func (d *Decoder) Nil() bool {
	if d.peek() != msgpcode.Nil {
		return false
	}
	if d.err == nil {
		d.in.at++
	}
	return true
}

// Bool reads a bool.
func (d *Decoder) Bool() bool {
	if _, ok := d.wanted("a bool"); !ok {
		return false
	}
	v, err := d.m.DecodeBool()
	d.Fail(err)
	return v
}

// view reads a string or bytes, without copying them; nil if there is nil.
func (d *Decoder) view() []byte {
	if d.err != nil {
		return nil
	}
	var n int
	if c := d.peek(); msgpcode.IsFixedString(c) {
		n = int(c & msgpcode.FixedStrMask)
		d.in.at++
	} else {
		var err error
		if n, err = d.m.DecodeBytesLen(); err != nil {
			d.Fail(err)
			return nil
		}
	}
	if n < 0 {
		return nil
	}
	if n > d.rest() {
		d.Fail(scan.ErrShort)
		return nil
	}
	at := d.in.at
	d.in.at += n
	return d.in.data[at:d.in.at:d.in.at]
}

// String reads a string.
func (d *Decoder) String() string {
	if _, ok := d.wanted("a string"); !ok {
		return ""
	}
	return string(d.view())
}

// Key reads a field's name. It is valid until the next method is called.
func (d *Decoder) Key() string {
	if _, ok := d.wanted("a name"); !ok {
		return ""
	}
	name := d.view()
	return unsafe.String(unsafe.SliceData(name), len(name)) // nobody changes the data meanwhile
}

// Bytes reads bytes. Nil and empty stay apart.
func (d *Decoder) Bytes() []byte {
	data := d.view()
	if data == nil {
		return nil
	}
	return append(make([]byte, 0, len(data)), data...)
}

// Fill reads exactly as many bytes as into has room for.
func (d *Decoder) Fill(into []byte) {
	data := d.view()
	if d.err == nil && len(data) != len(into) {
		d.Fail(fmt.Errorf("%d bytes instead of %d", len(data), len(into)))
		return
	}
	copy(into, data)
}

// Skip reads the next value, whatever it is.
func (d *Decoder) Skip() { d.raw() }

// raw returns the bytes of the next value, which it skips.
func (d *Decoder) raw() []byte {
	if d.err != nil {
		return nil
	}
	at := d.in.at
	end, err := scan.Skip(d.in.data, at)
	if err != nil {
		d.Fail(err)
		return nil
	}
	d.in.at = end
	return d.in.data[at:end:end]
}

// rest is how many bytes are left.
func (d *Decoder) rest() int { return len(d.in.data) - d.in.at }

// Struct begins a struct and returns its number of fields, each a Key and a value.
func (d *Decoder) Struct() int { return d.Map() }

// Map begins a map and returns its number of keys, for each of which there are at
// least two bytes left.
func (d *Decoder) Map() int {
	c, ok := d.wanted("a map")
	if !ok {
		return 0
	}
	var n int
	var err error
	if msgpcode.IsFixedMap(c) {
		d.in.at++
		n = int(c & msgpcode.FixedMapMask)
	} else {
		n, err = d.m.DecodeMapLen()
	}
	if err == nil && n > d.rest()/2 {
		err = scan.ErrShort
	}
	d.Fail(err)
	return d.length(n)
}

// Slice begins a slice and returns its number of elements, for each of which there
// is at least one byte left.
func (d *Decoder) Slice() int {
	c, ok := d.wanted("a slice")
	if !ok {
		return 0
	}
	var n int
	var err error
	if msgpcode.IsFixedArray(c) {
		d.in.at++
		n = int(c & msgpcode.FixedArrayMask)
	} else {
		n, err = d.m.DecodeArrayLen()
	}
	if err == nil && n > d.rest() {
		err = scan.ErrShort
	}
	d.Fail(err)
	return d.length(n)
}

// length is n, or 0 if decoding has failed.
func (d *Decoder) length(n int) int {
	if d.err != nil {
		return 0
	}
	return n
}

// Array begins an array of n elements, or a struct of n fields that was written
// without names, and reports whether there is one.
func (d *Decoder) Array(n int) bool {
	got := d.Slice()
	if d.err == nil && got != n {
		d.Fail(fmt.Errorf("%d elements instead of %d", got, n))
	}
	return d.err == nil
}

// Custom reads a value by v's DecodeMsgpack. Nil leaves v as it is.
func (d *Decoder) Custom(v msgpack.CustomDecoder) {
	if !d.foreign() || d.Nil() {
		return
	}
	d.Fail(v.DecodeMsgpack(d.m))
	d.m.Reset(&d.in) // it may have changed the settings
}

// Msgpack hands the next value to v's UnmarshalMsgpack. Nil leaves v as it is.
func (d *Decoder) Msgpack(v msgpack.Unmarshaler) {
	if !d.Nil() {
		if data := d.raw(); d.err == nil {
			d.Fail(v.UnmarshalMsgpack(append([]byte(nil), data...)))
		}
	}
}

// Binary hands bytes to v's UnmarshalBinary. Nil leaves v as it is.
func (d *Decoder) Binary(v encoding.BinaryUnmarshaler) {
	if !d.Nil() {
		if data := d.Bytes(); d.err == nil {
			d.Fail(v.UnmarshalBinary(data))
		}
	}
}

// Gob hands bytes to v's GobDecode. Nil leaves v as it is.
func (d *Decoder) Gob(v interface{ GobDecode([]byte) error }) {
	if !d.Nil() {
		if data := d.Bytes(); d.err == nil {
			d.Fail(v.GobDecode(data))
		}
	}
}

// Text hands bytes to v's UnmarshalText. Nil leaves v as it is.
func (d *Decoder) Text(v encoding.TextUnmarshaler) {
	if !d.Nil() {
		if data := d.Bytes(); d.err == nil {
			d.Fail(v.UnmarshalText(data))
		}
	}
}

// Reflect reads into the value that v points to as msgpack does by reflection.
func (d *Decoder) Reflect(v any) {
	if t := reflect.TypeOf(v).Elem(); d.foreign() && reflectvalue.Storable(t) {
		reflectwire.Decode(reflected{d}, reflect.ValueOf(v).Elem())
		return
	}
	if d.err == nil && d.peek() != msgpcode.Nil {
		t := reflect.TypeOf(v).Elem()
		d.charge(scan.Memory(t, d.in.data[d.in.at:]) - int(t.Size()))
	}
	if d.err == nil {
		d.Fail(d.m.Decode(v))
		d.m.Reset(&d.in)
	}
}

// reflected is what [reflectwire] needs of a Decoder besides its methods.
type reflected struct{ *Decoder }

func (d reflected) Room(n, size int) int {
	d.charge(n * size)
	return d.grant(n, size)
}

func (d reflected) MapRoom(n, key, elem int) int {
	d.charge(scan.MapMemory(n, key, elem))
	return d.grant(n, key+elem+16)
}

// foreign makes sure, once, that all of the rest is well formed and not nested too
// deep, for code that follows it without looking.
func (d *Decoder) foreign() bool {
	for at := d.in.at; d.err == nil && !d.shallow && !scan.Padded(d.in.data, at); {
		var err error
		at, err = scan.Skip(d.in.data, at)
		d.Fail(err)
	}
	d.shallow = d.err == nil
	return d.shallow
}

// exceeded is what decoding panics with when it would take too much memory: there may be
// no room for what a caller goes on with.
type exceeded struct{ error }

// charge counts n bytes that are about to be allocated.
func (d *Decoder) charge(n int) {
	if d.room -= n; d.room < 0 {
		panic(exceeded{fmt.Errorf("at byte %d: %w", d.in.at, scan.ErrMemory)})
	}
}

// Cap is the capacity with which to make a slice for n elements that d is about to read,
// which count as allocated: n, unless n is more than the bytes of the whole value make
// likely. Each of many nested slices may say that it has as many elements as bytes are left.
func Cap[T any](d *Decoder, n int) int {
	size := int(unsafe.Sizeof(*new(T)))
	d.charge(n * size)
	return d.grant(n, size)
}

// MapCap is [Cap] for a map.
func MapCap[K comparable, V any](d *Decoder, n int) int {
	key, value := int(unsafe.Sizeof(*new(K))), int(unsafe.Sizeof(*new(V)))
	d.charge(scan.MapMemory(n, key, value))
	return d.grant(n, key+value+16)
}

// grant returns how many of n elements of so many bytes to make room for at once.
func (d *Decoder) grant(n, size int) int {
	size = max(1, size)
	n = min(n, d.ahead/size)
	d.ahead -= n * size
	return n
}

// New returns a new T that d is about to read, which counts as allocated.
func New[T any](d *Decoder) *T {
	d.charge(int(unsafe.Sizeof(*new(T))))
	return new(T)
}
