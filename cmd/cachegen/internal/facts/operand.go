package facts

import (
	"go/token"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
	"github.com/cachegen/cachegen/templates"
)

// Same reports whether two operands of one function, which are no literals, are the
// same variable.
func (o *Operand) Same(other *Operand) bool {
	return o.Root == other.Root && o.Of == other.Of && slices.Equal(o.Index, other.Index)
}

// Render writes o as Go source. base is the source of its root.
func (o *Operand) Render(base string) templates.TagArg {
	if o.Root == Literal {
		return templates.TagArg{Expr: o.Literal}
	}
	arg := templates.TagArg{Expr: join(base, o.Path)}
	for _, p := range o.Pointers {
		arg.NonNil = append(arg.NonNil, join(base, p))
	}
	return arg
}

func join(base string, path []string) string {
	return strings.Join(append([]string{base}, path...), ".")
}

// A Path is a dotted name in a directive.
type Path struct {
	Names []key.Name
	Start token.Pos // of offset 0
}

// Pos is the position of the i-th name.
func (p Path) Pos(i int) token.Pos { return p.Start + token.Pos(p.Names[i].Offset) }

// String is the path as it was written.
func (p Path) String() string {
	var texts []string
	for _, n := range p.Names {
		texts = append(texts, n.Text)
	}
	return strings.Join(texts, ".")
}
