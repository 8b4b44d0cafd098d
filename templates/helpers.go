package templates

import (
	"strings"

	"github.com/dave/jennifer/jen"
)

// scope of a function generated for c.
func (e *emitter) cacheScope(c *Cache) scope {
	s := e.scope().params(c.Params).mention(c.Value).use(c.Context, c.KeyType, c.Variable, c.ValueName, c.OK, c.CopyFunc)
	s.use(paramNames(c.typeParams())...)
	if c.Wrapper != nil {
		s.use(c.Wrapper.Receiver)
	}
	for _, f := range c.Key.Fields {
		s.mention(f.Type)
	}
	return s
}

// handle is the expression that reaches c in a generated function.
func (c *Cache) handle() *jen.Statement {
	if c.Wrapper == nil && len(c.TypeParams) > 0 {
		return jen.Id(c.Variable).Add(typeArgs(paramNames(c.TypeParams))).Call()
	}
	if c.Wrapper == nil {
		return jen.Id(c.Variable)
	}
	return jen.Id(c.Wrapper.Receiver).Dot(c.Field)
}

// keyFromParams is the key's literal in a generated function.
func (c *Cache) keyFromParams() *jen.Statement { return c.literal(c.Key.sources()) }

// callOf writes the cached function with its key's parameters: FindUser(id).
func (c *Cache) callOf() string {
	var params []string
	for _, p := range c.KeyParams {
		params = append(params, p.Name)
	}
	return c.Func + "(" + strings.Join(params, ", ") + ")"
}

// dropIn renders the method that has the name and signature of the wrapped one.
func (e *emitter) dropIn(c *Cache) {
	doc := sentences(
		c.Func+" is "+reference(c.Wrapper, c.Func)+" through the cache, under the key "+c.Pattern+".",
		c.ignored())
	ctx, in := jen.Id(c.Context), []jen.Code{contextParam(c.Context)}
	if c.NoContext {
		ctx, in = jen.Qual("context", "Background").Call(), nil
	}
	call := jen.Id(c.Wrapper.Receiver).Dot(c.GetOrSet).Call(args([]jen.Code{ctx}, names(c.Params)...)...)
	e.declare(withDeprecation(doc, c.Deprecated), method(c.Wrapper, nil, c.Func).
		Params(args(in, declared(c.Params)...)...).
		Add(signatureOf(c.ResultNames, c.results())).
		Block(jen.Return(call)))
}

// ignored tells which parameters, and fields of parameters, do not distinguish entries.
func (c *Cache) ignored() string {
	inKey := map[string]bool{}
	for _, p := range c.KeyParams {
		inKey[p.Name] = true
	}
	var out []string
	for _, p := range c.Params {
		if !inKey[p.Name] {
			out = append(out, p.Name)
		}
	}
	out = append(out, c.Ignored...)
	switch len(out) {
	case 0:
		return ""
	case 1:
		return "Calls that differ only in " + out[0] + " share one entry. It is loaded with the " + out[0] + " of the call that starts the load."
	}
	return "Calls that differ only in " + list(out, "and") + " share one entry. It is loaded with those of the call that starts the load."
}

// helpers renders GetOrSetX, GetCachedX, SetCachedX and the others: methods of the wrapper, or
// functions for a plain function.
func (e *emitter) helpers(c *Cache) {
	e.getOrSet(c)
	e.get(c)
	e.set(c)
	e.remove(c)
	e.expire(c)
	e.has(c)
	e.pull(c)
}

// getOrSet renders the read path. A hit returns before anything is built that
// would have to live on the heap.
func (e *emitter) getOrSet(c *Cache) {
	resultNames := e.scope().params(c.Params).use(c.KeyType, c.Variable, c.CopyFunc).free(c.ResultNames)
	scope := e.cacheScope(c)
	for _, name := range resultNames {
		if name != "err" { // which hides itself, in an if
			scope.use(name)
		}
	}
	opts := scope.local("opts", "callOpts")
	ok := scope.local("ok", "hit")

	params := args([]jen.Code{contextParam(c.Context)}, declared(fixed(c.Params))...)
	params = append(params, jen.Id(opts).Op("...").Add(run("CallOption")))
	key := c.keyFromParams()
	var body []jen.Code
	if c.fastInt() {
		number := textValue{expr: c.Key.Fields[0].Source, typ: c.Key.Fields[0].Type, form: Int}
		body = append(body, jen.If(jen.Len(jen.Id(opts)).Op("==").Lit(0)).Block(
			jen.If(jen.List(jen.Id(c.ValueName), jen.Id(ok)).Op(":=").Add(gen("HitInt")).Call(jen.Id(c.Context), c.handle(), number.as("int64")), jen.Id(ok)).
				Block(c.hit())))
	} else {
		variable := scope.local("key", "cacheKey")
		body = append(body,
			jen.Id(variable).Op(":=").Add(key),
			jen.If(jen.Len(jen.Id(opts)).Op("==").Lit(0)).Block(hitByText(c, scope, variable, ok)...))
		key = jen.Id(variable)
	}
	body = append(body, c.load(scope, key, opts)...)

	doc := sentences(
		c.GetOrSet+" returns the cached "+c.Article+", or the result of "+reference(c.Wrapper, c.Func)+", which it caches.",
		opts+" override the options of the directive for this call. Errors are those of [runtime.Cache.GetOrSet].",
		c.plainDoc())
	if c.Wrapper == nil {
		doc = sentences(
			c.GetOrSet+" is "+reference(nil, c.Func)+" through the cache, under the key "+c.Pattern+".",
			c.ignored(),
			opts+" override the options of the directive for this call. Errors are those of [runtime.Cache.GetOrSet].",
			c.plainDoc())
	}
	e.declare(withDeprecation(doc, c.Deprecated),
		method(c.Wrapper, c.TypeParams, c.GetOrSet).Params(params...).Add(signatureOf(resultNames, c.results())).Block(body...))
}

// hit returns what memory has.
func (c *Cache) hit() jen.Code {
	value := jen.Id(c.ValueName)
	if c.CopyFunc != "" {
		value = jen.Id(c.CopyFunc).Call(value)
	}
	if c.HasOK {
		return jen.Return(value, jen.True(), jen.Nil())
	}
	return jen.Return(value, jen.Nil())
}

// load renders the call that goes on where memory has nothing.
func (c *Cache) load(scope scope, key jen.Code, opts string) []jen.Code {
	call := wrapped(c.Wrapper, c.TypeParams, c.Func).Call(args(contextArg(c.Context, c.NoContext), passed(c.Params)...)...)
	in := contextParam(c.Context)
	if c.NoContext {
		in = jen.Qual("context", "Context")
	}
	load := func(results ...jen.Code) jen.Code {
		return jen.Func().Params(in).Params(results...).Block(jen.Return(call))
	}
	pass := jen.Id(opts).Op("...")
	if c.HasOK {
		loader := load(typ(c.Value), jen.Bool(), jen.Error())
		return []jen.Code{jen.Return(gen("GetOrSetFound").Call(jen.Id(c.Context), c.handle(), key, loader, pass))}
	}
	return []jen.Code{jen.Return(c.handle().Dot("GetOrSet").Call(jen.Id(c.Context), key, load(typ(c.Value), jen.Error()), pass))}
}

// hitByText renders the lookup by the key's text, in a buffer on the stack.
func hitByText(c *Cache, scope scope, key, ok string) []jen.Code {
	buf, text := scope.local("buf"), scope.local("text")
	hit := jen.If(jen.List(jen.Id(c.ValueName), jen.Id(ok)).Op(":=").Add(gen("Hit")).Call(jen.Id(c.Context), c.handle(), jen.Id(text)), jen.Id(ok)).
		Block(c.hit())
	appended := jen.Id(key).Dot("AppendText").Call(jen.Id(buf).Index(jen.Op(":").Lit(0)))
	if !c.Key.fallible() {
		return []jen.Code{
			jen.Var().Id(buf).Add(gen("KeyBuffer")),
			jen.List(jen.Id(text), jen.Id("_")).Op(":=").Add(appended),
			hit,
		}
	}
	err := scope.local("err")
	return []jen.Code{
		jen.Var().Id(buf).Add(gen("KeyBuffer")),
		jen.If(jen.List(jen.Id(text), jen.Id(err)).Op(":=").Add(appended), jen.Id(err).Op("==").Nil()).Block(hit),
	}
}

// plainDoc says what a plain function needs before it works.
func (c *Cache) plainDoc() string {
	if c.Wrapper != nil {
		return ""
	}
	return "Before [BindCaches] the error is [runtime.ErrNotBound]."
}

// keyed renders a helper that takes the key's parameters and calls the cache's method of
// the same meaning with the key.
func (e *emitter) keyed(c *Cache, name, doc, call string, results ...jen.Code) {
	e.keyedWith(c, name, doc, call, nil, nil, results...)
}

// keyedWith has more parameters after the key's, and more values to pass.
func (e *emitter) keyedWith(c *Cache, name, doc, call string, params, values []jen.Code, results ...jen.Code) {
	if name == "" {
		return
	}
	in := args([]jen.Code{contextParam(c.Context)}, declared(fixed(c.KeyParams))...)
	pass := args([]jen.Code{jen.Id(c.Context), c.keyFromParams()}, values...)
	head := method(c.Wrapper, c.TypeParams, name).Params(args(in, params...)...)
	if len(results) == 1 {
		head.Add(results[0])
	} else {
		head.Params(results...)
	}
	e.declare(name+" "+doc, head.Block(jen.Return(c.handle().Dot(call).Call(pass...))))
}

// found are the named results of helpers that may find nothing, of which ok says so.
func (e *emitter) found(c *Cache) (ok string, results []jen.Code) {
	scope := e.cacheScope(c)
	ok = scope.local("ok", "found")
	return ok, []jen.Code{
		jen.Id(c.ValueName).Add(typ(c.Value)),
		jen.Id(ok).Bool(),
		jen.Id(scope.local("err")).Error(),
	}
}

func (e *emitter) get(c *Cache) {
	ok, results := e.found(c)
	opts := e.cacheScope(c).use(ok).local("opts", "callOpts")
	e.keyedWith(c, c.Get, "returns the cached "+c.Article+"; "+ok+" is false if there is no fresh entry, nor, with [runtime.AllowStale], a stale one. It never loads.", "Get",
		[]jen.Code{jen.Id(opts).Op("...").Add(run("CallOption"))}, []jen.Code{jen.Id(opts).Op("...")}, results...)
}

func (e *emitter) pull(c *Cache) {
	ok, results := e.found(c)
	e.keyed(c, c.Pull, "returns the cached "+c.Article+" and deletes the entry; "+ok+" is false if there was no fresh one.", "Pull", results...)
}

func (e *emitter) has(c *Cache) {
	e.keyed(c, c.Has, "reports whether there is a fresh entry of "+c.callOf()+".", "Has", jen.Bool(), jen.Error())
}

func (e *emitter) remove(c *Cache) {
	e.keyed(c, c.Delete, "removes the cached "+c.Article+", if any. See [runtime.Cache.Delete].", "Delete", jen.Error())
}

func (e *emitter) expire(c *Cache) {
	e.keyed(c, c.Expire, "makes the cached "+c.Article+", if any, stale; the entry may still serve as a grace value. See [runtime.Cache.Expire].", "Expire", jen.Error())
}

func (e *emitter) set(c *Cache) {
	opts := e.cacheScope(c).local("opts", "callOpts")
	what := "caches " + c.ValueName
	if c.ValueNil {
		what += ", which may be nil,"
	}
	e.keyedWith(c, c.Set, what+" as the result of "+c.callOf()+". See [runtime.Cache.Set].", "Set",
		[]jen.Code{jen.Id(c.ValueName).Add(typ(c.Value)), jen.Id(opts).Op("...").Add(run("CallOption"))},
		[]jen.Code{jen.Id(c.ValueName), jen.Id(opts).Op("...")},
		jen.Error())
}
