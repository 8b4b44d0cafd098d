package check

import (
	"fmt"
	"go/token"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// addf reports a problem, for which the package is not generated for.
func (p *pass) addf(pos token.Pos, code diag.Code, format string, args ...any) *diag.Diagnostic {
	p.Broken = true
	d := p.problems.Addf(p.Position(pos), code, format, args...)
	d.At = pos
	return d
}

// warnf reports what a correct program can have too, unless one of the directives
// allows it.
func (p *pass) warnf(pos token.Pos, allow []*directive.Directive, code diag.Code, format string, args ...any) *diag.Diagnostic {
	for _, d := range allow {
		if slices.ContainsFunc(d.Options("allow"), func(a directive.Arg) bool { return a.Value == code.String() }) {
			return &diag.Diagnostic{}
		}
	}
	return p.problems.Warnf(p.Position(pos), code, format, args...)
}

// take claims a package-level name for what the directive at pos generates.
func (p *pass) take(name string, pos token.Pos, who string) (naming.Holder, bool) {
	return p.Names.Take(name, pos, "that name is generated for "+who, p.Name == "main")
}

// clash reports that a package-level name is not free.
func (p *pass) clash(at token.Pos, who, name string, h naming.Holder) *diag.Diagnostic {
	d := p.addf(at, diag.Name, "cannot generate %s for %s: %s", name, who, h.What)
	if h.Pos.IsValid() {
		d.Relatedf(p.Position(h.Pos), "%s", name)
	}
	return d
}

// renameHint is what to do where a name has to be given up: otherwise, unless an import has it, of
// which the name cannot be changed here.
func renameHint(h naming.Holder, otherwise string) string {
	switch {
	case h.Path != "":
		return fmt.Sprintf("import %q without the dot", h.Path)
	case h.Imported:
		return "import it under another name"
	}
	return otherwise
}
