package drivertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

func leaseMixed(t *testing.T, s leasing) {
	a, b, c := s.key("a"), s.key("b"), s.key("c")
	s.lease("t1", yes, b)
	s.lease("t2", []bool{true, false, true}, a, b, c)
	s.fill("t2", []bool{true, false}, drivers.Item{Key: a, Value: []byte("2")}, drivers.Item{Key: b, Value: []byte("2")})
	s.fill("t1", []bool{false, true, false},
		drivers.Item{Key: a, Value: []byte("1")}, drivers.Item{Key: b, Value: []byte("1")}, drivers.Item{Key: c, Value: []byte("1")})
	s.expect(a, []byte("2"))
	s.expect(b, []byte("1"))
	s.expect(c, nil)
	s.release("t2", a, b, c)
	s.lease("t3", []bool{true, true, true}, a, b, c)
}

func leaseBatch(t *testing.T, s leasing) {
	n := s.limit.batch(1000)
	var keys, odd []string
	var items []drivers.Item
	var first, second []bool
	for i := range n {
		key := s.key(fmt.Sprint(i))
		keys = append(keys, key)
		items = append(items, drivers.Item{Key: key, Value: fmt.Append(nil, i), TTL: time.Hour})
		if i%2 == 1 {
			odd = append(odd, key)
			first = append(first, true)
		}
		second = append(second, i%2 == 0)
	}
	s.lease("t1", first, odd...)
	s.lease("t2", second, keys...)
	s.fill("t2", second, items...)
	for i, got := range s.get(keys...) {
		var want []byte
		if second[i] {
			want = items[i].Value
		}
		mustEqual(t, fmt.Sprintf("key %d", i), got, want)
	}
	s.release("t1", keys...)
	s.lease("t3", []bool{true, true}, keys[0], keys[1])

	// Keys with leases only, more than one statement names.
	var bare []string
	var every []bool
	for i := range n {
		bare, every = append(bare, s.key(fmt.Sprint("bare", i))), append(every, true)
	}
	s.lease("t1", every, bare...)
	s.release("t1", bare...)
	s.lease("t2", every, bare...)
}
