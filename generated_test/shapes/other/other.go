// Package other has types that package shapes cannot look into, or not name.
package other

import (
	"slices"
	"sync"
)

// Thing has exported fields only.
type Thing struct {
	Name  string
	Parts []Part
}

// Part is part of a Thing.
type Part struct{ N int }

// Cloned has state that only its own method can copy.
type Cloned struct{ state []byte }

// NewCloned returns a Cloned with a state.
func NewCloned(state []byte) Cloned { return Cloned{state} }

// State is the state itself.
func (c Cloned) State() []byte { return c.state }

// Clone returns a copy.
func (c Cloned) Clone() Cloned { return Cloned{slices.Clone(c.state)} }

// MarshalBinary writes the state.
func (c Cloned) MarshalBinary() ([]byte, error) { return c.state, nil }

// UnmarshalBinary reads the state.
func (c *Cloned) UnmarshalBinary(b []byte) error { c.state = b; return nil }

type secret struct{ Words []string }

type embedded struct{ Depth int }

// Odd has exported fields of types that are not.
type Odd struct {
	Secret  secret
	Secrets []secret
	ByName  map[string]*secret
	embedded
}

// NewOdd returns an Odd with words in it.
func NewOdd(words []string, depth int) Odd {
	return Odd{secret{words}, []secret{{words}}, map[string]*secret{"a": {words}}, embedded{depth}}
}

// Lock must not be copied.
type Lock struct{ sync.Mutex }
