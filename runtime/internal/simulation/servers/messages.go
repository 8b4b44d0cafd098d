package servers

import (
	"slices"
	"strings"

	"github.com/cachegen/cachegen/runtime/internal/bus"
)

// DescribeMessage says what is in a message.
func DescribeMessage(data []byte) string {
	m, err := bus.Parse(data)
	if err != nil {
		return "bytes"
	}
	if len(m.Changes) == 0 {
		return "heartbeat"
	}
	var texts []string
	for _, c := range m.Changes {
		texts = append(texts, strings.TrimSpace(c.Kind.String()+" "+strings.Join(slices.Sorted(slices.Values(c.Names)), " ")))
	}
	slices.Sort(texts) // those who want to say something at once come in any order
	return strings.Join(texts, ", ")
}

// MessageSays reports whether a message says that one of names has changed.
func MessageSays(data []byte, names []string) bool {
	m, err := bus.Parse(data)
	return err == nil && slices.ContainsFunc(m.Changes, func(c bus.Change) bool {
		return c.Kind != bus.Filled && slices.ContainsFunc(c.Names, func(name string) bool { return slices.Contains(names, name) })
	})
}

// Numbers are the numbers of the last messages of each origin that a process has got. The zero
// Numbers is ready.
type Numbers struct{ last map[uint64]uint64 }

// Renumber returns a message as if its receiver had missed none before it.
func (n *Numbers) Renumber(data []byte) []byte {
	m, err := bus.Parse(data)
	if err != nil {
		return data
	}
	if n.last == nil {
		n.last = make(map[uint64]uint64)
	}
	counts := m.Number != m.Last
	m.Last = n.last[m.Origin]
	if counts {
		n.last[m.Origin]++
	}
	m.Number = n.last[m.Origin]
	return bus.Append(nil, &m)
}
