// Package scan looks at MessagePack before it is decoded: whether the bytes are values and
// nothing else, how deep these are nested, and how much memory it takes to decode them into
// a type. Who may write to a shared tier may have written anything.
//
// A claimed length is never believed beyond the bytes that are there. What decoding may
// take, see [Budget], is a multiple of these bytes; where a value of ours needs more, its
// writer appends a padding.
//
// Nothing here has a state but the plans of types, which are made once.
package scan

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// MaxDepth is how deep values may be nested.
const MaxDepth = 10_000

// The errors.
var (
	ErrDepth    = fmt.Errorf("nested deeper than %d levels, or in a cycle", MaxDepth)
	ErrShort    = errors.New("the data ends early")
	ErrTrailing = errors.New("there is more after the value")
	ErrMemory   = errors.New("decoding takes more memory than data of this length is trusted with")
)

// Header reads the head of the value at data[at]: where its own bytes end, and how many
// values it holds, keys included.
func Header(data []byte, at int) (end, holds int, err error) {
	if at >= len(data) {
		return 0, 0, ErrShort
	}
	c := data[at]
	at++
	rest := data[at:]
	// length reads a number of size bytes, and says where it ends.
	length := func(size int) (n, after int) {
		if len(rest) < size {
			return 0, len(data) + 1
		}
		var room [4]byte
		copy(room[4-size:], rest[:size])
		return int(binary.BigEndian.Uint32(room[:])), at + size
	}
	var n, extra int
	switch {
	case msgpcode.IsFixedNum(c), c == msgpcode.Nil, c == msgpcode.False, c == msgpcode.True:
	case msgpcode.IsFixedMap(c):
		holds = 2 * int(c&msgpcode.FixedMapMask)
	case msgpcode.IsFixedArray(c):
		holds = int(c & msgpcode.FixedArrayMask)
	case msgpcode.IsFixedString(c):
		extra = int(c & msgpcode.FixedStrMask)
	default:
		switch c {
		case msgpcode.Uint8, msgpcode.Int8:
			extra = 1
		case msgpcode.Uint16, msgpcode.Int16:
			extra = 2
		case msgpcode.Uint32, msgpcode.Int32, msgpcode.Float:
			extra = 4
		case msgpcode.Uint64, msgpcode.Int64, msgpcode.Double:
			extra = 8
		case msgpcode.Str8, msgpcode.Bin8:
			extra, at = length(1)
		case msgpcode.Str16, msgpcode.Bin16:
			extra, at = length(2)
		case msgpcode.Str32, msgpcode.Bin32:
			extra, at = length(4)
		case msgpcode.Array16:
			holds, at = length(2)
		case msgpcode.Array32:
			holds, at = length(4)
		case msgpcode.Map16:
			n, at = length(2)
			holds = 2 * n
		case msgpcode.Map32:
			n, at = length(4)
			holds = 2 * n
		case msgpcode.FixExt1, msgpcode.FixExt2, msgpcode.FixExt4, msgpcode.FixExt8, msgpcode.FixExt16:
			extra = 1 + 1<<(c-msgpcode.FixExt1)
		case msgpcode.Ext8:
			n, at = length(1)
			extra = 1 + n
		case msgpcode.Ext16:
			n, at = length(2)
			extra = 1 + n
		case msgpcode.Ext32:
			n, at = length(4)
			extra = 1 + n
		default:
			return 0, 0, fmt.Errorf("byte %#x begins nothing", c)
		}
	}
	// Subtracting cannot overflow, and each value is one byte at least.
	if at > len(data) || extra > len(data)-at || holds > len(data)-at-extra {
		return 0, 0, ErrShort
	}
	return at + extra, holds, nil
}

// Skip returns where the value at data[at] ends. It needs no stack, however deep
// the value is nested, but refuses more than MaxDepth levels.
func Skip(data []byte, at int) (int, error) {
	end, holds, err := Header(data, at)
	if err != nil || holds == 0 {
		return end, err
	}
	open := make([]int, 1, 16) // how many values each open one still has to get
	open[0] = holds
	for len(open) > 0 {
		if open[len(open)-1] == 0 {
			open = open[:len(open)-1]
			continue
		}
		open[len(open)-1]--
		if end, holds, err = Header(data, end); err != nil {
			return 0, err
		}
		if holds > 0 {
			if len(open) == MaxDepth {
				return 0, ErrDepth
			}
			open = append(open, holds)
		}
	}
	return end, nil
}

// Single returns an error unless data is one value.
func Single(data []byte) error {
	end, err := Skip(data, 0)
	if err == nil && end < len(data) {
		err = ErrTrailing
	}
	return err
}

// A padding, behind a value, is nothing but the byte that begins no value.
const padding = 0xc1

// Padded reports whether data[at:] is a padding, which may be empty.
func Padded(data []byte, at int) bool {
	for _, c := range data[min(at, len(data)):] {
		if c != padding {
			return false
		}
	}
	return true
}

// Budget is how much memory a value of n bytes may take when it is decoded: a small value
// may take a page, and a byte as much as a few words.
func Budget(n int) int { return smallest + perByte*n }

const (
	smallest = 4 << 10
	perByte  = 64
)

// Pad appends to data, the bytes of a value, the padding without which decoding it, which
// takes so much memory, would exceed the budget.
func Pad(data []byte, memory int) []byte {
	if missing := (memory-smallest+perByte-1)/perByte - len(data); missing > 0 {
		at := len(data)
		data = append(data, make([]byte, missing)...)
		for i := range data[at:] {
			data[at+i] = padding
		}
	}
	return data
}
