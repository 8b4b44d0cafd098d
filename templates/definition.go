package templates

import (
	"strings"
	"time"

	"github.com/dave/jennifer/jen"
)

// definition renders what describes a method's cache: a variable, or a function where it
// depends on type arguments.
func (e *emitter) definition(c *Cache) {
	doc := c.Variable + " describes the cache of " + reference(c.Wrapper, c.Func) + ", for [gen.Open] where there is no " + c.Wrapper.Name + "."
	if len(c.typeParams()) == 0 {
		e.declare(sentences(doc, "It must not be changed."), jen.Var().Id(c.Variable).Op("=").Add(e.describe(c, nil)))
		return
	}
	e.declare(doc, jen.Func().Id(c.Variable).Add(typeParams(c.typeParams())).Params().
		Op("*").Add(gen("Definition")).Block(jen.Return(jen.Op("&").Add(e.describe(c, c.instance())))))
}

// define is a pointer to the definition.
func (c *Cache) define() *jen.Statement {
	if len(c.typeParams()) == 0 {
		return jen.Op("&").Add(c.qualified(c.Variable))
	}
	return c.qualified(c.Variable).Add(typeArgs(paramNames(c.typeParams()))).Call()
}

// cacheTypes renders [UserKey, *User].
func (c *Cache) cacheTypes() *jen.Statement { return jen.Types(c.key(), typ(c.Value)) }

// instance tells the caches of a generic type apart: gen.TypeArgs[func(K, V)]().
func (c *Cache) instance() jen.Code {
	return gen("TypeArgs").Types(c.instanceType()).Call()
}

// instanceType is func(K, V).
func (c *Cache) instanceType() *jen.Statement {
	var list []jen.Code
	for _, p := range c.typeParams() {
		list = append(list, jen.Id(p.Name))
	}
	return jen.Func().Params(list...)
}

// describe renders gen.Definition{...}. Fields that have
// their zero value are left out.
func (e *emitter) describe(c *Cache, instance jen.Code) jen.Code {
	fields := []jen.Code{
		field("Name", jen.Lit(c.Label)),
		field("Pattern", jen.Lit(c.Pattern)),
	}
	if instance != nil {
		fields = append(fields, field("Instance", instance))
	}
	if c.fastInt() {
		fields = append(fields, field("IntPrefix", jen.Lit(c.Key.IntPrefix)))
	}
	if c.Store != "" {
		fields = append(fields, field("Store", jen.Lit(c.Store)))
	}
	if c.Namespace != "" {
		fields = append(fields, field("Namespace", jen.Lit(c.Namespace)))
	}
	if c.Shared {
		fields = append(fields, field("Shared", jen.True()))
	}
	if c.ManySources {
		fields = append(fields, field("ManySources", jen.True()))
	}
	switch {
	case c.HasOK:
		fields = append(fields, field("NotFound", run("ErrNotFound")))
	case len(c.NotFound) > 0:
		fields = append(fields, field("NotFound", typ(c.NotFound)))
	case c.NilNotFound:
		scope := e.scope().mention(c.Value).use(c.ValueName)
		fields = append(fields, field("Absent", takesAny(scope, c.ValueName, c.Value, jen.Bool(),
			jen.Return(jen.Id(c.ValueName).Op("==").Nil()))))
	}
	if options := c.Options.codes(); len(options) > 0 {
		fields = append(fields, field("Options", jen.Index().Add(gen("Option")).Custom(perLine, options...)))
	}
	if c.ValueVar != "" {
		fields = append(fields, field("Value", jen.Op("&").Id(c.ValueVar)))
	}
	if len(c.TagPatterns) > 0 {
		var patterns []jen.Code
		for _, p := range c.TagPatterns {
			patterns = append(patterns, jen.Lit(p))
		}
		fields = append(fields, field("TagPatterns", jen.Index().String().Values(patterns...)))
	}
	if len(c.Tags) > 0 {
		fields = append(fields, field("Tags", e.keyTags(c)))
	}
	if len(c.ResultTags) > 0 {
		fields = append(fields, field("ResultTags", e.resultTags(c)))
	}
	return gen("Definition").Custom(perLine, fields...)
}

// perLine is a composite literal with an element a line.
var perLine = jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}

func field(name string, value jen.Code) jen.Code { return jen.Id(name + ":").Add(value) }

// fastInt says whether the key is looked up by its number. A key that is nothing
// but a number has no prefix to tell it by, and goes by its text.
func (c *Cache) fastInt() bool { return c.Key.HasIntPrefix && c.Key.IntPrefix != "" }

// takesAny renders func(value any) bool { user, _ := value.(*User); ... }: a function that
// finds an argument under a name, with a type, although it takes an any.
func takesAny(scope scope, name string, t Type, result jen.Code, body ...jen.Code) jen.Code {
	x := scope.local("value", "x")
	typed := jen.List(jen.Id(name), jen.Id("_")).Op(":=").Id(x).Assert(typ(t))
	return jen.Func().Params(jen.Id(x).Any()).Add(result).Block(args([]jen.Code{typed}, body...)...)
}

// keyTags renders func(key any) []runtime.Tag.
func (e *emitter) keyTags(c *Cache) jen.Code {
	scope := e.scope().use("k", c.KeyType).use(paramNames(c.typeParams())...)
	for _, t := range c.Tags {
		scope.use(t.Tag.Func)
	}
	x := scope.local("key", "x")
	param := jen.Id(x).Any()
	var body []jen.Code
	if mentions(c.Tags, "k") {
		body = append(body, jen.Id("k").Op(":=").Id(x).Assert(c.key()))
	} else {
		param = jen.Any()
	}
	body = append(body, e.tagList(guarded(c.Tags, nil), scope)...)
	return jen.Func().Params(param).Index().Add(run("Tag")).Block(body...)
}

// resultTags renders func(value any) []runtime.Tag.
func (e *emitter) resultTags(c *Cache) jen.Code {
	var nilable []string
	if c.ValueNil {
		nilable = []string{c.ValueName}
	}
	scope := e.scope().mention(c.Value).use(c.ValueName)
	for _, t := range c.ResultTags {
		scope.use(t.Tag.Func)
		for _, a := range t.Args {
			scope.expr(a.Expr)
		}
	}
	body := e.tagList(guarded(c.ResultTags, nilable), scope)
	return takesAny(scope, c.ValueName, c.Value, jen.Index().Add(run("Tag")), body...)
}

// guarded pairs tags with the pointers on the way to them. Those of nilable count
// for a tag that looks into them.
func guarded(uses []TagUse, nilable []string) []guardedTag {
	var tags []guardedTag
	for _, u := range uses {
		pointers := nonNil(u.Args)
		for _, n := range nilable {
			if selects(u.Args, n) {
				pointers = append([]string{n}, without(pointers, nilable)...)
			}
		}
		tags = append(tags, guardedTag{call: u.call(), nonNil: pointers})
	}
	return tags
}

// selects says whether an argument is a field of variable, or deeper in it.
func selects(args []TagArg, variable string) bool {
	for _, a := range args {
		if strings.HasPrefix(a.Expr, variable+".") || strings.Contains(a.Expr, "("+variable+".") {
			return true
		}
	}
	return false
}

// mentions says whether an argument uses the variable.
func mentions(uses []TagUse, variable string) bool {
	names := scope{}
	for _, u := range uses {
		for _, a := range u.Args {
			names.expr(a.Expr)
		}
	}
	return names[variable]
}

// tagList renders the body of a function that returns tags.
func (e *emitter) tagList(tags []guardedTag, scope scope) []jen.Code {
	var pointers [][]string
	for _, t := range tags {
		pointers = append(pointers, t.nonNil)
	}
	shared := common(pointers)
	var body []jen.Code
	if len(shared) > 0 {
		body = append(body, jen.If(anyNil(shared)).Block(jen.Return(jen.Nil())))
	}
	simple := true
	var calls []jen.Code
	for i := range tags {
		tags[i].nonNil = without(tags[i].nonNil, shared)
		simple = simple && len(tags[i].nonNil) == 0
		calls = append(calls, tags[i].call)
	}
	if simple {
		return append(body, jen.Return(jen.Index().Add(run("Tag")).Values(calls...)))
	}
	variable := scope.local("tags")
	body = append(body, gather(variable, tags)...)
	return append(body, jen.Return(jen.Id(variable)))
}

// codes renders the options that are set.
func (o Options) codes() []jen.Code {
	var codes []jen.Code
	add := func(name string, d *time.Duration) {
		if d != nil {
			codes = append(codes, gen(name).Call(duration(*d)))
		}
	}
	part := func(name, percent string, a *Amount) {
		switch {
		case a == nil:
		case a.Percent > 0:
			codes = append(codes, gen(percent).Call(jen.Lit(a.Percent)))
		default:
			codes = append(codes, gen(name).Call(duration(a.Duration)))
		}
	}
	if o.Forever {
		codes = append(codes, gen("TTL").Call(run("Forever")))
	} else {
		add("TTL", o.TTL)
	}
	add("L1TTL", o.L1TTL)
	part("Jitter", "JitterPercent", o.Jitter)
	part("RefreshAfter", "RefreshPercent", o.Refresh)
	add("Grace", o.Grace)
	add("GraceBackoff", o.GraceBackoff)
	add("Timeout", o.Timeout)
	add("HardTimeout", o.HardTimeout)
	add("LockTimeout", o.LockTimeout)
	add("NotFoundTTL", o.NotFoundTTL)
	add("ErrorTTL", o.ErrorTTL)
	if o.BatchMax > 0 {
		codes = append(codes, gen("BatchMax").Call(jen.Lit(o.BatchMax)))
	}
	if errors := o.Errors.code(); errors != nil {
		codes = append(codes, errors)
	}
	return codes
}

// code is gen.LogErrors; nil for the zero value.
func (e Errors) code() jen.Code {
	switch e {
	case ReportErrors:
		return gen("ReportErrors")
	case LogErrors:
		return gen("LogErrors")
	}
	return nil
}

var units = []struct {
	size time.Duration
	name string
}{
	{time.Hour, "Hour"},
	{time.Minute, "Minute"},
	{time.Second, "Second"},
	{time.Millisecond, "Millisecond"},
	{time.Microsecond, "Microsecond"},
	{time.Nanosecond, "Nanosecond"},
}

// duration renders d in the largest unit that divides it: 5 * time.Minute. Days
// keep their hours visible: 7 * 24 * time.Hour.
func duration(d time.Duration) jen.Code {
	const day = 24 * time.Hour
	if d == 0 {
		return jen.Lit(0)
	}
	if d%day == 0 && d != day {
		return jen.Lit(int(d/day)).Op("*").Lit(24).Op("*").Qual("time", "Hour")
	}
	for _, u := range units {
		if d%u.size != 0 {
			continue
		}
		if d == u.size {
			return jen.Qual("time", u.name)
		}
		return jen.Lit(int(d/u.size)).Op("*").Qual("time", u.name)
	}
	panic("unreachable: every duration is a multiple of a nanosecond")
}
