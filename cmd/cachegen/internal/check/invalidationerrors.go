package check

import (
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/templates"
)

// errorsRule finds what becomes of the errors of invalidations, for the functions that write.
type errorsRule struct{ *pass }

func (p errorsRule) check() {
	for _, w := range p.Writers {
		w.Errors = p.of(w)
	}
}

// of returns what the directives of w say, which are for one call, or else what its type says.
func (p errorsRule) of(w *facts.Writer) templates.Errors {
	var first directive.Arg
	for _, d := range w.Directives {
		arg, ok := d.Option("invalidationerrors")
		switch {
		case !ok:
		case first.Value == "":
			first = arg
		case first.Value != arg.Value:
			p.addf(arg.Pos, diag.Option, "%s contradicts another directive of %s, and they are one call", arg.Text, w.Label()).
				Relatedf(p.Position(first.Pos), "the first").Hintf("give it once")
		}
	}
	if first.Value == "" && w.Recv != nil && w.Recv.Directive != nil {
		first, _ = w.Recv.Directive.Option("invalidationerrors")
	}
	return errorsOf(first.Value)
}

// errorsOf is what the value of the option means.
func errorsOf(text string) templates.Errors {
	return map[string]templates.Errors{"report": templates.ReportErrors, "log": templates.LogErrors}[text]
}
