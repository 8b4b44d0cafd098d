package check

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// A namer names everything that is generated. What is not free is reported.
type namer struct{ *pass }

// assignNames names everything that is generated, except for tags.
func (p namer) assignNames() {
	p.seedNames()
	if len(p.Caches)+len(p.Writers)+len(p.Batches) == 0 {
		return
	}
	for _, name := range naming.Shadowed {
		if h, ok := p.Names.Holder(name); ok {
			p.addf(h.Pos, diag.Name, "the package redeclares %s, and generated code needs the predeclared one", name).
				Hintf("%s", renameHint(h, "rename it"))
		}
	}
	for _, w := range p.Wrappers {
		p.nameWrapper(w)
	}
	entities := map[string]*facts.Cache{}
	for _, c := range p.Caches {
		if c.KeyArg.Text != "" { // a directive without a key was reported
			p.nameEntity(c, entities)
		}
	}
	for _, c := range p.Caches {
		if c.Recv != nil && c.Names.Entity != "" {
			p.nameMethods(c)
		} else if c.Names.Entity != "" {
			p.nameFunctions(c)
		}
	}
	for _, w := range p.Writers {
		p.nameWriter(w)
	}
	for _, b := range p.Batches {
		p.nameBatch(b)
	}
}

// seedNames collects what the sources declare. An import's name counts for the whole
// package, because Go lets no file import a name that another declares.
func (p namer) seedNames() {
	scope := p.Types.Scope()
	for _, name := range scope.Names() {
		p.Names.Declare(name, naming.Holder{What: "the package declares that name", Pos: scope.Lookup(name).Pos()})
	}
	for _, file := range p.Files {
		for _, spec := range file.AST.Imports {
			p.seedImport(file, spec)
		}
	}
}

func (p namer) seedImport(file *load.File, spec *ast.ImportSpec) {
	what := filepath.Base(file.Name) + " imports that name"
	obj := p.Info.PkgNameOf(spec)
	if obj == nil {
		return
	}
	found, path := []string{obj.Name()}, ""
	if obj.Name() == "." {
		path = obj.Imported().Path()
		found = slices.DeleteFunc(obj.Imported().Scope().Names(), func(name string) bool { return !token.IsExported(name) })
	}
	for _, name := range found {
		if !p.Names.Has(name) && name != "_" {
			p.Names.Declare(name, naming.Holder{What: what, Pos: spec.Pos(), Imported: true, Path: path})
		}
	}
}

// nameWrapper names a wrapper and its constructor.
func (p namer) nameWrapper(w *facts.Wrapper) {
	typ := w.Object.Name()
	at, who := w.Object.Pos(), "the wrapper of "+typ
	name := naming.SameCase("Cached"+naming.Upper(typ), typ)
	if w.Directive != nil {
		at = w.Directive.Pos
		if args := w.Directive.Positional(); len(args) > 0 {
			name, at = args[0].Text, args[0].Pos
		}
	}
	w.Names = facts.WrapperNames{Type: name, Constructor: naming.SameCase("New"+naming.Upper(name), name), Members: map[string]naming.Holder{}}
	w.Own = p.methodsOf(name)
	for method, pos := range w.Own {
		w.Names.Members[method] = naming.Holder{What: "declared by the package", Pos: pos}
	}
	for _, name := range []string{w.Names.Type, w.Names.Constructor} {
		if h, ok := p.take(name, at, who); !ok {
			p.clash(at, who, name, h).Hintf("choose another with //cache:wrap NAME")
			return
		}
	}
}

// nameWriter names the function that is generated for a writer. A method keeps its name.
func (p namer) nameWriter(w *facts.Writer) {
	w.Generated = w.Function.Name()
	if w.Recv != nil {
		p.mayReplace(w.Recv, w.Function)
		return
	}
	w.Generated = naming.SameCase("Cached"+naming.Upper(w.Generated), w.Generated)
	at := w.Directives[0].Pos
	if h, ok := p.take(w.Generated, at, w.Label()); !ok {
		p.clash(at, w.Label(), w.Generated, h).Hintf("%s", renameHint(h, "rename one of the two"))
	}
}

// nameBatch names what is generated for a batch loader: for FindUsers GetOrSetUsers. A
// method also keeps its name.
func (p namer) nameBatch(b *facts.Batch) {
	if arg, ok := b.Directive.Option("name"); ok && !p.isName(arg) {
		return
	}
	if b.Recv != nil && !p.mayReplace(b.Recv, b.Function) {
		return
	}
	name, at := naming.SameCase(facts.GetOrSet+naming.Upper(b.Entity()), b.Name()), b.NamePos()
	if b.Recv == nil {
		if h, ok := p.take(name, b.Directive.Pos, b.Label()); !ok {
			p.clash(at, b.Label(), name, h).Hintf("choose another name, such as name=%s", p.freeBatchName(b))
			return
		}
	} else if h, ok := p.takeMember(b.Recv, name, b.Directive.Pos, "a method of the batch loader "+b.Label()); !ok {
		p.memberClash(at, "method", b.Recv, b.Label(), h, name).Hintf("choose another name, such as name=%s", p.freeBatchName(b))
		return
	}
	b.GetOrSet = name
}

// freeBatchName suggests a name for a batch loader for which that of the generated function is free.
func (p namer) freeBatchName(b *facts.Batch) string {
	many := naming.SameCase("Many"+naming.Upper(b.Entity()), b.Name())
	return p.free([]string{many}, func(name string) bool {
		name = naming.SameCase(facts.GetOrSet+naming.Upper(name), name)
		if b.Recv == nil {
			return p.Names.Has(name)
		}
		return slices.ContainsFunc(p.Wrappers, func(w *facts.Wrapper) bool {
			return (w == b.Recv || w == b.Home() || p.Promotes(w, b.Function)) && p.isMember(w, name)
		})
	})
}

// isName reports whether the value of name= can name what is generated, and if not says so.
func (p namer) isName(arg directive.Arg) bool {
	if facts.IsName(arg.Value) {
		return true
	}
	p.addf(arg.ValuePos, diag.Name, "%q is not a Go name", arg.Value).Hintf("write a name of letters and digits, such as name=User")
	return false
}

// methodsOf returns the methods that the sources declare for a type of that name, and where. For a
// wrapper the type checker cannot say, because the type is yet to be generated.
func (p namer) methodsOf(typ string) map[string]token.Pos {
	found := map[string]token.Pos{}
	names := p.aliasesOf(typ)
	for _, file := range p.Files {
		for _, decl := range file.AST.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv == nil || len(f.Recv.List) != 1 {
				continue
			}
			if slices.Contains(names, receiverName(f.Recv.List[0].Type)) {
				found[f.Name.Name] = f.Name.Pos()
			}
		}
	}
	return found
}

// aliasesOf returns a type's name and those that the sources declare for it with type Alias = Name.
func (p namer) aliasesOf(typ string) []string {
	of := map[string]string{}
	for _, file := range p.Files {
		for _, decl := range file.AST.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, spec := range g.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok && t.Assign.IsValid() {
					of[receiverName(t.Type)] += t.Name.Name + " "
				}
			}
		}
	}
	names := []string{typ}
	for i := 0; i < len(names); i++ {
		names = append(names, strings.Fields(of[names[i]])...)
		delete(of, names[i])
	}
	return names
}

// receiverName is the name of a receiver's type.
func receiverName(t ast.Expr) string {
	switch t := ast.Unparen(t).(type) {
	case *ast.StarExpr:
		return receiverName(t.X)
	case *ast.IndexExpr:
		return receiverName(t.X)
	case *ast.IndexListExpr:
		return receiverName(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// mayReplace reports whether a method of the wrapper with f's name can be generated.
func (p namer) mayReplace(w *facts.Wrapper, f *facts.Function) bool {
	at, declared := w.Own[f.Name()]
	if !declared {
		return true
	}
	p.addf(f.Decl.Name.Pos(), diag.Name, "%s already has a method %s, and one would be generated for %s", w.Names.Type, f.Name(), f.Label()).
		Relatedf(p.Position(at), "%s", f.Name()).
		Hintf("rename it, or remove the directive")
	return false
}
