package runtime

import "github.com/vmihailenco/msgpack/v5"

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
