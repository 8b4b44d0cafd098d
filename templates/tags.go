package templates

import "github.com/dave/jennifer/jen"

// tag renders a tag constructor.
func (e *emitter) tag(t *Tag) {
	doc := t.Func + " is the tag " + t.Pattern + "."
	if len(t.Params) == 0 {
		e.declare(doc, jen.Func().Id(t.Func).Params().Add(run("Tag")).
			Block(jen.Return(jen.Lit(literalText(t.Segments)))))
		return
	}

	scope := e.scope().use(t.Func)
	params := make([]Param, len(t.Params))
	values := make([]textValue, len(t.Params))
	for i, p := range t.Params {
		params[i] = Param{Name: p.Name, Type: p.Type}
		values[i] = textValue{expr: p.Name, typ: p.Type, form: p.Form}
		if p.Form == Text {
			doc += " If " + p.Name + " has no text because its MarshalText fails, the tag is written without it."
		}
	}
	b := scope.params(params).local("b", "text")

	body := appendSegments(t.Segments, values, func(_ bool, value string) []jen.Code {
		// The error has nowhere to go, and the text so far is still a tag that
		// both sides agree on.
		return []jen.Code{jen.List(jen.Id(b), jen.Id("_")).Op("=").
			Add(gen("AppendKeyText")).Call(jen.Id(b), jen.Id(value))}
	}, b)
	body = append([]jen.Code{
		jen.Id(b).Op(":=").Make(jen.Index().Byte(), jen.Lit(0), jen.Lit(32)),
	}, body...)
	body = append(body, jen.Return(run("Tag").Call(jen.Id(b))))
	e.declare(doc, jen.Func().Id(t.Func).Params(declared(params)...).Add(run("Tag")).Block(body...))
}

// literalText is the text of segments without values.
func literalText(segments []Segment) string {
	var text string
	for i, s := range segments {
		if i > 0 {
			text += ":"
		}
		text += s.Before
	}
	return text
}

// call renders the construction of a tag.
func (u TagUse) call() jen.Code {
	var exprs []jen.Code
	for _, a := range u.Args {
		exprs = append(exprs, jen.Id(a.Expr))
	}
	return jen.Id(u.Tag.Func).Call(exprs...)
}

// nonNil are the pointers on the way to args, each once, outermost first.
func nonNil(args []TagArg) []string {
	var out []string
	seen := map[string]bool{}
	for _, a := range args {
		for _, p := range a.NonNil {
			if !seen[p] {
				seen[p] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// common are the pointers that every one of lists has.
func common(lists [][]string) []string {
	if len(lists) == 0 {
		return nil
	}
	count := map[string]int{}
	for _, l := range lists {
		for _, p := range l {
			count[p]++
		}
	}
	var out []string
	for _, p := range lists[0] {
		if count[p] == len(lists) {
			out = append(out, p)
		}
	}
	return out
}

// without returns the elements of list that are not in other.
func without(list, other []string) []string {
	var out []string
	for _, p := range list {
		found := false
		for _, o := range other {
			found = found || o == p
		}
		if !found {
			out = append(out, p)
		}
	}
	return out
}

// anyNil renders a == nil || b == nil, and noneNil a != nil && b != nil. As the
// pointers come outermost first, evaluating them is safe.
func anyNil(pointers []string) *jen.Statement { return compare(pointers, "==", "||") }

func noneNil(pointers []string) *jen.Statement { return compare(pointers, "!=", "&&") }

func compare(pointers []string, op, join string) *jen.Statement {
	s := &jen.Statement{}
	for i, p := range pointers {
		if i > 0 {
			s.Op(join)
		}
		s.Id(p).Op(op).Nil()
	}
	return s
}

// A guardedTag is a tag with the pointers that must not be nil to make it.
type guardedTag struct {
	call   jen.Code
	nonNil []string
}

// gather renders statements that collect tags in a variable, leaving out those
// behind a nil pointer. The tags that are always there come first: tags are a set.
func gather(variable string, tags []guardedTag) []jen.Code {
	var always []jen.Code
	var sometimes []guardedTag
	for _, t := range tags {
		if len(t.nonNil) == 0 {
			always = append(always, t.call)
		} else {
			sometimes = append(sometimes, t)
		}
	}
	var body []jen.Code
	if len(always) > 0 {
		body = append(body, jen.Id(variable).Op(":=").Index().Add(run("Tag")).Values(always...))
	} else {
		body = append(body, jen.Var().Id(variable).Index().Add(run("Tag")))
	}
	for _, t := range sometimes {
		body = append(body, jen.If(noneNil(t.nonNil)).
			Block(jen.Id(variable).Op("=").Append(jen.Id(variable), t.call)))
	}
	return body
}
