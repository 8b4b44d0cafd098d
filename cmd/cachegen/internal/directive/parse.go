package directive

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// Parse returns the directives of file in source order, and reports to list what
// it cannot accept. refused are the functions with a comment that was reported: that
// they lack a directive is not to be reported again. The file has to have been
// parsed with comments, and to have its function bodies still, so that directives in
// them are found out of place.
func Parse(fset *token.FileSet, file *ast.File, list *diag.List) (all []*Directive, refused []*ast.FuncDecl) {
	p := &reader{fset: fset, file: file, list: list}
	owners := owners(file)
	for _, group := range file.Comments {
		owner, before := owners[group], list.Len()
		all = append(all, p.group(group, owner)...)
		if f, ok := owner.decl.(*ast.FuncDecl); ok && list.Len() > before {
			refused = append(refused, f)
		}
	}
	return all, refused
}

// Left warns, at the first directive of file that does not allow it, that this run generates nothing
// for the file, and reports comments that only look like directives. found
// is whether there are directives.
func Left(fset *token.FileSet, file *ast.File, list *diag.List, why, hint string) (found bool) {
	p := &reader{fset: fset, file: file, list: list}
	warned := false
	for _, group := range file.Comments {
		for _, c := range group.List {
			d, ok := ast.ParseDirective(c.Slash, c.Text)
			if !ok || d.Tool != Tool {
				p.nearMiss(c)
				continue
			}
			found = true
			if !warned && why != "" && !slices.Contains(strings.Fields(d.Args), "allow="+diag.Excluded.String()) {
				warned = true
				list.Warnf(p.position(c.Slash), diag.Excluded, "//cache:%s %s", d.Name, why).
					Hintf("%s", hint).Hintf("or write allow=%s if that is intended", diag.Excluded)
			}
		}
	}
	return found
}

type reader struct {
	fset *token.FileSet
	file *ast.File
	list *diag.List
}

func (p *reader) position(pos token.Pos) token.Position { return diag.Position(p.fset, pos) }

func (p *reader) addf(pos token.Pos, code diag.Code, format string, args ...any) *diag.Diagnostic {
	d := p.list.Addf(p.position(pos), code, format, args...)
	d.At = pos
	return d
}

// A draft is a directive whose lines are still being collected.
type draft struct {
	Directive
	bad bool // something was reported: what else is wrong may be a consequence
}

// group returns the directives of one comment group, which documents owner.
func (p *reader) group(group *ast.CommentGroup, owner owner) []*Directive {
	var drafts []*draft
	for _, c := range group.List {
		line, ok := ast.ParseDirective(c.Slash, c.Text)
		if !ok || line.Tool != Tool {
			p.nearMiss(c)
			continue
		}
		d := &draft{}
		d.Pos, d.Verb = line.Slash, line.Name
		d.VerbPos = line.Slash + token.Pos(len("//"+Tool+":"))
		if d.Verb == With {
			if len(drafts) == 0 {
				p.addf(d.Pos, diag.Stray, "//cache:with continues a directive, and there is none above it").
					Hintf("write it in the same doc comment, below the directive that it continues")
				drafts = append(drafts, &draft{bad: true})
				continue
			}
			d = drafts[len(drafts)-1]
		} else {
			drafts = append(drafts, d)
			d.bad = !p.verb(d)
		}
		if at, r, found := firstInvisible(line.Args); found {
			p.invisible(line.ArgsPos+token.Pos(at), r)
			d.bad = true
			continue
		}
		args, ok := p.split(line.Args, line.ArgsPos)
		for _, arg := range args {
			if _, r, found := firstInvisible(arg.Text); found { // that an escape stands for
				p.invisible(arg.Pos, r)
				args, ok = nil, false
				break
			}
		}
		d.Args = append(d.Args, args...)
		d.bad = d.bad || !ok
		if d.Verb != "" && ok && len(args) == 0 && line.Name == With {
			p.addf(line.Slash, diag.Syntax, "//cache:with has no arguments").Hintf("remove the line")
		}
	}
	var good []*Directive
	for _, d := range drafts {
		if d.Verb == "" || !known(d.Verb) {
			continue
		}
		before := len(d.Args)
		p.classify(&d.Directive)
		p.count(&d.Directive, d.bad || len(d.Args) < before)
		if p.attach(&d.Directive, group, owner) {
			good = append(good, &d.Directive)
		}
	}
	return good
}

// invisible reports a character that cannot be seen.
func (p *reader) invisible(pos token.Pos, r rune) {
	p.addf(pos, diag.Syntax, "a directive with the character %U reads differently from what it is", r).Hintf("remove it")
}

func known(verb string) bool {
	_, ok := verbs[verb]
	return ok
}

// verb reports a verb that there is not.
func (p *reader) verb(d *draft) bool {
	if known(d.Verb) {
		return true
	}
	problem := p.addf(d.VerbPos, diag.Verb, "unknown directive //cache:%s", strings.Trim(strconv.Quote(d.Verb), `"`))
	parts := glued.FindStringSubmatch(d.Verb)
	if near, ok := nearVerb(d.Verb); ok {
		problem.Hintf("did you mean //cache:%s?", near).Replace(d.VerbPos, d.Verb, near)
	} else if meant, ok := synonyms[strings.ToLower(d.Verb)]; ok {
		problem.Hintf("did you mean //cache:%s?", meant).Replace(d.VerbPos, d.Verb, meant)
	} else if parts != nil && known(parts[1]) {
		problem.Hintf("write a space after the verb: //cache:%s %s", parts[1], parts[2]).
			Replace(d.VerbPos, d.Verb, parts[1]+" "+parts[2])
	} else {
		problem.Hintf("available: %s", directives(verbNames))
	}
	return false
}

// nearVerb is the verb that was probably meant. Get differs from set by a letter and means
// something else.
func nearVerb(verb string) (string, bool) {
	if strings.EqualFold(verb, "get") {
		return GetOrSet, true
	}
	return diag.Nearest(verb, verbNames)
}

// attach finds the declaration that d belongs to.
func (p *reader) attach(d *Directive, group *ast.CommentGroup, owner owner) bool {
	switch {
	case owner.decl == nil:
		problem := p.addf(d.Pos, diag.Stray, "//cache:%s %s", d.Verb, p.place(group))
		if verbs[d.Verb].onType {
			problem.Hintf("it belongs in the doc comment of a type, without a blank line between")
		} else {
			problem.Hintf("it belongs in the doc comment of a function or method, without a blank line between")
		}
		return false
	case verbs[d.Verb].onType && owner.spec == nil:
		p.addf(d.Pos, diag.Stray, "//cache:%s belongs on a type, not on a function", d.Verb).
			Hintf("//cache:getorset caches what a function returns")
		return false
	case !verbs[d.Verb].onType && owner.spec != nil:
		p.addf(d.Pos, diag.Stray, "//cache:%s belongs on a function or method, not on a type", d.Verb).
			Hintf("//cache:wrap sets defaults for the methods of a type")
		return false
	}
	d.Decl, d.TypeSpec = owner.decl, owner.spec
	d.Func, _ = owner.decl.(*ast.FuncDecl)
	return true
}

// An owner is a declaration that a directive can belong to.
type owner struct {
	decl ast.Decl
	spec *ast.TypeSpec
}

// owners maps doc comments to the functions and types that they document.
func owners(file *ast.File) map[*ast.CommentGroup]owner {
	m := map[*ast.CommentGroup]owner{}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			m[decl.Doc] = owner{decl: decl}
		case *ast.GenDecl:
			if decl.Tok != token.TYPE {
				continue
			}
			for _, spec := range decl.Specs {
				spec := spec.(*ast.TypeSpec)
				m[spec.Doc] = owner{decl, spec}
				if !decl.Lparen.IsValid() {
					m[decl.Doc] = owner{decl, spec}
				}
			}
		}
	}
	delete(m, nil)
	return m
}

// place says where a comment group stands that documents neither function nor type.
func (p *reader) place(group *ast.CommentGroup) string {
	if group.Pos() < p.file.Name.End() {
		return "is above the package clause"
	}
	for i, decl := range p.file.Decls {
		start := decl.Pos()
		if g, ok := decl.(*ast.GenDecl); ok {
			if g.Doc == group {
				return "documents " + article(g)
			}
		}
		if group.End() <= start {
			return before(decl)
		}
		// A comment on the line on which a declaration ends is about that declaration.
		after := i+1 == len(p.file.Decls) || group.End() <= p.file.Decls[i+1].Pos()
		sameLine := after && p.position(group.Pos()).Line == p.position(decl.End()).Line
		if group.Pos() < decl.End() || sameLine {
			return inside(decl, group)
		}
	}
	return "is attached to nothing"
}

func before(decl ast.Decl) string {
	if f, ok := decl.(*ast.FuncDecl); ok {
		return fmt.Sprintf("is attached to nothing: it is not part of the doc comment of %s", f.Name.Name)
	}
	return "is attached to nothing"
}

func article(g *ast.GenDecl) string {
	switch {
	case g.Tok == token.IMPORT:
		return "an import"
	case g.Tok == token.TYPE && len(g.Specs) != 0:
		return "a group of types"
	case g.Tok == token.TYPE:
		return "an empty group of types"
	case g.Tok == token.CONST:
		return "a constant"
	}
	return "a variable"
}

// inside names the innermost construct of decl that group is in.
func inside(decl ast.Decl, group *ast.CommentGroup) string {
	if f, ok := decl.(*ast.FuncDecl); ok {
		if f.Body != nil && f.Body.Pos() < group.Pos() && group.Pos() < f.Body.End() {
			return "is in the body of " + f.Name.Name
		}
		return "is next to the declaration of " + f.Name.Name
	}
	g := decl.(*ast.GenDecl)
	if g.Tok != token.TYPE {
		return "documents " + article(g)
	}
	found := "is next to the declaration of a type"
	ast.Inspect(g, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.InterfaceType:
			if n.Pos() < group.Pos() && group.Pos() < n.End() {
				found = "documents a method of an interface: methods are cached where they are implemented"
			}
		case *ast.StructType:
			if n.Pos() < group.Pos() && group.Pos() < n.End() {
				found = "documents a field of a struct"
			}
		}
		return true
	})
	return found
}

// quoted shortens a comment for a message.
func quoted(text string) string {
	if line, _, more := strings.Cut(text, "\n"); more {
		text = line + " …"
	}
	if r := []rune(text); len(r) > 60 {
		text = string(r[:57]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
