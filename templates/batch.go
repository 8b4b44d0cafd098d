package templates

import "github.com/dave/jennifer/jen"

// batch renders what goes through the cache where many keys are loaded: a function with
// options and, for a method, the one that has the name and signature of the wrapped one.
func (e *emitter) batch(b *Batch) {
	scope := e.scope().params(b.Params).use(b.Context, b.Element, b.ValueName, b.Cache.KeyType)
	scope.use(paramNames(b.typeParams())...)
	if b.Wrapper != nil {
		scope.use(b.Wrapper.Receiver)
		e.batchDropIn(b)
	}
	opts := scope.local("opts", "callOpts")
	many := fixed(b.Params)[b.Many]
	values := make([]string, len(b.Args))
	for i, a := range b.Args {
		values[i] = a.Expr
	}
	in := args([]jen.Code{contextParam(b.Context)}, declared(fixed(b.Params))...)
	in = append(in, jen.Id(opts).Op("...").Add(run("CallOption")))

	load := wrapped(b.Wrapper, nil, b.Func).Call(args(contextArg(b.Context, b.NoContext), passed(b.Params)...)...)
	ctx := contextParam(b.Context)
	if b.NoContext {
		ctx = jen.Id("_").Qual("context", "Context")
	}
	call := []jen.Code{jen.Id(b.Context), b.Cache.handle(), jen.Id(many.Name), keyOf(b.Cache, b.Element, b.ElementType, values)}
	name := "GetOrSetMap"
	if b.List {
		name = "GetOrSetList"
		call = append(call, b.by())
	}
	var loader jen.Code = jen.Func().Params(ctx, jen.Id(many.Name).Add(typ(many.Type))).Params(typ(b.Result), jen.Error()).Block(jen.Return(load))
	if len(b.Params) == 1 && !b.Params[0].Variadic && !b.NoContext {
		loader = wrapped(b.Wrapper, nil, b.Func) // it has that signature already
	}
	call = append(call, loader, jen.Id(opts).Op("..."))
	e.declare(withDeprecation(b.GetOrSet+" is "+reference(b.Wrapper, b.Func)+" through the cache: of "+many.Name+", it loads only what has no entry. "+
		b.order()+opts+" override the options of the directive for this call. With an error, what was found is returned too. Errors are those of [runtime.Cache.GetOrSetMany].", b.Deprecated),
		method(b.Wrapper, nil, b.GetOrSet).Params(in...).Params(typ(b.Result), jen.Error()).
			Block(jen.Return(gen(name).Custom(callPerLine, call...))))
}

// order describes the order of a list.
func (b *Batch) order() string {
	if !b.List {
		return ""
	}
	return "The list is in the order of " + b.Params[b.Many].Name + ", without duplicates. "
}

// by renders func(user *User) (int64, bool): the field that holds a value's element of the key.
func (b *Batch) by() *jen.Statement {
	in := jen.Id(b.ValueName).Add(typ(b.Value))
	pointers := b.By.NonNil
	body := []jen.Code{jen.Return(jen.Id(b.By.Expr), jen.True())}
	if len(pointers) > 0 {
		body = []jen.Code{jen.If(anyNil(pointers)).Block(jen.Return(zeroOf(b.ElementType), jen.False())), body[0]}
	}
	return jen.Func().Params(in).Params(typ(b.ElementType), jen.Bool()).Block(body...)
}

// zeroOf is the zero value of a type: *new(int64).
func zeroOf(t Type) *jen.Statement { return jen.Op("*").New(typ(t)) }

func (e *emitter) batchDropIn(b *Batch) {
	ctx, in := jen.Id(b.Context), []jen.Code{contextParam(b.Context)}
	if b.NoContext {
		ctx, in = jen.Qual("context", "Background").Call(), nil
	}
	e.declare(withDeprecation(b.Func+" is "+reference(b.Wrapper, b.Func)+" through the cache of "+b.Cache.Func+".", b.Deprecated),
		method(b.Wrapper, nil, b.Func).Params(args(in, declared(b.Params)...)...).Add(signatureOf(b.ResultNames, []Param{{Type: b.Result}})).
			Block(jen.Return(jen.Id(b.Wrapper.Receiver).Dot(b.GetOrSet).Call(args([]jen.Code{ctx}, names(b.Params)...)...))))
}
