package check

import (
	"cmp"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

// An output is the generated file of one source file while it is put together.
type output struct {
	p        *pack
	source   *load.File
	file     *templates.File
	packages map[string]string // import path to the package's own name
	imports  map[string]bool   // the names that the file imports
}

// typ writes a type and notes what it needs imported.
func (o *output) typ(t types.Type) templates.Type {
	return o.p.typeText(t, func(pkg *types.Package) { o.packages[pkg.Path()] = pkg.Name() })
}

// assignImports names the imports of the file: as the source file does, or as the
// package is called, unless the name has another meaning in the package.
func (o *output) assignImports() {
	for _, path := range templates.Packages {
		if _, ok := o.packages[path]; !ok {
			o.packages[path] = standardName(path)
		}
	}
	aliases := o.aliases()
	params := o.typeParamNames()
	o.imports = map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(o.packages)) {
		own := o.packages[path]
		name := unused(cmp.Or(aliases[path], own), "pkg", func(name string) bool {
			h, inPackage := o.p.names[name]
			// A name that a source file imports may be imported here too.
			inPackage = inPackage && !h.imported
			return reserved(name) || inPackage || o.imports[name] || params[name]
		})
		o.imports[name] = true
		o.file.Imports = append(o.file.Imports, templates.Import{Path: path, Name: name, Explicit: name != own})
	}
}

// typeParamNames are the names of type parameters in the file, which hide imports.
func (o *output) typeParamNames() map[string]bool {
	names := map[string]bool{}
	add := func(list []*types.TypeParam) {
		for _, t := range list {
			names[t.Obj().Name()] = true
		}
	}
	caches, writers, wrappers, _ := o.own()
	for _, c := range caches {
		add(c.allTypeParams())
	}
	for _, w := range writers {
		add(w.allTypeParams())
	}
	for _, w := range wrappers {
		add(w.typeParams())
	}
	return names
}

// standardName is the name of one of [templates.Packages].
func standardName(path string) string {
	return path[strings.LastIndexByte(path, '/')+1:]
}

// aliases are the names that the source file itself gives to its imports.
func (o *output) aliases() map[string]string {
	names := map[string]string{}
	for _, spec := range o.source.AST.Imports {
		if spec.Name == nil || spec.Name.Name == "_" || spec.Name.Name == "." {
			continue
		}
		if obj := o.p.Info.PkgNameOf(spec); obj != nil {
			names[obj.Imported().Path()] = spec.Name.Name
		}
	}
	return names
}

// imported is the package that a source file imports under a name, or that another file
// of the package does. An import as _ has its package's own name.
func (p *pack) imported(file *load.File, name string) *types.Package {
	for _, f := range append([]*load.File{file}, p.Files...) {
		for _, spec := range f.AST.Imports {
			obj := p.Info.PkgNameOf(spec)
			if obj == nil {
				continue
			}
			if obj.Name() == name || obj.Name() == "_" && obj.Imported().Name() == name {
				return obj.Imported()
			}
		}
	}
	return nil
}

// dotImported is what a source file means by a name that it imports with a dot.
func (p *pack) dotImported(file *load.File, name string) types.Object {
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
