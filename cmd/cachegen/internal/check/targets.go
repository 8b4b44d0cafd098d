package check

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
	"github.com/cachegen/cachegen/templates"
)

// A target is an entry, a tag or a namespace that a writer touches.
type target struct {
	verb templates.Verb
	text string // as written
	pos  token.Pos

	cache  *cache     // nil for a tag or a namespace
	args   []*operand // the key's fields, in order
	params []*operand // the parameters of a plain function of another package, in order
	many   *param     // the list of which each element is an argument
	value  *param     // what a set stores

	element string // in generated code, an element of many

	tag       *tagUse
	namespace string
	handle    *cache // through which the store of a tag or namespace is reached
}

var targetVerbs = map[string]templates.Verb{
	directive.Set: templates.Set, directive.Delete: templates.Delete, directive.Expire: templates.Expire,
	directive.Clear: templates.Clear,
}

// writerTags reads the tags of a writer; which stores they are in is decided when all
// tags are known.
func (p *pack) writerTags(w *writer) {
	for _, d := range w.directives {
		for _, arg := range p.tagOptions(d) {
			if use := p.tagUse(w.function, arg); use != nil {
				w.targets = append(w.targets, &target{verb: targetVerbs[d.Verb], text: arg.Value, pos: arg.Pos, tag: use})
			}
		}
	}
}

// findTargets checks what the writers touch, and finds the handles for it.
func (p *pack) findTargets() {
	for _, w := range p.writers {
		tags := w.targets
		w.targets = nil
		for _, d := range w.directives {
			if d.Verb == directive.Clear {
				w.targets = append(w.targets, p.clearTargets(w, d)...)
				continue
			}
			for _, arg := range d.Positional() {
				if t := p.target(w, d, arg); t != nil {
					w.targets = append(w.targets, t)
				}
			}
		}
		for _, t := range tags {
			w.targets = append(w.targets, p.tagTargets(w, t)...)
		}
		slices.SortStableFunc(w.targets, func(a, b *target) int { return int(a.pos - b.pos) })
		p.sameTargets(w)
	}
	p.nameHandles()
}

// A call is a target as it is written: FindUser(id).
type call struct {
	callee path
	args   []argument
	spread bool // the last argument ends in ...
}

// call reads a positional argument of a directive of f that names a cached function. The
// call is nil if something was reported, here or about that function.
func (p *pack) call(f *function, arg directive.Arg, what string) (*call, *cache) {
	if at := comment(arg.Text); at >= 0 {
		p.addf(arg.TextPos()+token.Pos(at), diag.Syntax, "a target cannot contain a comment").
			Hintf("put the comment on a line of its own, above the directive")
		return nil, nil
	}
	expr, err := parser.ParseExpr(arg.Text)
	written, isCall := expr.(*ast.CallExpr)
	callee, isName := dotted(expr, arg)
	if isCall && err == nil {
		callee, isName = dotted(written.Fun, arg)
	}
	if err != nil || !isName || len(callee.names) > 3 {
		p.addf(arg.Pos, diag.Target, "%q is not a target", arg.Text).
			Hintf("a target is a cached function with %s", what)
		return nil, nil
	}
	c := p.targetCache(f, callee)
	if c == nil {
		return nil, nil
	}
	if c.broken || c.p != p && c.p.Broken {
		p.Broken = true // what is said there is enough
		if c.p.Context {
			p.addf(callee.pos(0), diag.Target, "package %s has problems", c.p.Path).Hintf("run cachegen for it too: cachegen %s", c.p.Path)
		}
		return nil, nil
	}
	want := signature(c)
	if !isCall {
		p.addf(arg.Pos, diag.Target, "%s needs the arguments of its key", callee).Hintf("write %s(%s)", callee, want)
		return nil, nil
	}
	if len(written.Args) != len(c.keyParams) {
		p.addf(callee.pos(0), diag.Target, "%s takes %s, not %d", callee, count(len(c.keyParams)), len(written.Args)).
			Hintf("write %s(%s)", callee, want)
		return nil, nil
	}
	if c.generic() && (c.recv == nil || c.recv != f.recv) {
		p.addf(callee.pos(0), diag.Target, "%s is generic: which of its caches is meant cannot be told here", callee).
			Hintf("name it in a method of the same type, or invalidate by a tag")
		return nil, nil
	}
	found := &call{callee: callee, spread: written.Ellipsis.IsValid()}
	for _, x := range written.Args {
		found.args = append(found.args, argument{x, arg.TextPos() + x.Pos() - 1, arg.Text[x.Pos()-1 : x.End()-1]})
	}
	return found, c
}

// generic reports whether c is not one cache but one for each list of type arguments.
func (c *cache) generic() bool {
	if c.recv != nil {
		return len(c.recv.typeParams()) > 0
	}
	return len(c.typeParams) > 0
}

// target checks a positional argument of a writer: FindUser(id). It returns nil if it
// has reported something.
func (p *pack) target(w *writer, d *directive.Directive, arg directive.Arg) *target {
	call, c := p.call(w.function, arg, "the arguments of its key: FindUser(id)")
	if call == nil {
		return nil
	}
	t := &target{verb: targetVerbs[d.Verb], text: arg.Text, pos: arg.Pos, cache: c}
	args := make([]*operand, len(call.args))
	ok := true
	for i, x := range call.args {
		if call.spread && i == len(call.args)-1 {
			args[i] = p.spread(w, t, c.keyParams[i], x, arg)
		} else {
			args[i] = p.argument(w.function, c, c.keyParams[i], x, arg)
		}
		ok = ok && args[i] != nil
	}
	if !ok {
		return nil
	}
	if t.remote(p) && !p.reachable(call.callee, c) {
		return nil
	}
	if t.args, ok = p.fieldsOf(w.function, c, args, call.callee); !ok {
		return nil
	}
	t.params = args
	if t.verb == templates.Set && !p.setValue(w, t) {
		return nil
	}
	return t
}

// spread checks the last argument of a target, a list of which each element names an
// entry: FindUser(ids...).
func (p *pack) spread(w *writer, t *target, want *param, x argument, arg directive.Arg) *operand {
	if t.verb == templates.Set {
		p.addf(x.at, diag.Target, "a set stores one value under one key").Hintf("write %s without the dots", x.text)
		return nil
	}
	if name, ok := x.expr.(*ast.Ident); ok {
		i := slices.IndexFunc(w.params, func(v *param) bool { return v.source() == name.Name })
		if i >= 0 {
			s, ok := w.params[i].Type().Underlying().(*types.Slice)
			if ok && p.assignable(s.Elem(), want.Type()) {
				t.many = w.params[i]
				return &operand{root: element, of: t.many, typ: s.Elem()}
			}
		}
	}
	p.addf(x.at, diag.Target, "%s is not a parameter with a list of %s", x.text, p.name(want.Type())).
		Hintf("for one entry, write it without the dots; for many, take a []%s", p.name(want.Type()))
	return nil
}

// comment is the offset of the first comment in Go source; -1 if there is none.
func comment(text string) int {
	file := token.NewFileSet().AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), nil, scanner.ScanComments)
	for {
		switch pos, tok, _ := s.Scan(); tok {
		case token.COMMENT:
			return file.Offset(pos)
		case token.EOF:
			return -1
		}
	}
}

// signature is what stands in the parentheses of a target of c.
func signature(c *cache) string {
	var names []string
	for _, v := range c.keyParams {
		names = append(names, v.source())
	}
	return strings.Join(names, ", ")
}

func count(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

// dotted reads a name or names joined by dots.
func dotted(expr ast.Expr, arg directive.Arg) (path, bool) {
	at := path{start: arg.TextPos()}
	for {
		switch x := expr.(type) {
		case *ast.Ident:
			at.names = append(at.names, key.Name{Text: x.Name, Offset: int(x.Pos()) - 1})
			slices.Reverse(at.names)
			return at, true
		case *ast.SelectorExpr:
			at.names = append(at.names, key.Name{Text: x.Sel.Name, Offset: int(x.Sel.Pos()) - 1})
			expr = x.X
		default:
			return path{}, false
		}
	}
}

// targetCache finds the cached function that a target of f names: a method of its own
// type, or else a plain function, or else the only method of that name; or one of another
// package.
func (p *pack) targetCache(f *function, callee path) *cache {
	if len(callee.names) > 1 {
		if c, found := p.elsewhere(f, callee); found {
			return c
		}
	}
	name := callee.names[len(callee.names)-1].Text
	var own, plain, others []*cache
	for _, c := range p.caches {
		switch {
		case c.name() != name:
		case len(callee.names) == 2:
			if c.recv != nil && c.recv.obj.Name() == callee.names[0].Text {
				return c
			}
		case c.recv == nil:
			plain = append(plain, c)
		case c.recv == f.home():
			own = append(own, c)
		default:
			others = append(others, c)
		}
	}
	for _, list := range [][]*cache{own, plain, others} {
		if len(list) == 1 {
			return list[0]
		}
	}
	if len(others) > 1 {
		d := p.addf(callee.pos(0), diag.Target, "%s is ambiguous", callee)
		for _, c := range others {
			d.Relatedf(p.position(c.pos()), "%s", c.label())
		}
		d.Hintf("write %s", others[0].label())
		return nil
	}
	if p.refused[name] {
		return nil // a cached function whose signature was reported
	}
	if p.declares(callee) {
		p.addf(callee.pos(0), diag.Target, "%s is not cached: it has no //cache:getorset", callee).Hintf("annotate it, or leave it out here")
		return nil
	}
	if p.Test && p.beside(name) {
		p.addf(callee.pos(0), diag.Target, "%s is not in a test file: directives of tests are about what tests declare", callee).
			Hintf("call what is generated for it in the body")
		return nil
	}
	p.chooseTarget(p.addf(callee.pos(0), diag.Target, "no cached function %s in this package", callee), callee)
	return nil
}

// beside reports whether there is a function or method of that name in any file of the
// package, which are more than those with the directives where these are tests.
func (p *pack) beside(name string) bool {
	scope := p.Types.Scope()
	if _, ok := scope.Lookup(name).(*types.Func); ok {
		return true
	}
	return slices.ContainsFunc(scope.Names(), func(of string) bool {
		t, ok := scope.Lookup(of).(*types.TypeName)
		if !ok {
			return false
		}
		m, _, _ := types.LookupFieldOrMethod(t.Type(), true, p.Types, name)
		_, ok = m.(*types.Func)
		return ok
	})
}

// chooseTarget says which of p's cached functions was meant by name, or which there are.
func (p *pack) chooseTarget(d *diag.Diagnostic, name path) {
	if d.Suggest(name.String(), p.cacheNames()); len(d.Hints) > 0 {
		return
	}
	var labels []string
	for _, c := range p.caches {
		labels = append(labels, c.label())
	}
	d.Choose("", labels, "annotate it with //cache:getorset")
}

// cacheNames are the names of the package's cached functions.
func (p *pack) cacheNames() []string {
	var names []string
	for _, c := range p.caches {
		names = append(names, c.name())
		if c.recv != nil {
			names = append(names, c.label())
		}
	}
	return names
}

// declares reports whether the package has a function or method of that name.
func (p *pack) declares(callee path) bool {
	name := callee.names[len(callee.names)-1].Text
	for _, file := range p.Files {
		for _, decl := range file.AST.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Name.Name != name {
				continue
			}
			if len(callee.names) == 1 {
				return true
			}
			if f.Recv != nil {
				n := named(p.Info.TypeOf(f.Recv.List[0].Type))
				if n != nil && n.Obj().Name() == callee.names[0].Text {
					return true
				}
			}
		}
	}
	return false
}

// fieldsOf turns arguments, which stand for parameters of the cached function c, into
// values of its key's fields. f is the function that has the arguments.
func (p *pack) fieldsOf(f *function, c *cache, args []*operand, callee path) ([]*operand, bool) {
	var list []*operand
	for _, field := range c.fields {
		if field.root == receiver {
			if f.home() != c.recv {
				p.addf(callee.pos(0), diag.Target, "the key of %s holds recv.%s, which only methods of %s know",
					callee, strings.Join(field.path, "."), c.recv.obj.Name()).
					Hintf("invalidate by a tag, or in a method of %s", c.recv.obj.Name())
				return nil, false
			}
			list = append(list, field.operand)
			continue
		}
		arg := *args[slices.Index(c.keyParams, field.of)]
		arg.path = append(slices.Clone(arg.path), field.path...)
		list = append(list, &arg)
	}
	return list, true
}

// setValue finds the result that a set stores.
func (p *pack) setValue(w *writer, t *target) bool {
	var fit []*param
	for _, r := range w.results {
		if p.assignable(r.Type(), t.cache.value()) {
			fit = append(fit, r)
		}
	}
	if len(fit) == 1 {
		t.value = fit[0]
		return true
	}
	want := p.name(t.cache.value())
	if len(fit) > 1 {
		p.addf(t.pos, diag.Target, "%s has several results of type %s: it is not clear which to store", w.label(), want).
			Hintf("return one, or write //cache:delete %s", t.text)
		return false
	}
	p.addf(t.pos, diag.Target, "%s has no result of type %s to store", w.label(), want).
		Hintf("return it, or write //cache:delete %s", t.text)
	return false
}

// tagTargets are the stores in which cached functions of this package have a tag,
// each with a handle that the writer can reach.
func (p *pack) tagTargets(w *writer, t *target) []*target {
	var stores []string
	for _, use := range t.tag.uses {
		for _, c := range p.caches {
			if c.function == use.f && !slices.Contains(stores, c.store) {
				stores = append(stores, c.store)
			}
		}
	}
	broken := len(p.refused) > 0 || slices.ContainsFunc(p.caches, func(c *cache) bool { return c.broken })
	if len(stores) == 0 && !broken {
		d := p.addf(t.pos, diag.Tag, "no cached function of this package has a tag like %s", t.text)
		var texts []string
		for _, c := range p.caches {
			for _, use := range append(slices.Clone(c.keyTags), c.resultTags...) {
				texts = append(texts, use.pattern.Text)
			}
		}
		if len(texts) > 0 {
			d.Hintf("there are %s", strings.Join(slices.Compact(texts), ", "))
		}
	}
	slices.Sort(stores)
	var list []*target
	for _, store := range stores {
		in := *t
		if p.inStore(w, &in, store) {
			list = append(list, &in)
		}
	}
	return list
}
