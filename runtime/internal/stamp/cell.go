package stamp

import (
	"math"
	"sync/atomic"
)

// A Cell holds the present stamp of one name.
type Cell struct {
	Name  string
	state atomic.Pointer[state]
	known atomic.Uint64 // the count of cells that were given a first stamp, or one from the shared tier after a change, at that moment
	// Refreshing is set while someone reads the stamp anew in the background.
	Refreshing atomic.Bool
}

// A state whose Delete half is zero says that there is no stamp.
type state struct {
	Record
	trustUntil int64
	// made says that a half was made here because of a change: what the shared tier
	// holds since is not known.
	made bool
	// provided says that the stamp is not from the shared tier.
	provided bool
}

// over reports whether the shared tier has forgotten the stamp at t, by itself.
func (s *state) over(t int64) bool { return !s.made && !s.provided && t >= s.Until }

// until returns s with another trust.
func (s state) until(trustUntil int64) *state {
	s.trustUntil = trustUntil
	return &s
}

// Current returns the stamp and until when it is believed without looking at the
// shared tier again, in nanoseconds since 1970. ok is false while no stamp is known; then
// trustUntil says until when it is believed that there is none.
func (c *Cell) Current() (v Value, trustUntil int64, ok bool) {
	s := c.state.Load()
	switch {
	case s == nil:
		return Value{}, math.MinInt64, false
	case s.Delete == 0:
		return Value{}, s.trustUntil, false
	}
	return s.Value, s.trustUntil, true
}

// Kept returns until when the shared tier keeps v, as far as this process knows. ok is
// false if v is not the present stamp, or is not from there.
func (c *Cell) Kept(v Value) (until int64, ok bool) {
	r, ok := c.Stored(v)
	return r.Until, ok
}

// Stored returns the record by which the shared tier has v, as Kept.
func (c *Cell) Stored(v Value) (r Record, ok bool) {
	s := c.state.Load()
	if s == nil || s.Value != v || s.made || s.provided {
		return Record{}, false
	}
	return s.Record, true
}

// Provided reports whether c has v by [Table.Provide]. Then only this process knows it.
func (c *Cell) Provided(v Value) bool {
	s := c.state.Load()
	return s != nil && s.provided && s.Value == v
}
