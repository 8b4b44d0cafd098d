package facts

import (
	"slices"
	"testing"
)

// An operand is rendered as a selector from its root, with the pointers on the way as expressions of
// their own; a literal needs no root.
func TestRender(t *testing.T) {
	for _, test := range []struct {
		operand Operand
		want    string
		nonNil  []string
	}{
		{Operand{Root: Parameter}, "user", nil},
		{Operand{Root: Parameter, Path: []string{"Team", "ID"}}, "user.Team.ID", nil},
		{Operand{Root: Result, Path: []string{"Team", "ID"}, Pointers: [][]string{nil, {"Team"}}}, "user.Team.ID", []string{"user", "user.Team"}},
		{Operand{Root: Literal, Literal: `"all"`}, `"all"`, nil},
	} {
		got := test.operand.Render("user")
		if got.Expr != test.want || !slices.Equal(got.NonNil, test.nonNil) {
			t.Errorf("%+v is rendered as %q with %q", test.operand, got.Expr, got.NonNil)
		}
	}
}
