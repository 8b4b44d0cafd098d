package check

import (
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
	problems := value.Check(c.Value(), p.Qualifier, p.Namable)
	if p.valueProblems(c, diag.Value, problems); len(problems) == 0 {
		p.valueProblems(c, diag.Copy, value.Copy(c.Value(), p.Types, p.Qualifier, c.Shared))
	}
}

func (p valueRule) valueProblems(c *facts.Cache, code diag.Code, problems []value.Problem) {
	for _, problem := range problems {
		d := p.addf(c.Results[0].TypeExpr.Pos(), code, "%s", problem.Message)
		if p.Ours(problem.Field) {
			d.Relatedf(p.Position(problem.Field), "the field")
		}
		if problem.Hint != "" {
			d.Hintf("%s", problem.Hint)
		}
	}
}
