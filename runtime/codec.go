package runtime

import (
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// A Codec turns values into bytes for the shared tier and back.
type Codec interface {
	// Marshal returns the bytes of the value that v points to.
	Marshal(v any) ([]byte, error)
	// Unmarshal fills the value that v points to.
	Unmarshal(data []byte, v any) error
}

// MsgPack is the default codec: MessagePack as github.com/vmihailenco/msgpack
// writes it.
var MsgPack Codec = msgPack{}

type msgPack struct{}

func (msgPack) Marshal(v any) ([]byte, error)      { return msgpack.Marshal(v) }
func (msgPack) Unmarshal(data []byte, v any) error { return msgpack.Unmarshal(data, v) }

// encode and decode turn a codec's panic into an error: what lies in a shared
// tier may have been written by anyone.
func encode(c Codec, v any) (data []byte, err error) {
	defer recovered("encode", v, &err)
	return c.Marshal(v)
}

func decode(c Codec, data []byte, into any) (err error) {
	defer recovered("decode", into, &err)
	return c.Unmarshal(data, into)
}

func recovered(op string, v any, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("cachegen: %s %T: codec panicked: %v", op, v, p)
	}
}
