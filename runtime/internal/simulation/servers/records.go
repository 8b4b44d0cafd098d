package servers

import (
	"fmt"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// This file knows what the records of the tier look like, so that processes can have
// different clocks although a test has one only: the times in what a process writes are
// shifted by how far its clock is ahead, and those in what it reads are shifted back. So one
// whose clock is an hour ahead writes times that are an hour late, and finds that those of
// the others have passed an hour ago.

// A Value is what is cached of a row of the database: which version of it.
type Value struct {
	Row     int
	Version int
}

// isStamp reports whether a key is that of a stamp.
func isStamp(key string) bool { return strings.Contains(key, "!s:") }

// IsCounter reports whether a key is that of a counter of a process.
func IsCounter(key string) bool { return strings.HasPrefix(key, "!h:") }

// Shift returns a value with its times d later.
func Shift(key string, value []byte, d time.Duration) []byte {
	if value == nil || d == 0 {
		return value
	}
	if isStamp(key) {
		r, ok := stamp.Parse(value)
		if !ok {
			return value
		}
		r.Until = later(r.Until, d)
		return r.Bytes()
	}
	h, inner, err := entry.Parse(value)
	if err != nil {
		return value
	}
	h.FreshUntil, h.StaleUntil, h.LoadStarted = later(h.FreshUntil, d), later(h.StaleUntil, d), later(h.LoadStarted, d)
	return entry.Append(nil, &h, inner)
}

func later(t int64, d time.Duration) int64 {
	if t == clock.Never {
		return t
	}
	return t + int64(d)
}

// Timed returns the record of a stamp with the time, to the second, in place of those halves
// that are not in the record old. What is no stamp stays as it is.
func Timed(key string, value, old []byte) []byte {
	if !isStamp(key) {
		return value
	}
	r, ok := stamp.Parse(value)
	if !ok {
		return value
	}
	was, _ := stamp.Parse(old)
	second := uint64(time.Now().Unix())
	if r.Delete != was.Delete {
		r.Delete = second
	}
	if r.Expire != was.Expire {
		r.Expire = second
	}
	return r.Bytes()
}

// describe says what a value of the tier is.
func describe(key string, value []byte) string {
	if value == nil {
		return "nothing"
	}
	if isStamp(key) {
		if r, ok := stamp.Parse(value); ok {
			return fmt.Sprintf("stamp %04x/%04x", r.Delete&0xffff, r.Expire&0xffff)
		}
	}
	h, inner, err := entry.Parse(value)
	if err != nil {
		return fmt.Sprintf("%d bytes", len(value))
	}
	var v Value
	if err := runtime.MsgPack().Unmarshal(inner, &v); err != nil {
		return fmt.Sprintf("an entry of %d bytes", len(value))
	}
	stamps := make([]string, len(h.Stamps))
	for i, s := range h.Stamps {
		stamps[i] = fmt.Sprintf("%s=%04x/%04x", s.Name, s.Delete&0xffff, s.Expire&0xffff)
	}
	return fmt.Sprintf("version %d {%s}", v.Version, strings.Join(stamps, " "))
}

// DescribeAll says what values are.
func DescribeAll(keys []string, values [][]byte) string {
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = describe(key, values[i])
	}
	return strings.Join(texts, ", ")
}

// DescribeItems says what the values of items are.
func DescribeItems(items []drivers.Item) string {
	texts := make([]string, len(items))
	for i, it := range items {
		texts[i] = describe(it.Key, it.Value)
	}
	return strings.Join(texts, ", ")
}

// DescribeLeases says what leases are.
func DescribeLeases(leases []drivers.Lease) string {
	texts := make([]string, len(leases))
	for i, l := range leases {
		switch {
		case l.Taken:
			texts[i] = "taken"
		case l.Holder != "":
			texts[i] = fmt.Sprintf("another has it for %v", l.Left)
		default:
			texts[i] = "there is a value"
		}
	}
	return strings.Join(texts, ", ")
}
