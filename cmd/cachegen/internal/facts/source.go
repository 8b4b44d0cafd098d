package facts

import (
	"go/token"
	"go/types"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// Position is where pos is in the file that people wrote.
func (p *Package) Position(pos token.Pos) token.Position { return diag.Position(p.Fset, pos) }

// Imported are the packages that files of the package import under a name: first what file itself
// imports. An import as _ has its package's own name.
func (p *Package) Imported(file *load.File, name string) []*types.Package {
	var found []*types.Package
	for _, f := range append([]*load.File{file}, p.Files...) {
		for _, spec := range f.AST.Imports {
			obj := p.Info.PkgNameOf(spec)
			if obj == nil || slices.Contains(found, obj.Imported()) {
				continue
			}
			if obj.Name() == name || obj.Name() == "_" && obj.Imported().Name() == name {
				found = append(found, obj.Imported())
			}
		}
	}
	return found
}

// ImportName is the name by which a source file imports another package, or else by which another file
// of p does: what [Package.Imported] finds it by.
func (p *Package) ImportName(file *load.File, other *Package) string {
	for _, f := range append([]*load.File{file}, p.Files...) {
		for _, spec := range f.AST.Imports {
			obj := p.Info.PkgNameOf(spec)
			if obj == nil || obj.Imported().Path() != other.Path {
				continue
			}
			switch name := obj.Name(); name {
			case ".":
			case "_":
				return other.Name
			default:
				return name
			}
		}
	}
	return other.Name
}

// DotImported is what a source file means by a name that it imports with a dot.
func (p *Package) DotImported(file *load.File, name string) types.Object {
	if !token.IsExported(name) {
		return nil
	}
	for _, spec := range file.AST.Imports {
		if spec.Name == nil || spec.Name.Name != "." {
			continue
		}
		if pkg := p.Info.PkgNameOf(spec); pkg != nil {
			if obj := pkg.Imported().Scope().Lookup(name); obj != nil {
				return obj
			}
		}
	}
	return nil
}

// Ours reports whether pos is in a source file of the package.
func (p *Package) Ours(pos token.Pos) bool {
	return pos.IsValid() && slices.ContainsFunc(p.Files, func(f *load.File) bool {
		return f.AST.FileStart <= pos && pos <= f.AST.FileEnd
	})
}
