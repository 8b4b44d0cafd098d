package check

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/value"
)

// valueRule checks that values can be stored and copied.
type valueRule struct{ *pass }

func (p valueRule) check() {
	for _, c := range p.Caches {
		p.checkValue(c)
	}
}

// checkValue reports the parts of the cached value that cannot be stored and read back unchanged, or
// cannot be copied for each caller.
func (p valueRule) checkValue(c *facts.Cache) {
	problems := value.Check(c.Value(), p.Qualifier)
	if p.valueProblems(c, diag.Value, problems); !slices.ContainsFunc(problems, func(v value.Problem) bool { return !v.Lossy }) {
		p.valueProblems(c, diag.Copy, value.Copy(c.Value(), p.Types, p.Qualifier, c.Shared))
	}
}

func (p valueRule) valueProblems(c *facts.Cache, code diag.Code, problems []value.Problem) {
	for _, problem := range problems {
		var d *diag.Diagnostic
		if at := c.Results[0].TypeExpr.Pos(); problem.Lossy {
			d = p.warnf(at, c.Levels(), diag.Lossy, "%s", problem.Message)
		} else {
			d = p.addf(at, code, "%s", problem.Message)
		}
		if p.Ours(problem.Field) {
			d.Relatedf(p.Position(problem.Field), "the field")
		}
		if problem.Hint != "" {
			d.Hintf("%s", problem.Hint)
		}
	}
}
