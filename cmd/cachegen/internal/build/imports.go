package build

import (
	"cmp"
	"go/types"
	"maps"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
	"github.com/cachegen/cachegen/templates"
)

// assignImports names the imports of the file: with the name that the source file uses, or else the
// package's own, unless that name has another meaning in the package.
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
		name := naming.Unused(cmp.Or(aliases[path], own), "pkg", func(name string) bool {
			h, inPackage := o.p.Names.Holder(name)
			// A name that a source file imports may be imported here too.
			inPackage = inPackage && !h.Imported
			return naming.Reserved(name) || inPackage || o.imports[name] || params[name]
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
		add(c.AllTypeParams())
	}
	for _, w := range writers {
		add(w.AllTypeParams())
	}
	for _, w := range wrappers {
		add(w.TypeParams())
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
