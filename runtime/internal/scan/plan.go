package scan

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/cachegen/cachegen/runtime/internal/reflectvalue"
)

// A plan says what decoding a value of one type allocates. It does not change once it is
// made.
type plan struct {
	kind planKind
	size int // of a value in its own place
	elem *plan
	key  *plan
	// Of a struct: what its fields are by name and, where it is written without names, in
	// order; and the size of what it embeds by pointer.
	fields   map[string]*plan
	list     []*plan
	always   []bool // of list: it is always written
	embedded int
	len      int // of an array
}

type planKind uint8

const (
	inPlace planKind = iota // allocates no more than its bytes, or decodes itself
	pointer
	slice
	array
	mapping
	structure
	anything // an interface
)

// Memory returns how much memory it takes at most to decode into a value of type t what
// data begins with, besides what the bytes of strings take. The data is well formed, and
// not nested too deep.
func Memory(t reflect.Type, data []byte) int {
	p := planOf(t)
	w := walker{data: data, memory: p.size}
	w.value(p, 0)
	return w.memory
}

var plans sync.Map // of reflect.Type to *plan

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := builder{}.plan(t)
	actual, _ := plans.LoadOrStore(t, p)
	return actual.(*plan)
}

// A builder makes the plans of types that refer to each other.
type builder map[reflect.Type]*plan

func (b builder) plan(t reflect.Type) *plan {
	if p, ok := b[t]; ok {
		return p
	}
	p := &plan{size: int(t.Size())}
	b[t] = p
	if reflectvalue.WayOf(t) != reflectvalue.Structure {
		return p
	}
	switch t.Kind() {
	case reflect.Pointer:
		p.kind, p.elem = pointer, b.plan(t.Elem())
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			if t.Kind() == reflect.Array {
				p.len = t.Len()
			}
			break
		}
		if p.kind = slice; t.Kind() == reflect.Array {
			p.kind, p.len = array, t.Len()
		}
		p.elem = b.plan(t.Elem())
	case reflect.Map:
		p.kind, p.key, p.elem = mapping, b.plan(t.Key()), b.plan(t.Elem())
	case reflect.Interface:
		p.kind = anything
	case reflect.Struct:
		p.kind = structure
		b.fields(p, t)
	}
	return p
}

// fields fills in those of a struct.
func (b builder) fields(p *plan, t reflect.Type) {
	s := reflectvalue.Fields(t)
	p.fields = make(map[string]*plan, len(s.Fields))
	made := make(map[string]bool)
	for _, f := range s.Fields {
		inner := b.plan(f.Type)
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			p.fields[name] = inner
		}
		embedded := false
		for i := 1; i < len(f.Index); i++ {
			way := t.FieldByIndex(f.Index[:i]).Type
			if way.Kind() != reflect.Pointer {
				continue
			}
			embedded = true
			if at := fmt.Sprint(f.Index[:i]); !made[at] {
				made[at] = true
				p.embedded += int(way.Elem().Size())
			}
		}
		p.list, p.always = append(p.list, inner), append(p.always, !embedded && !f.OmitEmpty)
	}
}

// A walker adds up what decoding allocates.
type walker struct {
	data   []byte
	memory int
}

// value walks over the value at data[at], whose own place has been counted, and returns
// where it ends.
func (w *walker) value(p *plan, at int) (end int) {
	if w.data[at] == msgpcode.Nil {
		return at + 1
	}
	for n := 0; p.kind == pointer && n < 100; n++ { // a type that is a pointer to itself has no end
		p = p.elem
		w.memory += p.size
	}
	if p.kind == inPlace {
		return w.skip(at)
	}
	c := w.data[at]
	end, holds, err := Header(w.data, at)
	if err != nil {
		return len(w.data)
	}
	isMap := msgpcode.IsFixedMap(c) || c == msgpcode.Map16 || c == msgpcode.Map32
	switch p.kind {
	case slice:
		w.memory += holds * p.elem.size
		return w.values(end, holds, p.elem)
	case array:
		return w.values(end, holds, p.elem)
	case mapping:
		w.memory += MapMemory(holds/2, p.key.size, p.elem.size)
		return w.values(end, holds, p.key, p.elem)
	case structure:
		w.memory += p.embedded
		if isMap {
			return w.fields(end, holds/2, p)
		}
		for i := range holds {
			next := skipped
			if i < len(p.list) {
				next = p.list[i]
			}
			end = w.values(end, 1, next)
		}
		return end
	case anything:
		switch {
		case isMap:
			w.memory += MapMemory(holds/2, 2*word, 2*word) + word
		default:
			w.memory += 3*word + holds*2*word
		}
		return w.values(end, holds, p)
	}
	return w.skip(at)
}

const word = 8

// skipped is the plan of what is not decoded.
var skipped = &plan{}

// values walks over n values, for which plans are taken in turn.
func (w *walker) values(at, n int, plans ...*plan) (end int) {
	for i := range n {
		if at >= len(w.data) {
			return at
		}
		at = w.value(plans[i%len(plans)], at)
	}
	return at
}

// fields walks over n fields and their names.
func (w *walker) fields(at, n int, p *plan) (end int) {
	for range n {
		if at >= len(w.data) {
			return at
		}
		after := w.skip(at)
		next := skipped
		if name := text(w.data[at:after]); name != nil {
			if f, ok := p.fields[string(name)]; ok {
				next = f
			}
		}
		at = w.values(after, 1, next)
	}
	return at
}

// text returns the bytes of a value that is a string.
func text(value []byte) []byte {
	if len(value) == 0 {
		return nil
	}
	head := 1
	switch c := value[0]; {
	case msgpcode.IsFixedString(c):
	case c == msgpcode.Str8, c == msgpcode.Bin8:
		head = 2
	case c == msgpcode.Str16, c == msgpcode.Bin16:
		head = 3
	case c == msgpcode.Str32, c == msgpcode.Bin32:
		head = 5
	default:
		return nil
	}
	return value[head:]
}

func (w *walker) skip(at int) (end int) {
	end, err := Skip(w.data, at)
	if err != nil {
		return len(w.data)
	}
	return end
}

// MapMemory is about how much memory a map of n entries takes that is made for them: none
// if it is empty, which is little.
func MapMemory(n, key, elem int) int {
	if n == 0 {
		return 0
	}
	return reflectvalue.MapSize(n, key, elem)
}

// Dense reports whether what is written of a value of type t, whatever it is, is within the
// budget for certain: each part of it takes a few words in memory for each byte. Then
// nobody has to look.
func Dense(t reflect.Type) bool {
	if d, ok := denseTypes.Load(t); ok {
		return d.(bool)
	}
	p := planOf(t)
	d := p.isDense(make(map[*plan]bool)) && (p.size <= smallest || p.size <= wordsPerByte*word*p.least())
	denseTypes.Store(t, d)
	return d
}

var denseTypes sync.Map // of reflect.Type to bool

// A byte may be counted twice, for what it begins and for what that is a part of.
const wordsPerByte = perByte / word / 2

func (p *plan) isDense(met map[*plan]bool) bool {
	if met[p] {
		return true
	}
	met[p] = true
	switch p.kind {
	case mapping, anything:
		return false
	case slice, pointer:
		memory, end := 0, p
		for n := 0; n == 0 || end.kind == pointer; n++ {
			if n == 100 {
				return false
			}
			end = end.elem
			memory += end.size
		}
		return memory <= wordsPerByte*word*end.least() && end.isDense(met)
	case array:
		return p.elem.isDense(met)
	case structure:
		for _, f := range p.list {
			if !f.isDense(met) {
				return false
			}
		}
		return p.embedded == 0
	}
	return true
}

// least is how many bytes are written at least of a value that is not nil.
func (p *plan) least() int {
	switch p.kind {
	case inPlace:
		return 1 + p.len // of an array of bytes
	case array:
		return 1 + p.len*p.elem.least()
	case structure:
		n := 1
		for i, f := range p.list {
			if p.always[i] {
				n += f.least()
			}
		}
		return n
	}
	return 1
}
