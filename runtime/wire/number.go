package wire

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/cachegen/cachegen/runtime/internal/scan"
)

// Int64 and its like read an integer. One that the type cannot hold is an error.
func (d *Decoder) Int64() int64 {
	v, negative := d.integer()
	if v < 0 && !negative {
		d.Fail(fmt.Errorf("%d is too large for an int64", uint64(v)))
	}
	return v
}

// integer reads an integer, all its 64 bits, and says whether it is negative.
func (d *Decoder) integer() (v int64, negative bool) {
	c, ok := d.wanted("an integer")
	if !ok {
		return 0, false
	}
	if msgpcode.IsFixedNum(c) {
		d.in.at++
		return int64(int8(c)), int8(c) < 0
	}
	b := d.in.data[d.in.at+1:]
	n := 0
	switch c {
	case msgpcode.Uint8, msgpcode.Int8:
		n = 1
	case msgpcode.Uint16, msgpcode.Int16:
		n = 2
	case msgpcode.Uint32, msgpcode.Int32:
		n = 4
	case msgpcode.Uint64, msgpcode.Int64:
		n = 8
	default:
		d.Fail(fmt.Errorf("byte %#x instead of an integer", c))
		return 0, false
	}
	if len(b) < n {
		d.Fail(scan.ErrShort)
		return 0, false
	}
	d.in.at += 1 + n
	switch c {
	case msgpcode.Uint8:
		v = int64(b[0])
	case msgpcode.Int8:
		v = int64(int8(b[0]))
	case msgpcode.Uint16:
		v = int64(binary.BigEndian.Uint16(b))
	case msgpcode.Int16:
		v = int64(int16(binary.BigEndian.Uint16(b)))
	case msgpcode.Uint32:
		v = int64(binary.BigEndian.Uint32(b))
	case msgpcode.Int32:
		v = int64(int32(binary.BigEndian.Uint32(b)))
	default:
		v = int64(binary.BigEndian.Uint64(b))
	}
	return v, v < 0 && c != msgpcode.Uint64
}

func (d *Decoder) signed(bits int) int64 {
	v := d.Int64()
	if shift := 64 - bits; v<<shift>>shift != v {
		d.Fail(fmt.Errorf("%d does not fit %d bits", v, bits))
	}
	return v
}

// Int reads an int.
func (d *Decoder) Int() int { return int(d.signed(strconv.IntSize)) }

// Int32 reads an int32.
func (d *Decoder) Int32() int32 { return int32(d.signed(32)) }

// Int16 reads an int16.
func (d *Decoder) Int16() int16 { return int16(d.signed(16)) }

// Int8 reads an int8.
func (d *Decoder) Int8() int8 { return int8(d.signed(8)) }

// Uint64 and its like read an unsigned integer. One that the type cannot hold is
// an error.
func (d *Decoder) Uint64() uint64 {
	v, negative := d.integer()
	if negative {
		d.Fail(fmt.Errorf("%d is negative", v))
	}
	return uint64(v)
}

func (d *Decoder) unsigned(bits int) uint64 {
	v := d.Uint64()
	if shift := 64 - bits; v<<shift>>shift != v {
		d.Fail(fmt.Errorf("%d does not fit %d bits", v, bits))
	}
	return v
}

// Uint reads a uint.
func (d *Decoder) Uint() uint { return uint(d.unsigned(strconv.IntSize)) }

// Uint32 reads a uint32.
func (d *Decoder) Uint32() uint32 { return uint32(d.unsigned(32)) }

// Uint16 reads a uint16.
func (d *Decoder) Uint16() uint16 { return uint16(d.unsigned(16)) }

// Uint8 reads a uint8.
func (d *Decoder) Uint8() uint8 { return uint8(d.unsigned(8)) }

// Float32 reads a float32.
func (d *Decoder) Float32() float32 {
	if _, ok := d.wanted("a float"); !ok {
		return 0
	}
	v, err := d.m.DecodeFloat32()
	d.Fail(err)
	return v
}

// Float64 reads a float64.
func (d *Decoder) Float64() float64 {
	if _, ok := d.wanted("a float"); !ok {
		return 0
	}
	v, err := d.m.DecodeFloat64()
	d.Fail(err)
	return v
}
