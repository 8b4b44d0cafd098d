package build

import (
	"go/types"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// receivers are the names that generated methods prefer for their receiver.
var receivers = []string{"c", "cached", "cache"}

// pickReceivers names the receivers, with names that no import and no parameter of the type's methods
// has.
func (b *builder) pickReceivers() {
	for _, w := range b.p.Wrappers {
		used := map[string]bool{w.Object.Name(): true}
		for _, o := range b.ordered {
			maps.Copy(used, o.imports)
		}
		for _, t := range w.TypeParams() {
			used[t.Obj().Name()] = true
		}
		for _, f := range w.Functions() {
			used[f.Context] = true
			for _, v := range append(slices.Clone(f.Params), f.Results...) {
				used[v.Source()] = true
			}
		}
		taken := func(name string) bool { return used[name] || b.p.Names.Generated(name) }
		i := slices.IndexFunc(receivers, func(name string) bool { return !taken(name) })
		if i >= 0 {
			b.wrappers[w].Receiver = receivers[i]
		} else {
			b.wrappers[w].Receiver = naming.Unused("wrapper", "", taken)
		}
	}
}

var identifier = regexp.MustCompile(`[\pL_][\pL_\pN]*`)

// A scope knows which names a variable of a generated function cannot have.
type scope struct {
	out   *output
	taken map[string]bool
}

// scope begins the names of a function: those of its types and of everything that is
// generated are in use.
func (o *output) scope(f *facts.Function) (*scope, *locals) {
	s := &scope{out: o, taken: map[string]bool{f.Name(): true}}
	for _, t := range f.AllTypeParams() {
		s.taken[t.Obj().Name()] = true
	}
	if f.Recv != nil {
		s.taken[o.wrappers[f.Recv].Receiver] = true
	}
	for _, v := range append(slices.Clone(f.Params), f.Results...) {
		s.mention(v.Type())
	}
	o.functions[f] = &locals{}
	return s, o.functions[f]
}

// mention takes the names that the text of a type uses.
func (s *scope) mention(t types.Type) {
	for _, part := range s.out.p.TypeText(t, func(*types.Package) {}) {
		if part.Path == "" {
			for _, name := range identifier.FindAllString(part.Text, -1) {
				s.taken[name] = true
			}
		}
	}
}

func (s *scope) isTaken(name string) bool {
	return naming.Reserved(name) || s.taken[name] || s.out.imports[name] || s.out.p.Names.Generated(name)
}

// variable takes name if it is free, or else one like it.
func (s *scope) variable(name, fallback string) string {
	name = naming.Unused(name, fallback, s.isTaken)
	s.taken[name] = true
	return name
}

// nameParams names the context and the parameters of f as in the source, unless such a name has
// another meaning in generated code.
func (s *scope) nameParams(f *facts.Function) {
	names := s.out.functions[f]
	if f.Context != "" && !s.isTaken(f.Context) {
		names.context = f.Context
		s.taken[f.Context] = true
	}
	for _, v := range f.Params {
		if v.Source() != "" {
			s.out.locals[v] = s.variable(v.Source(), "Arg")
		}
	}
	if names.context == "" {
		names.context = s.variable("ctx", "")
	}
	for _, v := range f.Params {
		if v.Source() == "" {
			s.out.locals[v] = s.variable("arg"+strconv.Itoa(v.Position), "_")
		}
	}
}

// keepResults keeps the names that the source has for the results of f, if no other name of the
// generated function is one of them.
func (s *scope) keepResults(f *facts.Function) {
	names := f.ResultNames()
	if len(names) == 0 || slices.ContainsFunc(names, s.isTaken) {
		return
	}
	s.out.functions[f].results = names
	s.taken[names[len(names)-1]] = true // that of the error; the others are still to be named
}

// nameResults names the results of a writer.
func (s *scope) nameResults(f *facts.Function) {
	for _, v := range f.Results {
		name := v.Source()
		if name == "" {
			name = s.out.p.ValueName(v.Type(), "result")
		}
		if s.isTaken(name) {
			name = "result"
		}
		s.out.locals[v] = s.variable(name, "")
	}
}

// nameTagParams names a constructor's parameters after the last name of the first use's
// placeholders.
func (o *output) nameTagParams(t *facts.Tag) {
	mine := map[string]bool{}
	for i, value := range t.Pattern.Placeholders() {
		name := naming.Lower(value.Path[len(value.Path)-1].Text)
		if o := t.Uses[0].Operands[i]; o.Root == facts.Result && len(o.Path) == 0 && o.Of.Source() == "" {
			name = "value"
		}
		name = naming.Unused(name, "Arg", func(n string) bool { return naming.Reserved(n) || mine[n] || o.imports[n] })
		mine[name] = true
		o.tagParams[t] = append(o.tagParams[t], name)
	}
}

// nameVariables names parameters, results and values.
func (o *output) nameVariables() {
	caches, writers, wrappers, tags := o.own()
	for _, w := range wrappers {
		caches = append(caches, w.Promoted...)
	}
	for _, c := range caches {
		s, names := o.scope(c.Function)
		s.nameParams(c.Function)
		s.keepResults(c.Function)
		name := c.Results[0].Source()
		if name == "" {
			name = o.p.ValueName(c.Value(), naming.Lower(c.Names.Entity))
		}
		if s.isTaken(name) {
			name = "value"
		}
		names.value = s.variable(name, "")
		if c.HasOK() {
			names.ok = s.variable("ok", "Result")
		}
	}
	for _, w := range writers {
		s, _ := o.scope(w.Function)
		s.nameParams(w.Function)
		s.keepResults(w.Function)
		s.nameResults(w.Function)
		for _, t := range w.Targets {
			if t.Many != nil {
				o.elements[t] = s.variable(naming.Singular(t.Many.Source()), "")
			}
		}
	}
	for _, b := range o.batches() {
		s, names := o.scope(b.Function)
		s.nameParams(b.Function)
		s.keepResults(b.Function)
		names.element = s.variable(naming.Singular(b.Many.Source()), "")
		name := o.p.ValueName(b.Cache.Value(), "value")
		if s.isTaken(name) {
			name = "value"
		}
		names.value = s.variable(name, "")
	}
	for _, w := range wrappers {
		m, parts := o.wrappers[w], naming.Words(w.Object.Name())
		m.Param = naming.Unused(naming.Lower(parts[len(parts)-1]), "Arg", func(name string) bool {
			return naming.Reserved(name) || o.imports[name] || o.p.Names.Generated(name) || name == w.Object.Name() ||
				name == m.Receiver
		})
		for _, tx := range w.TxMethods {
			s, _ := o.scope(tx.Function)
			s.mention(tx.Result)
			s.nameParams(tx.Function)
		}
	}
	for _, t := range tags {
		o.nameTagParams(t)
	}
}
