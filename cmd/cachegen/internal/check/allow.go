package check

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// allowRule checks the allow= options of a package's directives.
type allowRule struct{ *pass }

func (p allowRule) check() {
	for _, file := range p.Files {
		for _, d := range file.Directives {
			for _, arg := range d.Options("allow") {
				if !slices.Contains(diag.Warnings(), arg.Value) {
					p.addf(arg.ValuePos, diag.Option, "%q is not the code of a warning", arg.Value).
						Choose(arg.Value, diag.Warnings(), "")
				}
			}
		}
	}
}
