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

// A target is an entry or a tag that a writer touches.
type target struct {
	verb templates.Verb
	text string // as written
	pos  token.Pos

	cache *cache     // nil for a tag
	args  []*operand // the key's fields, in order
	value *param     // what a set stores

	tag    *tagUse
	handle *cache // through which the tag's store is reached
}

var targetVerbs = map[string]templates.Verb{
	directive.Set: templates.Set, directive.Delete: templates.Delete, directive.Expire: templates.Expire,
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
	}
	p.nameHandles()
}

// target checks a positional argument of a writer: FindUser(id). It returns nil if it
// has reported something.
func (p *pack) target(w *writer, d *directive.Directive, arg directive.Arg) *target {
	if at := comment(arg.Text); at >= 0 {
		p.addf(arg.TextPos()+token.Pos(at), diag.Syntax, "a target cannot contain a comment").
			Hintf("put the comment on a line of its own, above the directive")
		return nil
	}
	expr, err := parser.ParseExpr(arg.Text)
	call, isCall := expr.(*ast.CallExpr)
	callee, isName := dotted(expr, arg)
	if isCall && err == nil {
		callee, isName = dotted(call.Fun, arg)
	}
	if err != nil || !isName || len(callee.names) > 2 {
		p.addf(arg.Pos, diag.Target, "%q is not a target", arg.Text).
			Hintf("a target is a cached function with the arguments of its key: FindUser(id)")
		return nil
	}
	c := p.targetCache(w, callee)
	if c == nil || c.broken {
		return nil // reported, here or there
	}
	want := signature(c)
	if !isCall {
		p.addf(arg.Pos, diag.Target, "%s needs the arguments of its key", callee).Hintf("write %s(%s)", callee, want)
		return nil
	}
	if call.Ellipsis.IsValid() {
		p.addf(arg.TextPos()+call.Ellipsis-1, diag.Target, "a target takes its arguments one by one").Hintf("write %s(%s)", callee, want)
		return nil
	}
	if len(call.Args) != len(c.keyParams) {
		p.addf(callee.pos(0), diag.Target, "%s takes %s, not %d", callee, count(len(c.keyParams)), len(call.Args)).
			Hintf("write %s(%s)", callee, want)
		return nil
	}
	t := &target{verb: targetVerbs[d.Verb], text: arg.Text, pos: arg.Pos, cache: c}
	args := make([]*operand, len(call.Args))
	ok := true
	for i, x := range call.Args {
		if args[i] = p.argument(w, c, c.keyParams[i], x, arg); args[i] == nil {
			ok = false
		}
	}
	if !ok || !p.keyArgs(w, t, args, callee) {
		return nil
	}
	if t.verb == templates.Set && !p.setValue(w, t) {
		return nil
	}
	return t
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

// targetCache finds the cached function that a target names: a method of the writer's
// own type, or else a plain function, or else the only method of that name.
func (p *pack) targetCache(w *writer, callee path) *cache {
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
		case c.recv == w.recv:
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
		p.addf(callee.pos(0), diag.Target, "%s is not cached: it has no //cache:getorset", callee)
		return nil
	}
	var names []string
	for _, c := range p.caches {
		names = append(names, c.name())
		if c.recv != nil {
			names = append(names, c.label())
		}
	}
	p.addf(callee.pos(0), diag.Target, "no cached function %s in this package", callee).Suggest(callee.String(), names)
	return nil
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

// keyArgs turns a target's arguments, which stand for parameters of the cached
// function, into values of the key's fields.
func (p *pack) keyArgs(w *writer, t *target, args []*operand, callee path) bool {
	for _, f := range t.cache.fields {
		if f.root == receiver {
			if w.recv != t.cache.recv {
				p.addf(callee.pos(0), diag.Target, "the key of %s holds recv.%s, which only methods of %s know",
					callee, strings.Join(f.path, "."), t.cache.recv.obj.Name())
				return false
			}
			t.args = append(t.args, f.operand)
			continue
		}
		arg := *args[slices.Index(t.cache.keyParams, f.of)]
		arg.path = append(slices.Clone(arg.path), f.path...)
		t.args = append(t.args, &arg)
	}
	return true
}

// setValue finds the result that a set stores.
func (p *pack) setValue(w *writer, t *target) bool {
	var fit []*param
	for _, r := range w.results {
		if types.AssignableTo(r.Type(), t.cache.value()) {
			fit = append(fit, r)
		}
	}
	if len(fit) == 1 {
		t.value = fit[0]
		return true
	}
	want := p.name(t.cache.value())
	if len(fit) > 1 {
		p.addf(t.pos, diag.Target, "%s has several results of type %s: it is not clear which to store", w.label(), want)
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
		in.handle = p.storeHandle(w, store)
		list = append(list, &in)
	}
	return list
}

// storeHandle picks a cache of a store for tags: one that the writer has a handle to
// anyway, if there is one.
func (p *pack) storeHandle(w *writer, store string) *cache {
	rank := func(c *cache) int {
		switch {
		case w.recv != nil && c.recv == w.recv:
			return 0
		case c.recv == nil:
			return 1
		}
		return 2
	}
	var best *cache
	for _, c := range p.caches {
		if c.store == store && (best == nil || rank(c) < rank(best)) {
			best = c
		}
	}
	return best
}

// nameHandles names what holds the handles on caches that a writer does not have
// by itself: fields of its wrapper, or package-level variables.
func (p *pack) nameHandles() {
	for _, w := range p.writers {
		for _, t := range w.targets {
			c := t.cache
			if c == nil {
				c = t.handle
			}
			switch {
			case c.recv == nil || c.recv == w.recv || c.names.entity == "":
			case w.recv != nil:
				p.foreign(w.recv, c)
			case c.handle == "":
				c.handle = unused(lower(c.names.entity)+"Handle", "", func(n string) bool {
					_, taken := p.names[n]
					return taken
				})
				p.take(c.handle, c.d.Pos, "the cache of "+c.label()+" has")
			}
		}
	}
	for _, c := range p.caches {
		if c.recv == nil || c.handle != "" {
			p.bind = true
			if h, ok := p.take("BindCaches", c.d.Pos, "BindCaches has"); !ok {
				p.clash(c.d.Pos, c.label(), "BindCaches", h).Hintf("rename it: BindCaches opens the caches of functions")
			}
			break
		}
	}
}

// foreign gives a wrapper a field for the cache of another type.
func (p *pack) foreign(w *wrapped, c *cache) {
	if slices.ContainsFunc(w.foreign, func(f *foreign) bool { return f.cache == c }) {
		return
	}
	field := unused(lower(c.names.entity)+"Cache", "", func(n string) bool { return p.member(w, n) != "" })
	w.names.members[field] = "a handle on the cache of " + c.label()
	w.foreign = append(w.foreign, &foreign{cache: c, field: field})
}
