package pace

import (
	"errors"
	"testing"
	"time"
)

// However long a tier takes for a key, a chunk ends long before its limit.
func TestChunksFollowTheTimeThatOperationsTake(t *testing.T) {
	for each, want := range map[time.Duration][2]int{
		time.Microsecond:       {Largest, Largest},
		time.Millisecond:       {63, 512},
		10 * time.Millisecond:  {Smallest, 32},
		100 * time.Millisecond: {Smallest, Smallest},
	} {
		var p Pace
		for range 20 {
			n := p.Of(1e6, 0)
			p.Took(n, time.Duration(n)*each, time.Second, nil)
		}
		if n := p.Keys(); n < want[0] || n > want[1] {
			t.Errorf("with %v for each key a chunk has %d keys, want %v", each, n, want)
		}
	}
}

func TestAFailureAtOnceTeachesNothing(t *testing.T) {
	var p Pace
	p.Took(p.Keys(), 0, time.Second, errors.New("down"))
	if p.Keys() != first || p.Of(10, 0) != 10 || p.Of(10, 3) != 3 {
		t.Errorf("%d keys, %d and %d of 10", p.Keys(), p.Of(10, 0), p.Of(10, 3))
	}
	p.Took(1, time.Second, time.Second, errors.New("late"))
	if p.Keys() != Smallest {
		t.Errorf("after one that came too late: %d keys", p.Keys())
	}
}
