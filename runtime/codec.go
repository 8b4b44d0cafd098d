package runtime

import "github.com/cachegen/cachegen/runtime/wire"

// A Codec turns values into bytes for the shared tier and back. A panic of its methods counts as
// an error. The bytes that Unmarshal gets may be anything, if somebody else can write to the
// shared tier: Unmarshal must bound how much it allocates for them, and how deep it recurses.
type Codec interface {
	// Marshal returns the bytes of the value that v points to.
	Marshal(v any) ([]byte, error)
	// Unmarshal fills the value that v points to. It must not change data.
	Unmarshal(data []byte, v any) error
}

// MsgPack returns the default codec: MessagePack as github.com/vmihailenco/msgpack writes it,
// read within bounds; see package wire.
func MsgPack() Codec { return wire.Codec{} }
