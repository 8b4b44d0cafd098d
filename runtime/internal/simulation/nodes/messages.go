package nodes

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cachegen/cachegen/runtime/internal/bus"
	"github.com/cachegen/cachegen/runtime/internal/entry"
)

// This file knows what messages look like.

// describeMessage says what is in a message.
func describeMessage(data []byte) string {
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

// tells reports whether a message says something of what an operation invalidates.
func tells(data []byte, o *op) bool {
	m, err := bus.Parse(data)
	if err != nil {
		return false
	}
	names := o.names()
	return slices.ContainsFunc(m.Changes, func(c bus.Change) bool {
		return c.Kind != bus.Filled && slices.ContainsFunc(c.Names, func(name string) bool { return slices.Contains(names, name) })
	})
}

// cache names the entries of the rows.
var cache = entry.Cache{Namespace: []string{"rows"}, Name: "rows"}

func keyOf(row int) string { return cache.KeyPrefix("") + strconv.Itoa(row) }

// names returns the keys and the stamps that an operation changes.
func (o *op) names() (names []string) {
	row := o.rows[0]
	switch o.kind {
	case removeByGroup:
		return []string{entry.TagStamp(string(group(row)))}
	case removeByRowTag, expireByTag:
		return []string{entry.TagStamp(string(rowTag(row)))}
	case clearAll:
		return []string{cache.Stamp()}
	case write:
		return []string{keyOf(row), entry.TagStamp(string(rowTag(row)))}
	}
	for _, row := range o.rows {
		names = append(names, keyOf(row))
	}
	return names
}

// renumber returns a message as if its receiver had missed none before it.
func (b *busConn) renumber(data []byte) []byte {
	m, err := bus.Parse(data)
	if err != nil {
		return data
	}
	if b.numbers == nil {
		b.numbers = make(map[uint64]uint64)
	}
	counts := m.Number != m.Last
	m.Last = b.numbers[m.Origin]
	if counts {
		b.numbers[m.Origin]++
	}
	m.Number = b.numbers[m.Origin]
	return bus.Append(nil, &m)
}
