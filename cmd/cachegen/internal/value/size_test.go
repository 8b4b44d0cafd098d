package value

import (
	"fmt"
	"go/types"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/templates"
)

// Types that refer to each other have more ways through them than anyone can follow:
// whoever walks over types looks at each once. With 64 levels of two, a walk that does not
// would not come to an end; the text of a fingerprint also says how many steps it took.
// (What lies in place has 14 levels, because the type checker itself goes all ways then.)
func TestWalksOverTypesAreLinear(t *testing.T) {
	// chain declares n types, each of which has the next one twice, in some way.
	chain := func(n int, field, last string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "type T%d struct { "+field+" }\n", i, i+1)
		}
		fmt.Fprintf(&b, "type T%d struct { %s }\nvar v ", n, last)
		return b.String()
	}
	// full declares n types, each of which refers to all.
	full := func(n int, own, field string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "type T%d struct {", i)
			for j := range n {
				fmt.Fprintf(&b, field+";", j)
			}
			fmt.Fprintf(&b, "}\n"+own+"\n", i)
		}
		return b.String() + "var v "
	}
	const text = "func (T%[1]d) MarshalText() ([]byte, error) { return nil, nil }\nfunc (*T%[1]d) UnmarshalText([]byte) error { return nil }"
	for name, declarations := range map[string]string{
		"pointers":            chain(64, "X, Y *T%[2]d", "N int") + "*T0",
		"in place":            chain(14, "X, Y T%[2]d", "N struct{}") + "T0",
		"in place, with more": chain(14, "X, Y T%[2]d", "P *int") + "T0",
		"arrays":              chain(14, "X, Y [2]T%[2]d", "N [0]int") + "[]T0",
		"keys":                chain(14, "X, Y [1]T%[2]d", "N int") + "map[T0]T0",
		"each to each":        full(12, "type _ [%d]int", "F%[1]d *T%[1]d") + "T0",
		"that have a text":    full(12, text, "F%[1]d *T%[1]d") + "T0",
		"embedded":            embedding(16) + "var v T0",
		"embedded in itself":  full(8, "type _ [%d]int", "*T%[1]d") + "T0",
	} {
		t.Run(name, func(t *testing.T) {
			pkg, v := load(t, declarations)
			Check(v, types.RelativeTo(pkg))
			Copy(v, pkg, types.RelativeTo(pkg), false)
			looks := 0
			inPlace(v, func(types.Type) (found, deeper bool) { looks++; return false, true })
			if looks > 500 {
				t.Errorf("%d looks at what lies in place", looks)
			}
			b := Builder{
				Package: pkg, Namable: namable, Func: func(n *types.Named) string { return n.Obj().Name() },
				Text: func(types.Type) templates.Type { return nil },
			}
			b.Shape(v, true)
			d := describer{pkg: pkg}
			d.describe(v)
			if n := len(d.text.String()); n > 100_000 {
				t.Errorf("the text of the fingerprint has %d bytes", n)
			}
		})
	}
}

// embedding declares structs that embed the next one in two ways.
func embedding(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "type T%d struct { L%d; *R%d }\ntype L%d struct { *T%d; A%d int }\ntype R%d struct { *T%d; B%d int }\n",
			i, i, i, i, i+1, i, i, i+1, i)
	}
	fmt.Fprintf(&b, "type T%d struct { N int }\n", n)
	return b.String()
}
