package nodes

import (
	"strings"

	"github.com/cachegen/cachegen/runtime/internal/bus"
)

// This file knows what messages look like.

// describeMessage says what is in a message.
func describeMessage(data []byte) string {
	m, err := bus.Parse(data)
	if err != nil {
		return "bytes"
	}
	return strings.TrimSpace(m.Kind.String() + " " + strings.Join(m.Names, " "))
}

// renumber returns a message as if none before it had been lost. Messages have no numbers
// yet.
func (b *busConn) renumber(data []byte) []byte { return data }
