package sqltable

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNamesAndKeys(t *testing.T) {
	d := &Dialect{MaxKey: 8}
	names := make(map[string]string)
	for _, key := range []string{"", "\x00", "1234567", "12345678", "123456789", "123456780", "12345678\x00", strings.Repeat("k", 1000)} {
		name := d.name(key)
		if other, taken := names[string(name)]; taken {
			t.Errorf("%q and %q have one name", key, other)
		}
		names[string(name)] = key
		if len(name) > 8+32 || !bytes.HasPrefix(name, []byte(key[:min(8, len(key))])) {
			t.Errorf("key %q has the name %q", key, name)
		}
		rest, _ := d.rest(key).([]byte)
		if got := d.key(name, rest); got != key {
			t.Errorf("key %q came back as %q", key, got)
		}
	}
	if got := (&Dialect{}).name(strings.Repeat("k", 1000)); len(got) != 1000 {
		t.Errorf("without a limit a name of %d bytes", len(got))
	}
}

func TestSuccessor(t *testing.T) {
	for prefix, want := range map[string]string{"a": "b", "a\xff": "b", "a\xfe\xff\xff": "a\xff", "\x00": "\x01"} {
		if got, ok := successor(prefix); !ok || string(got) != want {
			t.Errorf("%q: %q, %v", prefix, got, ok)
		}
	}
	for _, prefix := range []string{"", "\xff", "\xff\xff"} {
		if got, ok := successor(prefix); ok {
			t.Errorf("%q: %q", prefix, got)
		}
	}
}

// The clock rounds down twice, so what is added to it has to make up for both.
func TestLifetimeIsNeverShorter(t *testing.T) {
	for ttl, want := range map[time.Duration]int64{1: 2, time.Millisecond: 2, time.Millisecond + 1: 3, time.Second: 1001, 0: forever} {
		if got := lifetime(ttl); got != want {
			t.Errorf("%s: %d ms, want %d", ttl, got, want)
		}
	}
	const clock = int64(1) << 44 // the year 2527
	if got := clock + lifetime(math.MaxInt64); got < clock || got >= forever {
		t.Errorf("the longest TTL ends at %d", got)
	}
	if clock+lifetime(0) < 0 {
		t.Error("for ever is in the past")
	}
}

func TestGroups(t *testing.T) {
	table := &Table{}
	sizes := []int{1, 1, 1, 1, 1, maxBytes, 1, maxBytes + 1, 1, 1}
	var got [][2]int
	err := table.groups(len(sizes), 4, func(i int) int { return sizes[i] }, func(from, to int) error {
		got = append(got, [2]int{from, to})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for _, g := range got {
		n, sum := g[1]-g[0], 0
		for _, size := range sizes[g[0]:g[1]] {
			sum += size
		}
		if g[0] != next || n < 1 || n > 4 || n&(n-1) != 0 || n > 1 && sum > maxBytes {
			t.Errorf("groups %v", got)
			break
		}
		next = g[1]
	}
	if next != len(sizes) {
		t.Errorf("groups %v do not reach the end", got)
	}
}

func TestStatementsRepeatTheirLastName(t *testing.T) {
	table := &Table{Dialect: &Dialect{Numbered: true}}
	s := table.statement("IN ").list([][]byte{[]byte("a"), []byte("b"), []byte("c")})
	if s.text.String() != "IN ($1,$2,$3,$4)" || string(s.args[3].([]byte)) != "c" {
		t.Errorf("%s with %q", s.text.String(), s.args)
	}
}
