package facts

import (
	"cmp"
	"go/types"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
)

// Value is the type that is cached.
func (c *Cache) Value() types.Type { return c.Results[0].Type() }

// HasOK reports whether a bool result says that there is a value.
func (c *Cache) HasOK() bool { return len(c.Results) == 2 }

// Levels are the directives that give c's options, the nearest first.
func (c *Cache) Levels() []*directive.Directive {
	if c.Recv != nil && c.Recv.Directive != nil {
		return []*directive.Directive{c.Directive, c.Recv.Directive}
	}
	return []*directive.Directive{c.Directive}
}

// Defaults is the wrap directive of c's type, or nil.
func (c *Cache) Defaults() *directive.Directive {
	if levels := c.Levels(); len(levels) > 1 {
		return levels[1]
	}
	return nil
}

// OptionText is the value of an option at the first level that has it.
func OptionText(levels []*directive.Directive, name string) string {
	for _, d := range levels {
		if arg, ok := d.Option(name); ok {
			return arg.Value
		}
	}
	return ""
}

// TagUses are the tags of c in the order in which they are written, those of its type last.
func (c *Cache) TagUses() []*TagUse {
	uses := append(slices.Clone(c.KeyTags), c.ResultTags...)
	slices.SortStableFunc(uses, func(a, b *TagUse) int {
		if a.Inherited != b.Inherited {
			if b.Inherited {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Pos, b.Pos)
	})
	return uses
}

// ReceiverInKey reports whether the key says which value the method belongs to.
func (c *Cache) ReceiverInKey() bool {
	return slices.ContainsFunc(c.Fields, func(f *Field) bool { return f.Root == Receiver })
}

// Generic reports whether c is not one cache but one for each list of type arguments.
func (c *Cache) Generic() bool {
	if c.Recv != nil {
		return len(c.Recv.TypeParams()) > 0
	}
	return len(c.TypeParams) > 0
}
