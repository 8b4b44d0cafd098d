package templates

import (
	"strings"
	"time"

	"github.com/dave/jennifer/jen"
)

// definition renders the description of a method's cache, and the handle on it
// for functions that have no wrapper.
func (e *emitter) definition(c *Cache) {
	ref := reference(c.Wrapper, c.Func)
	e.declare(c.Variable+" describes the cache of "+ref+".",
		jen.Var().Id(c.Variable).Op("=").Add(e.describe(c)))
	if c.Handle != "" {
		e.declare(c.Handle+" reaches the cache of "+ref+" from functions, which have no "+
			c.Wrapper.Name+". It works once [BindCaches] has been called.",
			jen.Var().Id(c.Handle).Op("=").Add(run("Declare")).Call(jen.Id(c.Variable)))
	}
}

// describe renders runtime.Definition[UserKey, *User]{...}. Fields that have
// their zero value are left out.
func (e *emitter) describe(c *Cache) jen.Code {
	fields := []jen.Code{
		field("Name", jen.Lit(c.Label)),
		field("Pattern", jen.Lit(c.Pattern)),
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
	if options := c.Options.codes(); len(options) > 0 {
		fields = append(fields, field("Options", jen.Index().Add(run("Option")).Custom(perLine, options...)))
	}
	if len(c.Tags) > 0 {
		fields = append(fields, field("Tags", e.keyTags(c)))
	}
	if len(c.ResultTags) > 0 {
		fields = append(fields, field("ResultTags", e.resultTags(c)))
	}
	return run("Definition").Types(jen.Id(c.KeyType), typ(c.Value)).Custom(perLine, fields...)
}

// perLine is a composite literal with an element a line.
var perLine = jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}

func field(name string, value jen.Code) jen.Code { return jen.Id(name + ":").Add(value) }

// fastInt says whether the key is looked up by its number. A key that is nothing
// but a number has no prefix to tell it by, and goes by its text.
func (c *Cache) fastInt() bool { return c.Key.HasIntPrefix && c.Key.IntPrefix != "" }

// keyTags renders func(k UserKey) []runtime.Tag.
func (e *emitter) keyTags(c *Cache) jen.Code {
	k := jen.Id("k").Id(c.KeyType)
	if !mentions(c.Tags, "k") {
		k = jen.Id(c.KeyType)
	}
	return jen.Func().Params(k).Index().Add(run("Tag")).
		Block(e.tagList(guarded(c.Tags, nil), e.scope().use("k"))...)
}

// resultTags renders func(user *User) []runtime.Tag.
func (e *emitter) resultTags(c *Cache) jen.Code {
	var nilable []string
	if c.ValueNil {
		nilable = []string{c.ValueName}
	}
	return jen.Func().Params(jen.Id(c.ValueName).Add(typ(c.Value))).Index().Add(run("Tag")).
		Block(e.tagList(guarded(c.ResultTags, nilable), e.scope().use(c.ValueName))...)
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
			codes = append(codes, run(name).Call(duration(*d)))
		}
	}
	if o.Forever {
		codes = append(codes, run("TTL").Call(run("Forever")))
	} else {
		add("TTL", o.TTL)
	}
	add("Grace", o.Grace)
	add("GraceBackoff", o.GraceBackoff)
	add("Timeout", o.Timeout)
	add("HardTimeout", o.HardTimeout)
	return codes
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
