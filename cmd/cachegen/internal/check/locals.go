package check

import (
	"go/types"
	"maps"
	"regexp"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

// receivers are the names that generated methods prefer for their receiver.
var receivers = []string{"c", "cached", "cache"}

// pickReceivers names the receivers: as no import is called and no parameter of the
// type's methods.
func (p *pack) pickReceivers(outputs map[*load.File]*output) {
	for _, w := range p.wrappers {
		used := map[string]bool{w.obj.Name(): true}
		for _, o := range outputs {
			maps.Copy(used, o.imports)
		}
		for _, t := range w.typeParams() {
			used[t.Obj().Name()] = true
		}
		for _, f := range w.functions() {
			used[f.ctx] = true
			for _, v := range append(slices.Clone(f.params), f.results...) {
				used[v.source()] = true
			}
		}
		taken := func(name string) bool { return used[name] || p.names[name].generated }
		i := slices.IndexFunc(receivers, func(name string) bool { return !taken(name) })
		if i >= 0 {
			w.model.Receiver = receivers[i]
		} else {
			w.model.Receiver = unused("wrapper", "", taken)
		}
	}
}

// functions are the annotated methods of w.
func (w *wrapped) functions() []*function {
	var list []*function
	for _, c := range w.caches {
		list = append(list, c.function)
	}
	for _, x := range w.writers {
		list = append(list, x.function)
	}
	for _, c := range w.promoted {
		list = append(list, c.function)
	}
	for _, b := range w.batches {
		list = append(list, b.function)
	}
	return list
}

var identifier = regexp.MustCompile(`[\pL_][\pL_\pN]*`)

// A scope knows which names a variable of a generated function cannot have.
type scope struct {
	out   *output
	taken map[string]bool
}

// scope begins the names of a function: those of its types and of everything that is
// generated are in use.
func (o *output) scope(f *function) *scope {
	s := &scope{out: o, taken: map[string]bool{f.name(): true}}
	for _, t := range f.allTypeParams() {
		s.taken[t.Obj().Name()] = true
	}
	if f.recv != nil {
		s.taken[f.recv.model.Receiver] = true
	}
	for _, v := range append(slices.Clone(f.params), f.results...) {
		s.mention(v.Type())
	}
	return s
}

// mention takes the names that the text of a type uses.
func (s *scope) mention(t types.Type) {
	for _, part := range s.out.p.typeText(t, func(*types.Package) {}) {
		if part.Path == "" {
			for _, name := range identifier.FindAllString(part.Text, -1) {
				s.taken[name] = true
			}
		}
	}
}

func (s *scope) isTaken(name string) bool {
	return reserved(name) || s.taken[name] || s.out.imports[name] || s.out.p.names[name].generated
}

// variable takes name if it is free, or else one like it.
func (s *scope) variable(name, fallback string) string {
	name = unused(name, fallback, s.isTaken)
	s.taken[name] = true
	return name
}

// nameParams names the context and the parameters of f: as in the source, unless
// that has another meaning in generated code.
func (s *scope) nameParams(f *function) {
	if f.ctx != "" && !s.isTaken(f.ctx) {
		f.context = f.ctx
		s.taken[f.ctx] = true
	}
	for _, v := range f.params {
		if v.source() != "" {
			v.name = s.variable(v.source(), "Arg")
		}
	}
	if f.context == "" {
		f.context = s.variable("ctx", "")
	}
	for _, v := range f.params {
		if v.source() == "" {
			v.name = s.variable("arg"+itoa(v.position), "_")
		}
	}
}

// nameResults names the results of a writer.
func (s *scope) nameResults(f *function) {
	for _, v := range f.results {
		name := v.source()
		if name == "" {
			name = s.out.p.valueName(v.Type(), "result")
		}
		if s.isTaken(name) {
			name = "result"
		}
		v.name = s.variable(name, "")
	}
}

// valueName is what code calls a value of type t: a *User user, a []User users. For types
// without a name it is fallback.
func (p *pack) valueName(t types.Type, fallback string) string {
	t = types.Unalias(t)
	slice, many := t.(*types.Slice)
	if many {
		t = slice.Elem()
	}
	n := named(t)
	if n == nil || n.Obj().Pkg() == nil {
		return fallback
	}
	name := lower(n.Obj().Name())
	if many {
		return plural(name)
	}
	return name
}

// params writes parameters or results for the model.
func (o *output) params(list []*param) []templates.Param {
	var out []templates.Param
	for _, v := range list {
		out = append(out, templates.Param{Name: v.name, Type: o.typ(v.elem()), Variadic: v.variadic})
	}
	return out
}
