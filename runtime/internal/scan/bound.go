package scan

import (
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// A bound says what any one part of a value of a type allocates at most.
type bound struct {
	size  int      // of the value in its own place
	part  int      // of what pointers lead to, or an interface
	whole int      // of that if it is a list or has fields, with what it embeds
	elem  int      // of an element of a slice
	pairs [][2]int // what maps hold: the sizes of their keys and elements
	small [16]int  // what a map of so many entries takes, as few as the first byte can say
}

// AtMost returns a bound of [Memory] of what has been written of a value of type t: as if each
// part were the costliest part of the type. It looks at each part once, and not at what it is
// in the type. So a writer can often tell, in a fraction of the time, that he is within the budget.
func AtMost(t reflect.Type, data []byte) int {
	b := boundOf(t)
	memory := b.size
	for at := 0; at < len(data); {
		c := data[at]
		end, holds, err := Header(data, at)
		if err != nil {
			return maxMemory
		}
		at = end
		if isList := holds > 0 || c == msgpcode.FixedArrayLow || c == msgpcode.FixedMapLow; isList {
			memory += max(b.part, b.whole)
		} else if c != msgpcode.Nil {
			memory += b.part
		}
		switch {
		case holds == 0:
		case msgpcode.IsFixedMap(c): // of a struct, too
			memory += b.small[holds/2]
		case c == msgpcode.Map16 || c == msgpcode.Map32:
			memory += b.mapOf(holds / 2)
		default:
			memory += holds * b.elem
		}
	}
	return memory
}

const maxMemory = 1 << 62

// mapOf returns how much memory a map of n entries takes at most.
func (b *bound) mapOf(n int) (most int) {
	for _, pair := range b.pairs {
		most = max(most, MapMemory(n, pair[0], pair[1]))
	}
	return most
}

var bounds sync.Map // of reflect.Type to *bound

func boundOf(t reflect.Type) *bound {
	if b, ok := bounds.Load(t); ok {
		return b.(*bound)
	}
	p := planOf(t)
	b := &bound{size: p.size}
	b.add(p, make(map[*plan]bool))
	for n := range b.small {
		b.small[n] = b.mapOf(n)
	}
	actual, _ := bounds.LoadOrStore(t, b)
	return actual.(*bound)
}

// add takes in what the parts of p cost.
func (b *bound) add(p *plan, met map[*plan]bool) {
	if met[p] {
		return
	}
	met[p] = true
	chain, end := 0, p
	for n := 0; end.kind == pointer && n < 100; n++ {
		end = end.elem
		chain += end.size
	}
	own := 0
	switch end.kind {
	case structure:
		own = end.embedded
	case anything:
		own = 3 * word
		b.elem = max(b.elem, 2*word)
		b.pairs = append(b.pairs, [2]int{2 * word, 2 * word})
	case slice:
		b.elem = max(b.elem, end.elem.size)
	case mapping:
		b.pairs = append(b.pairs, [2]int{end.key.size, end.elem.size})
	}
	if end.kind == inPlace || end.kind == anything {
		b.part = max(b.part, chain+own)
	} else {
		b.whole = max(b.whole, chain+own)
	}
	for _, next := range append([]*plan{end, p.elem, p.key}, p.list...) {
		if next != nil {
			b.add(next, met)
		}
	}
}
