// Package key reads the patterns of cache keys and of tags, and decides whether two
// keys can be equal.
//
//	user:{id}:order-{order.Number}
//
// A pattern is segments between colons. A segment is literal text with at most one
// placeholder in it. At run time no value contains a colon (strings are escaped),
// so a key's text splits into exactly its pattern's segments, and different values
// give different texts.
package key

// A Pattern is the text of a key or tag as a directive writes it, taken apart.
type Pattern struct {
	Text     string
	Segments []Segment
}

// A Segment is what stands between two colons.
type Segment struct {
	Offset int    // of its first byte in the pattern's text
	Before string // literal text before the placeholder, or all of it
	Value  *Placeholder
	After  string
}

// A Placeholder stands for a value: {id}, {order.Number}.
type Placeholder struct {
	Offset int    // of the opening brace
	Path   []Name // at least one
}

// A Name is an element of a placeholder's path.
type Name struct {
	Text   string
	Offset int
}

// String returns the path as it was written: order.Number.
func (p *Placeholder) String() string {
	var text string
	for i, n := range p.Path {
		if i > 0 {
			text += "."
		}
		text += n.Text
	}
	return text
}

// Placeholders returns the placeholders of p in order.
func (p Pattern) Placeholders() []*Placeholder {
	var list []*Placeholder
	for _, s := range p.Segments {
		if s.Value != nil {
			list = append(list, s.Value)
		}
	}
	return list
}

// A Problem is something that a pattern may not contain.
type Problem struct {
	Offset   int  // into the pattern's text
	Reserved bool // the runtime keeps such keys for itself; otherwise the pattern is malformed
	Message  string
	Hint     string // empty if there is nothing to advise
}
