package check

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

// A cache is a function with a getorset directive.
type cache struct {
	*function
	p      *pack
	d      *directive.Directive
	broken bool // something was reported that makes what follows from it pointless

	keyArg    directive.Arg
	pattern   key.Pattern
	fields    []*field
	segments  []templates.Segment
	shapes    []key.Shape
	keyParams []*param
	ignored   []*operand // fields of keyParams that are not in the key

	store, namespace string
	shared           bool
	options          templates.Options
	notFound         notFound
	foreground       bool // never loaded in the background: see requestScoped

	names               cacheNames
	valueName, okName   string
	cached              *cachedValue // nil for a type that mentions a type parameter
	keyTags, resultTags []*tagUse
	batch               *batch // its loader for many keys, or nil
	model               *templates.Cache
}

// value is the type that is cached.
func (c *cache) value() types.Type { return c.results[0].Type() }

// hasOK reports whether a bool result says that there is a value.
func (c *cache) hasOK() bool { return len(c.results) == 2 }

// A writer is a function with set, delete or expire directives.
type writer struct {
	*function
	p          *pack
	directives []*directive.Directive
	name       string // of the generated function
	targets    []*target
}

// A wrapped is a type with annotated methods or a wrap directive.
type wrapped struct {
	obj     *types.TypeName
	d       *directive.Directive // nil without a wrap directive
	file    *load.File           // in whose output the wrapper is
	caches  []*cache
	writers []*writer
	batches []*batch
	// promoted are caches of methods that the type has from types that it embeds.
	promoted []*cache
	names    wrapperNames
	own      map[string]token.Pos // methods of the wrapper that the sources declare
	foreign  []*foreign
	pointer  bool // some annotated method has a pointer receiver, see also changes
	refused  bool // an annotated method was reported
	model    *templates.Wrapper
}

// typeParams are those of the type's declaration.
func (w *wrapped) typeParams() []*types.TypeParam {
	n, ok := w.obj.Type().(*types.Named)
	if !ok {
		return nil
	}
	return slices.Collect(n.TypeParams().TypeParams())
}

// idle reports that nothing of the type is annotated.
func (w *wrapped) idle() bool { return len(w.caches)+len(w.writers)+len(w.batches) == 0 }

// A foreign is a cache of another type that a wrapper holds a handle to.
type foreign struct {
	cache *cache
	field string
}

// collect finds the annotated functions and types and checks what concerns one of
// them alone.
func (p *pack) collect() {
	for _, file := range p.Files {
		for _, d := range file.Directives {
			if d.Verb == directive.Wrap {
				p.wrap(file, d)
			}
		}
	}
	for _, file := range p.Files {
		for _, decl := range file.Refused {
			p.refuse(decl, true)
		}
		var order []*ast.FuncDecl
		byFunc := map[*ast.FuncDecl][]*directive.Directive{}
		for _, d := range file.Directives {
			if d.Func == nil {
				continue
			}
			if byFunc[d.Func] == nil {
				order = append(order, d.Func)
			}
			byFunc[d.Func] = append(byFunc[d.Func], d)
		}
		for _, decl := range order {
			p.annotated(file, decl, byFunc[decl])
		}
	}
	for _, w := range p.wrappers {
		if w.idle() && w.d != nil && !w.refused && !p.inherits(w) {
			p.addf(w.d.Pos, diag.Stray, "%s has no annotated methods, so there is nothing to wrap", w.obj.Name()).
				Hintf("annotate a method with //cache:getorset")
		}
	}
	p.wrappers = slices.DeleteFunc(p.wrappers, func(w *wrapped) bool { return w.idle() && (w.d == nil || !p.inherits(w)) })
	slices.SortStableFunc(p.wrappers, func(a, b *wrapped) int {
		return cmp.Or(strings.Compare(a.file.Name, b.file.Name), cmp.Compare(a.obj.Pos(), b.obj.Pos()))
	})
}

// inherits reports whether the type of w has annotated methods from what it embeds.
func (p *pack) inherits(w *wrapped) bool {
	return slices.ContainsFunc(p.caches, func(c *cache) bool { return p.promotes(w, c.function) }) ||
		slices.ContainsFunc(p.writers, func(x *writer) bool { return p.promotes(w, x.function) })
}

// annotated checks one function with its directives.
func (p *pack) annotated(file *load.File, decl *ast.FuncDecl, list []*directive.Directive) {
	first := list[0]
	i := slices.IndexFunc(list, func(d *directive.Directive) bool { return d.Verb == directive.GetOrSet || d.Verb == directive.Batch })
	if i >= 0 {
		first = list[i]
	}
	for _, d := range list {
		if i < 0 || d == first {
			continue
		}
		message := "//cache:" + d.Verb + " cannot stand beside //cache:" + first.Verb + ": a function either reads or writes"
		hint := "annotate another function with one of them"
		if d.Verb == first.Verb {
			message = decl.Name.Name + " has two //cache:" + d.Verb + " directives"
			hint = "write //cache:with for more lines of one"
		}
		p.addf(d.Pos, diag.Verb, "%s", message).Relatedf(p.position(first.Pos), "the //cache:%s", first.Verb).Hintf("%s", hint)
	}
	reads := first.Verb == directive.GetOrSet
	loads := first.Verb == directive.Batch
	f := p.function(file, decl, reads || loads)
	if f == nil {
		p.refuse(decl, reads)
		return
	}
	if f.recv != nil {
		f.recv.pointer = f.recv.pointer || isPointer(f.sig.Recv().Type())
		if f.recv.file == nil {
			f.recv.file = file
		}
	}
	switch {
	case loads:
		b := &batch{function: f, p: p, d: first}
		p.batches = append(p.batches, b)
		if f.recv != nil {
			f.recv.batches = append(f.recv.batches, b)
		}
		return
	case !reads:
		w := &writer{function: f, p: p, directives: list}
		p.writers = append(p.writers, w)
		if f.recv != nil {
			f.recv.writers = append(f.recv.writers, w)
		}
		return
	}
	c := &cache{function: f, p: p, d: first}
	p.caches = append(p.caches, c)
	if f.recv != nil {
		f.recv.caches = append(f.recv.caches, c)
	}
	p.readKey(c)
	p.readOptions(c)
	p.checkValue(c)
}

// refuse notes a function whose directive or signature was reported, so that what lacks it is not
// reported too.
func (p *pack) refuse(decl *ast.FuncDecl, reads bool) {
	if reads {
		p.refused[decl.Name.Name] = true
	}
	if decl.Recv == nil || len(decl.Recv.List) == 0 {
		return
	}
	if n := named(p.Info.TypeOf(decl.Recv.List[0].Type)); n != nil {
		for _, w := range p.wrappers {
			w.refused = w.refused || w.obj == n.Obj()
		}
	}
}

// wrap checks a wrap directive.
func (p *pack) wrap(file *load.File, d *directive.Directive) {
	name := d.TypeSpec.Name
	obj, _ := p.Info.Defs[name].(*types.TypeName)
	switch {
	case obj == nil:
		return // redeclared or blank: the compiler says so
	case obj.IsAlias():
		p.addf(d.Pos, diag.Signature, "%s is an alias and has no methods of its own", name.Name).
			Hintf("annotate the type that it stands for")
		return
	case types.IsInterface(obj.Type()):
		p.addf(d.Pos, diag.Signature, "%s is an interface", name.Name).
			Hintf("annotate a type that implements it: its wrapper implements it too")
		return
	}
	w := p.wrapper(obj)
	if w.d != nil {
		p.addf(d.Pos, diag.Verb, "%s has two //cache:wrap directives", name.Name).
			Relatedf(p.position(w.d.Pos), "the first").
			Hintf("write //cache:with for more lines of one")
		return
	}
	w.d, w.file = d, file
	for _, arg := range d.Positional() {
		if !token.IsIdentifier(arg.Text) || arg.Text == "_" {
			p.addf(arg.Pos, diag.Name, "%q is not a name for a type", arg.Text).
				Hintf("write a name of letters and digits, such as Cached%s", upper(name.Name))
		}
	}
	p.contradictions(d, nil)
}

// wrapper is the wrapped for a type.
func (p *pack) wrapper(obj *types.TypeName) *wrapped {
	for _, w := range p.wrappers {
		if w.obj == obj {
			return w
		}
	}
	w := &wrapped{obj: obj}
	p.wrappers = append(p.wrappers, w)
	return w
}
