package templates

import (
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"
)

// keyType renders the key's struct with its text form and the parser of that.
func (e *emitter) keyType(c *Cache) {
	var fields []jen.Code
	for _, f := range c.Key.Fields {
		fields = append(fields, jen.Id(f.Name).Add(typ(f.Type)))
	}
	e.declare(c.KeyType+" is the cache key of "+reference(c.Wrapper, c.Func)+": "+c.Pattern+".",
		jen.Type().Id(c.KeyType).Add(typeParams(c.keyTypeParams())).Struct(fields...))
	e.appendText(c)
	e.keyString(c)
	e.parseKey(c)
}

// fallible says whether writing the key's text can fail.
func (k Key) fallible() bool {
	return slices.ContainsFunc(k.Fields, func(f Field) bool { return f.Form == Text })
}

func (e *emitter) appendText(c *Cache) {
	failure := "It does not fail."
	if c.Key.fallible() {
		failure = "It fails if a field's MarshalText does."
	}
	receiver := jen.Id("k").Add(c.key())
	if len(c.Key.Fields) == 0 {
		receiver = c.key()
	}
	values := make([]textValue, len(c.Key.Fields))
	for i, f := range c.Key.Fields {
		values[i] = textValue{expr: "k." + f.Name, typ: f.Type, form: f.Form}
	}
	body := appendSegments(c.Key.Segments, values, func(first bool, value string) []jen.Code {
		assign := "="
		if first {
			assign = ":="
		}
		return []jen.Code{
			jen.List(jen.Id("b"), jen.Err()).Op(assign).Add(gen("AppendKeyText")).Call(jen.Id("b"), jen.Id(value)),
			jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
		}
	}, "b")
	body = append(body, jen.Return(jen.Id("b"), jen.Nil()))
	e.declare("AppendText appends the key's text, "+c.Pattern+", to b. "+failure,
		jen.Func().Params(receiver).Id("AppendText").
			Params(jen.Id("b").Index().Byte()).Params(jen.Index().Byte(), jen.Error()).
			Block(body...))
}

// A textValue is what appendSegments writes for a segment's field.
type textValue struct {
	expr string
	typ  Type
	form Form
}

// appendSegments renders statements that append a key's or a tag's text to the
// variable b. marshal renders those for values that have their own text form.
func appendSegments(segments []Segment, values []textValue, marshal func(first bool, value string) []jen.Code, b string) []jen.Code {
	var body []jen.Code
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			body = append(body, jen.Id(b).Op("=").Append(jen.Id(b), jen.Lit(literal.String()).Op("...")))
			literal.Reset()
		}
	}
	first := true
	for i, s := range segments {
		if i > 0 {
			literal.WriteByte(':')
		}
		literal.WriteString(s.Before)
		if s.Field < 0 {
			continue
		}
		flush()
		v := values[s.Field]
		if v.form == Text {
			body = append(body, marshal(first, v.expr)...)
			first = false
		} else {
			body = append(body, jen.Id(b).Op("=").Add(v.append(b)))
		}
		literal.WriteString(s.After)
	}
	flush()
	return body
}

// append renders the call that appends v's text to b.
func (v textValue) append(b string) jen.Code {
	switch v.form {
	case Int:
		return jen.Qual("strconv", "AppendInt").Call(jen.Id(b), v.as("int64"), jen.Lit(10))
	case Uint:
		return jen.Qual("strconv", "AppendUint").Call(jen.Id(b), v.as("uint64"), jen.Lit(10))
	case Generic:
		return gen("AppendKeyValue").Call(jen.Id(b), jen.Id(v.expr))
	case Bool:
		return jen.Qual("strconv", "AppendBool").Call(jen.Id(b), v.as("bool"))
	default:
		return gen("AppendEscaped").Call(jen.Id(b), v.as("string"))
	}
}

// as renders v as a value of a predeclared type.
func (v textValue) as(basic string) jen.Code {
	if v.typ.is(basic) {
		return jen.Id(v.expr)
	}
	return jen.Id(basic).Call(jen.Id(v.expr))
}

// is says whether t is written as the predeclared type name.
func (t Type) is(name string) bool {
	return len(t) == 1 && t[0].Path == "" && t[0].Text == name
}

func (e *emitter) keyString(c *Cache) {
	fallible := c.Key.fallible()
	doc := "String returns the key's text, as [" + c.KeyType + ".AppendText] writes it."
	if fallible {
		doc += " If the key has no text, it returns the error in parentheses."
	}
	e.declare(doc, jen.Func().Params(jen.Id("k").Add(c.key())).Id("String").Params().String().
		Block(jen.Return(gen("KeyText").Call(jen.Id("k")))))
}

func (e *emitter) parseKey(c *Cache) {
	scope := e.scope().use(c.KeyType, "text")
	for _, f := range c.Key.Fields {
		scope.mention(f.Type)
	}
	k, err := scope.local("k", "key"), scope.local("err")
	call := []jen.Code{jen.Lit(c.Pattern), jen.Id("text")}
	for _, segment := range c.Key.Segments {
		if segment.Field >= 0 {
			call = append(call, c.Key.Fields[segment.Field].pointer(k))
		}
	}
	e.declare(c.ParseKey+" is the inverse of ["+c.KeyType+".String]. Text that String cannot have returned is an error.",
		jen.Func().Id(c.ParseKey).Add(typeParams(c.keyTypeParams())).Params(jen.Id("text").String()).Params(c.key(), jen.Error()).Block(
			jen.Var().Id(k).Add(c.key()),
			jen.If(jen.Id(err).Op(":=").Add(gen("ParseKey")).Call(call...), jen.Id(err).Op("!=").Nil()).
				Block(jen.Return(c.key().Values(), jen.Id(err))),
			jen.Return(jen.Id(k), jen.Nil())))
}

// pointer renders a pointer to the field of key k: &k.ID, or (*int64)(&k.Count), so that
// methods of a type that is written like a predeclared one do not count.
func (f Field) pointer(k string) jen.Code {
	address := jen.Op("&").Id(k).Dot(f.Name)
	switch {
	case f.Form == Generic:
		return gen("ByKind").Call(address)
	case f.Form == Text, f.Type.is(f.Basic):
		return address
	}
	return jen.Parens(jen.Op("*").Id(f.Basic)).Call(address)
}

// literal renders the key with the given values: UserKey{ID: id}.
func (c *Cache) literal(values []string) *jen.Statement {
	var fields []jen.Code
	for i, f := range c.Key.Fields {
		fields = append(fields, jen.Id(f.Name+":").Id(values[i]))
	}
	return c.key().Values(fields...)
}

// sources are the values of the key's fields in a generated function.
func (k Key) sources() []string {
	var out []string
	for _, f := range k.Fields {
		out = append(out, f.Source)
	}
	return out
}
