package check

import (
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// names are the package-level names, with who has them: the sources or what is
// generated.
type names map[string]holder

// A holder has a name. For generated names pos is the directive that asks for it.
type holder struct {
	what      string // completes "the name UserKey, which": the package declares
	pos       token.Pos
	generated bool
	imported  bool // by a source file: other files may import the name, but not declare it
}

// cacheNames are the names that are generated for a cache.
type cacheNames struct {
	entity                                        string
	field                                         string // of the wrapper
	variable                                      string // or function: see templates.Cache.Variable
	caches                                        string // variable with those of a generic function
	keyType, parseKey                             string
	getOrSet, get, set, delete, expire, has, pull string
}

// wrapperNames are the names of a wrapper, and the names of its members.
type wrapperNames struct {
	typ, constructor string
	members          map[string]string // to what has them
}

// ours reports whether pos is in a source file of the package.
func (p *pack) ours(pos token.Pos) bool {
	return pos.IsValid() && slices.ContainsFunc(p.Files, func(f *load.File) bool {
		return f.AST.FileStart <= pos && pos <= f.AST.FileEnd
	})
}

// seedNames collects what the sources declare. An import's name counts for the whole
// package, because Go lets no file import a name that another declares.
func (p *pack) seedNames() {
	p.names = names{}
	scope := p.Types.Scope()
	for _, name := range scope.Names() {
		p.names[name] = holder{what: "the package declares", pos: scope.Lookup(name).Pos()}
	}
	for _, file := range p.Files {
		for _, spec := range file.AST.Imports {
			p.seedImport(file, spec)
		}
	}
}

func (p *pack) seedImport(file *load.File, spec *ast.ImportSpec) {
	what := filepath.Base(file.Name) + " imports"
	obj := p.Info.PkgNameOf(spec)
	if obj == nil {
		return
	}
	found := []string{obj.Name()}
	if obj.Name() == "." {
		found = slices.DeleteFunc(obj.Imported().Scope().Names(), func(name string) bool { return !token.IsExported(name) })
	}
	for _, name := range found {
		if _, ok := p.names[name]; !ok && name != "_" {
			p.names[name] = holder{what: what, pos: spec.Pos(), imported: true}
		}
	}
}

// take claims a package-level name for what the directive at pos generates.
func (p *pack) take(name string, pos token.Pos, what string) (holder, bool) {
	if h, taken := p.names[name]; taken {
		return h, false
	}
	switch {
	case types.Universe.Lookup(name) != nil:
		return holder{what: "is predeclared in Go"}, false
	case name == "init", name == "main" && p.Name == "main":
		return holder{what: "Go reserves"}, false
	}
	p.names[name] = holder{what: what, pos: pos, generated: true}
	return holder{}, true
}

// clash reports that a package-level name is not free.
func (p *pack) clash(at token.Pos, who, name string, h holder) *diag.Diagnostic {
	d := p.addf(at, diag.Name, "%s needs the name %s, which %s", who, name, h.what)
	if h.pos.IsValid() {
		d.Relatedf(p.position(h.pos), "%s", name)
	}
	return d
}

// shadowed are the predeclared names that generated code cannot do without.
var shadowed = strings.Fields("any append bool byte cap error false float32 float64 int int8 int16 int32 int64 len make new nil " +
	"string true uint uint8 uint16 uint32 uint64")

// assignNames names everything that is generated but tags.
func (p *pack) assignNames() {
	p.seedNames()
	if len(p.caches)+len(p.writers)+len(p.batches) == 0 {
		return
	}
	for _, name := range shadowed {
		if h, ok := p.names[name]; ok {
			p.addf(h.pos, diag.Name, "the package gives %s another meaning, and generated code needs the predeclared one", name).
				Hintf("rename it")
		}
	}
	for _, w := range p.wrappers {
		p.nameWrapper(w)
	}
	entities := map[string]*cache{}
	for _, c := range p.caches {
		if c.keyArg.Text != "" { // a directive without a key was reported
			p.nameEntity(c, entities)
		}
	}
	for _, c := range p.caches {
		if c.recv != nil && c.names.entity != "" {
			p.nameMethods(c)
		} else if c.names.entity != "" {
			p.nameFunctions(c)
		}
	}
	for _, w := range p.writers {
		p.nameWriter(w)
	}
	for _, b := range p.batches {
		p.nameBatch(b)
	}
}

// nameWrapper names a wrapper and its constructor.
func (p *pack) nameWrapper(w *wrapped) {
	typ := w.obj.Name()
	at, who := w.obj.Pos(), "the wrapper of "+typ
	name := sameCase("Cached"+upper(typ), typ)
	if w.d != nil {
		at = w.d.Pos
		if args := w.d.Positional(); len(args) > 0 {
			name, at = args[0].Text, args[0].Pos
		}
	}
	w.names = wrapperNames{typ: name, constructor: sameCase("New"+upper(name), name), members: map[string]string{}}
	w.own = p.methodsOf(name)
	for method := range w.own {
		w.names.members[method] = "declared by the package"
	}
	for _, name := range []string{w.names.typ, w.names.constructor} {
		if h, ok := p.take(name, at, who+" has"); !ok {
			p.clash(at, who, name, h).Hintf("choose another with //cache:wrap NAME")
			return
		}
	}
}

// entity is the name under which c's values are cached, unless that is taken.
func (c *cache) entity() string {
	if arg, ok := c.d.Option("name"); ok && isName(arg.Value) {
		return sameCase(arg.Value, c.name())
	}
	if slices.Contains(verbs, upper(c.name())) {
		if name := c.p.valueName(c.value(), ""); name != "" {
			return sameCase(name, c.name())
		}
	}
	return entity(c.name())
}

func isName(text string) bool { return token.IsIdentifier(text) && text != "_" }

// freeName is a name for a cache, instead of one that is taken: nothing of what is
// generated for it has another owner. It is given once: all advice can be followed.
func (p *pack) freeName(c *cache) (free string) {
	defer func() { p.offered = append(p.offered, lower(free)) }()
	name := c.entity()
	taken := func(name string) bool {
		names := []string{name + "Key", sameCase("Parse"+upper(name), name) + "Key", c.variable(name)}
		var members []string
		for _, h := range c.helpers() {
			members = append(members, sameCase(h.prefix+upper(name), name))
		}
		if c.recv == nil {
			names = append(names, members...)
		} else if slices.ContainsFunc(append(members, name), func(m string) bool { return p.member(c.recv, m) != "" }) {
			return true
		}
		declared := func(n string) bool {
			_, ok := p.names[n]
			return ok
		}
		return slices.Contains(p.offered, lower(name)) || slices.ContainsFunc(names, declared) ||
			slices.ContainsFunc(p.caches, func(other *cache) bool { return lower(other.entity()) == lower(name) })
	}
	for _, suffix := range []string{"Entry", "Item"} {
		if !taken(name + suffix) {
			return name + suffix
		}
	}
	return unused(name+"Entry", "", taken)
}

// nameEntity finds the entity of a cache, and the package-level names that come from it.
func (p *pack) nameEntity(c *cache, entities map[string]*cache) {
	if arg, ok := c.d.Option("name"); ok && !isName(arg.Value) {
		p.addf(arg.ValuePos, diag.Name, "%q is not a Go name", arg.Value).Hintf("write a name of letters and digits, such as name=User")
		return
	}
	name := c.entity()
	if other, taken := entities[lower(name)]; taken {
		p.addf(c.namePos(), diag.Name, "%s would be cached as %s, as %s is", c.label(), name, other.label()).
			Relatedf(p.position(other.namePos()), "%s", other.label()).
			Hintf("choose another name, such as name=%s", p.freeName(c))
		return
	}
	entities[lower(name)] = c
	n := cacheNames{
		entity:   name,
		variable: c.variable(name),
		keyType:  name + "Key",
		parseKey: sameCase("Parse"+upper(name), c.name()) + "Key",
	}
	taken := []string{n.keyType, n.parseKey, n.variable}
	if len(c.typeParams) > 0 {
		n.caches = n.variable + "s"
		taken = append(taken, n.caches)
	}
	for _, name := range taken {
		if h, ok := p.take(name, c.d.Pos, "the cache of "+c.label()+" has"); !ok {
			p.clash(c.namePos(), c.label(), name, h).Hintf("choose another name, such as name=%s", p.freeName(c))
			return
		}
	}
	c.names = n
}

// variable is what reaches the cache, or for a method its definition, if it is called name.
func (c *cache) variable(name string) string {
	if c.recv != nil {
		return name + "Definition"
	}
	return lower(name) + "Cache"
}

// namePos is where a cache got its name.
func (c *cache) namePos() token.Pos {
	if arg, ok := c.d.Option("name"); ok {
		return arg.Pos
	}
	return c.d.Pos
}

// helpers are where the names of the functions for an entity go, with the verb that
// each begins with.
func (c *cache) helpers() []struct {
	name   *string
	prefix string
} {
	n := &c.names
	return []struct {
		name   *string
		prefix string
	}{
		{&n.getOrSet, "GetOrSet"}, {&n.get, "Get"}, {&n.set, "Set"}, {&n.delete, "Delete"},
		{&n.expire, "Expire"}, {&n.has, "Has"}, {&n.pull, "Pull"},
	}
}

// nameFunctions names the package-level helpers of a plain function.
func (p *pack) nameFunctions(c *cache) {
	for _, h := range c.helpers() {
		var taken holder
		for _, prefix := range []string{h.prefix, h.prefix + "Cached"} {
			name := sameCase(prefix+upper(c.names.entity), c.name())
			var ok bool
			if taken, ok = p.take(name, c.d.Pos, c.label()+" has"); ok {
				*h.name = name
				break
			}
		}
		if *h.name == "" {
			name := sameCase(h.prefix+"Cached"+upper(c.names.entity), c.name())
			p.clash(c.namePos(), c.label(), name, taken).Hintf("choose another name, such as name=%s", p.freeName(c))
			return
		}
	}
}

// nameMethods names the wrapper's field and methods for a cached method. Whatever the
// wrapped type has stays visible through the wrapper.
func (p *pack) nameMethods(c *cache) {
	w := c.recv
	if !p.dropsIn(w, c.function) {
		return
	}
	who := c.label()
	field := c.names.entity
	if token.IsKeyword(field) {
		p.addf(c.namePos(), diag.Name, "%s needs a field %s in %s, and that is a keyword", who, field, w.names.typ).
			Hintf("choose another name, such as name=%s", p.freeName(c))
		return
	}
	owner := p.member(w, field)
	if owner != "" { // often it is the method itself
		field += "Cache"
	}
	if owner != "" && p.member(w, field) != "" {
		p.addf(c.namePos(), diag.Name, "%s needs a field %s in %s, and that is %s", who, c.names.entity, w.names.typ, owner).
			Hintf("choose another name, such as name=%s", p.freeName(c))
		return
	}
	c.names.field = field
	w.names.members[field] = "the cache of " + who
	for _, h := range c.helpers() {
		var owner string
		for _, prefix := range []string{h.prefix, h.prefix + "Cached"} {
			name := sameCase(prefix+upper(c.names.entity), c.name())
			if owner = p.member(w, name); owner == "" {
				w.names.members[name] = "a method of the cache of " + who
				*h.name = name
				break
			}
		}
		if *h.name == "" {
			name := sameCase(h.prefix+"Cached"+upper(c.names.entity), c.name())
			p.addf(c.namePos(), diag.Name, "%s needs a method %s of %s, and that is %s", who, name, w.names.typ, owner).
				Hintf("choose another name, such as name=%s", p.freeName(c))
			return
		}
	}
}

// member says what has a name among the wrapper's fields and methods, those that the
// wrapped type gives it included. It is empty if the name is free.
func (p *pack) member(w *wrapped, name string) string {
	if name == w.obj.Name() {
		return "the embedded " + name
	}
	if what := w.names.members[name]; what != "" {
		return what
	}
	obj, index, _ := types.LookupFieldOrMethod(types.NewPointer(w.obj.Type()), true, p.Types, name)
	switch obj.(type) {
	case *types.Func:
		return "a method of " + w.obj.Name()
	case *types.Var:
		return "a field of " + w.obj.Name()
	}
	if index != nil {
		return "ambiguous in " + w.obj.Name()
	}
	return ""
}

// nameWriter names the function that is generated for a writer. A method keeps its name.
func (p *pack) nameWriter(w *writer) {
	w.name = w.function.name()
	if w.recv != nil {
		p.dropsIn(w.recv, w.function)
		return
	}
	w.name = sameCase("Cached"+upper(w.name), w.name)
	at := w.directives[0].Pos
	if h, ok := p.take(w.name, at, w.label()+" has"); !ok {
		p.clash(at, w.label(), w.name, h).Hintf("rename one of the two")
	}
}

// nameBatch names what is generated for a batch loader: for FindUsers GetOrSetUsers. A
// method keeps its name besides.
func (p *pack) nameBatch(b *batch) {
	at := b.d.Pos
	if b.recv != nil && !p.dropsIn(b.recv, b.function) {
		return
	}
	for _, prefix := range []string{"GetOrSet", "GetOrSetCached", "GetOrSetMany"} {
		name := sameCase(prefix+upper(entity(b.name())), b.name())
		if b.recv == nil {
			if _, ok := p.take(name, at, b.label()+" has"); ok {
				b.getOrSet = name
				return
			}
		} else if p.member(b.recv, name) == "" {
			b.recv.names.members[name] = "a method of the batch loader " + b.label()
			b.getOrSet = name
			return
		}
	}
	p.addf(at, diag.Name, "%s needs a name like GetOrSet%s, and all are taken", b.label(), upper(entity(b.name()))).Hintf("rename it")
}
