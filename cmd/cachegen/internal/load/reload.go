package load

import (
	"context"
	"fmt"
	"go/ast"
	"go/types"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// missesOutput reports whether p uses a name that another of the loaded packages
// would have if its output were not seen as empty, such as the wrapper of a
// repository that a function of p takes.
func (in *input) missesOutput(p *Package) bool {
	missing := false
	for _, f := range p.Files {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok || p.Info.Uses[s.Sel] != nil {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok {
				if name, ok := p.Info.Uses[x].(*types.PkgName); ok {
					c := in.byPath[name.Imported().Path()]
					missing = missing || c != nil && c.hasOutput
				}
			}
			return !missing
		})
	}
	return missing
}

// reload checks p again without the others: what it imports is then as it is on disk,
// output included.
func (in *input) reload(ctx context.Context, p *Package) (*Package, error) {
	again := newInput(&Result{Fset: in.Fset, Problems: &diag.List{}, listed: in.listed}, []*candidate{in.byPath[p.Path]})
	if err := again.load(ctx); err != nil {
		return nil, err
	}
	if len(again.Packages) != 1 {
		return nil, fmt.Errorf("load package %s again: got %d packages", p.Path, len(again.Packages))
	}
	return again.Packages[0], nil
}
