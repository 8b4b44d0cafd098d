package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// header reads the head of the value at data[at]: where its own bytes end, and how
// many values it holds, keys included.
func header(data []byte, at int) (end, holds int, err error) {
	if at >= len(data) {
		return 0, 0, errShort
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
		return 0, 0, errShort
	}
	return at + extra, holds, nil
}

// skip returns where the value at data[at] ends. It needs no stack, however deep
// the value is nested, but refuses more than MaxDepth levels.
func skip(data []byte, at int) (int, error) {
	end, holds, err := header(data, at)
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
		if end, holds, err = header(data, end); err != nil {
			return 0, err
		}
		if holds > 0 {
			if len(open) == MaxDepth {
				return 0, errDepth
			}
			open = append(open, holds)
		}
	}
	return end, nil
}

// single returns an error unless data is one value.
func single(data []byte) error {
	end, err := skip(data, 0)
	if err == nil && end < len(data) {
		err = errTrailing
	}
	return err
}
