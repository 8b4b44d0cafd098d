package templates

import "github.com/dave/jennifer/jen"

// txMethod renders the method that returns a wrapper for a database transaction: around what the
// wrapped type's method returns, and with handles that neither serve nor fill a cache.
func (e *emitter) txMethod(w *Wrapper, m *TxMethod) {
	scope := e.scope().params(m.Params).mention(m.Result).use(w.Receiver, w.Type, w.Name)
	if !m.NoContext {
		scope.use(m.Context)
	}
	var body []jen.Code
	inTx := jen.True()
	if m.Absent != "" {
		variable := scope.local("inTx", "inTransaction")
		is := jen.Id(m.Absent).Op("!=").Nil()
		if w.InTx != "" {
			is = jen.Id(w.Receiver).Dot(w.InTx).Op("||").Add(is)
		}
		body, inTx = append(body, jen.Id(variable).Op(":=").Add(is)), jen.Id(variable)
	}
	bound := wrapped(w, nil, m.Func).Call(args(contextArg(m.Context, m.NoContext), passed(m.Params)...)...)
	if m.HasError || m.Bound == BoundAddress {
		variable := jen.Id(scope.local(w.Param, "bound"))
		if m.HasError {
			err := jen.Id(scope.local("err"))
			body = append(body,
				jen.List(variable, err).Op(":=").Add(bound),
				jen.If(jen.Add(err).Op("!=").Nil()).Block(jen.Return(jen.Nil(), err)))
		} else {
			body = append(body, jen.Add(variable).Op(":=").Add(bound))
		}
		bound = variable
	}
	switch m.Bound {
	case BoundAddress:
		bound = jen.Op("&").Add(bound)
	case BoundDereference:
		bound = jen.Op("*").Add(bound)
	case BoundAssert:
		bound = jen.Add(bound).Assert(w.embedded())
	}

	fields := []jen.Code{field(w.Type, bound)}
	handle := func(name string) {
		fields = append(fields, field(name, gen("InTransaction").Call(jen.Id(w.Receiver).Dot(name), inTx)))
	}
	for _, c := range w.Caches {
		handle(c.Field)
	}
	for _, f := range w.Foreign {
		handle(f.Field)
	}
	if w.InTx != "" {
		fields = append(fields, field(w.InTx, inTx))
	}
	results := []jen.Code{jen.Op("&").Add(w.name()).Custom(perLine, fields...)}
	result := jen.Op("*").Add(w.name())
	if m.Bound == BoundAssert {
		result = typ(m.Result)
	}
	out := []jen.Code{result}
	if m.HasError {
		results, out = append(results, jen.Nil()), append(out, jen.Error())
	}
	head := method(w, nil, m.Func).Params(args(contextParams(m.Context, m.NoContext), declared(m.Params)...)...)
	if len(out) == 1 {
		head.Add(result)
	} else {
		head.Params(out...)
	}
	e.declare(withDeprecation(w.txDoc(m), m.Deprecated), head.Block(append(body, jen.Return(results...))...))
}

// txDoc says what a wrapper of a transaction does otherwise.
func (w *Wrapper) txDoc(m *TxMethod) string {
	what := m.Func + " is " + reference(w, m.Func) + " with " + withArticle(w.Name) + " around what that returns"
	if m.Bound == BoundAssert {
		held := w.Type
		if w.Pointer {
			held = "*" + w.Type
		}
		what += ", which has to be " + article(w.Type) + " " + held
	}
	readers := ""
	if len(w.Caches)+len(w.Promoted) > 0 {
		readers = "Its readers call their loaders, and neither use nor fill a cache."
	}
	absent := ""
	if m.Absent != "" {
		absent = "With a nil " + m.Absent + " it works as " + w.Receiver + " does."
	}
	return sentences(what+", for use inside the transaction.", readers,
		"What it changes in caches is held until the commit, by a context of [runtime.Collect] or of package runtime/transaction;",
		"with any other context that fails with [runtime.ErrNotCollected], and the transaction is to be rolled back.", absent)
}

// contextParams is the context parameter of a method, if it has one.
func contextParams(name string, none bool) []jen.Code {
	if none {
		return nil
	}
	return []jen.Code{contextParam(name)}
}
