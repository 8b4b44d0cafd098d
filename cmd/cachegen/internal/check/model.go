package check

import (
	"go/types"
	"slices"
	"strconv"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

func itoa(n int) string { return strconv.Itoa(n) }

// model writes what was found as the model of the generated files. Types come
// first, because the names of imports follow from them, and the names of variables
// from those, and expressions from these.
func (p *pack) model(files map[*load.File]*templates.File) {
	outputs := map[*load.File]*output{}
	for _, file := range p.Files {
		if len(file.Directives) == 0 {
			continue
		}
		o := &output{p: p, source: file, packages: map[string]string{}, file: &templates.File{
			Path: p.Path, Package: p.Name, BindName: p.bindName(), Constraint: buildConstraint(file),
		}}
		outputs[file], files[file] = o, o.file
	}
	for _, w := range p.wrappers {
		w.model = &templates.Wrapper{
			Type: w.obj.Name(), Name: w.names.typ, Constructor: w.names.constructor, Pointer: w.pointer || changes(w.obj.Type()),
		}
	}
	for _, file := range p.Files {
		if o := outputs[file]; o != nil {
			o.noteTypes()
			o.assignImports()
		}
	}
	p.pickReceivers(outputs)
	for _, file := range p.Files {
		if o := outputs[file]; o != nil {
			o.nameVariables()
		}
	}
	for _, file := range p.Files {
		if o := outputs[file]; o != nil {
			o.fill()
		}
	}
	for _, h := range p.handles {
		o := outputs[h.owner.file]
		o.file.Handles = append(o.file.Handles, templates.Handle{Name: h.name, Cache: o.cacheOf(h.cache)})
	}
	p.bindCaches(outputs)
}

// batches are the batch loaders of the output's file.
func (o *output) batches() []*batch {
	return slices.DeleteFunc(slices.Clone(o.p.batches), func(b *batch) bool { return b.file != o.source })
}

// cacheOf is the model of a cache to refer to, which for one of another package is a sketch:
// its names, and its types as this file writes them.
func (o *output) cacheOf(c *cache) *templates.Cache {
	if c.p == o.p {
		return c.skeleton()
	}
	m := &templates.Cache{
		Path: c.p.Path, Func: c.name(), Variable: c.names.variable, KeyType: c.names.keyType, Value: o.typ(c.value()),
		Label: c.p.Path + "." + c.label(),
	}
	if c.recv != nil {
		m.Wrapper = &templates.Wrapper{Type: c.recv.obj.Name(), Name: c.recv.names.typ}
	}
	for _, f := range c.fields {
		m.Key.Fields = append(m.Key.Fields, templates.Field{Name: f.name})
	}
	return m
}

// typeParams writes type parameters with their constraints.
func (o *output) typeParams(list []*types.TypeParam) []templates.Param {
	var out []templates.Param
	for _, t := range list {
		out = append(out, templates.Param{Name: t.Obj().Name(), Type: o.typ(t.Constraint())})
	}
	return out
}

// changes reports whether a type has methods on its pointer, embedded ones included: they
// may change the value, and the wrapper has to hold the one that they change.
func changes(t types.Type) bool {
	return types.NewMethodSet(t).Len() != types.NewMethodSet(types.NewPointer(t)).Len()
}

// own returns what belongs to the output's file.
func (o *output) own() (caches []*cache, writers []*writer, wrappers []*wrapped, tags []*tag) {
	for _, c := range o.p.caches {
		if c.file == o.source {
			caches = append(caches, c)
		}
	}
	for _, w := range o.p.writers {
		if w.file == o.source {
			writers = append(writers, w)
		}
	}
	for _, w := range o.p.wrappers {
		if w.file == o.source {
			wrappers = append(wrappers, w)
		}
	}
	for _, t := range o.p.tags {
		if t.file() == o.source {
			tags = append(tags, t)
		}
	}
	return caches, writers, wrappers, tags
}

// noteTypes finds the packages that the file's types need.
func (o *output) noteTypes() {
	caches, writers, wrappers, tags := o.own()
	for _, c := range caches {
		o.params(c.params)
		o.params(c.results)
		for _, f := range c.fields {
			o.typ(f.as)
		}
		o.typeParams(c.allTypeParams())
		if v := c.notFound.sentinel; v != nil {
			o.object(v)
		}
	}
	for _, w := range writers {
		o.params(w.params)
		o.params(w.results)
		o.typeParams(w.allTypeParams())
		for _, t := range w.targets {
			if t.remote(o.p) {
				o.packages[t.cache.p.Path] = t.cache.p.Name
			}
		}
	}
	for _, b := range o.batches() {
		o.params(b.params)
		o.params(b.results)
	}
	for _, w := range wrappers {
		o.typeParams(w.typeParams())
		for _, c := range w.caches {
			o.typ(c.value())
		}
		for _, c := range w.promoted {
			o.params(c.params)
			o.typ(c.value())
		}
		for _, f := range w.foreign {
			o.typ(f.cache.value())
			o.packages[f.cache.p.Path] = f.cache.p.Name
		}
	}
	for _, h := range o.p.handles {
		if h.owner.file == o.source {
			o.typ(h.cache.value())
			o.packages[h.cache.p.Path] = h.cache.p.Name
		}
	}
	delete(o.packages, o.p.Path)
	for _, t := range tags {
		for _, typ := range t.types {
			o.typ(typ)
		}
	}
	o.values()
}

// nameVariables names parameters, results and values.
func (o *output) nameVariables() {
	caches, writers, wrappers, tags := o.own()
	for _, w := range wrappers {
		caches = append(caches, w.promoted...)
	}
	for _, c := range caches {
		s := o.scope(c.function)
		s.nameParams(c.function)
		name := c.results[0].source()
		if name == "" {
			name = o.p.valueName(c.value(), lower(c.names.entity))
		}
		if s.isTaken(name) {
			name = "value"
		}
		c.valueName = s.variable(name, "")
		if c.hasOK() {
			c.okName = s.variable("ok", "Result")
		}
	}
	for _, w := range writers {
		s := o.scope(w.function)
		s.nameParams(w.function)
		s.nameResults(w.function)
		for _, t := range w.targets {
			if t.many != nil {
				t.element = s.variable(singular(t.many.source()), "")
			}
		}
	}
	for _, b := range o.batches() {
		s := o.scope(b.function)
		s.nameParams(b.function)
		b.element = s.variable(singular(b.many.source()), "")
		name := o.p.valueName(b.cache.value(), "value")
		if s.isTaken(name) {
			name = "value"
		}
		b.valueName = s.variable(name, "")
	}
	for _, w := range wrappers {
		parts := words(w.obj.Name())
		w.model.Param = unused(lower(parts[len(parts)-1]), "Arg", func(name string) bool {
			return reserved(name) || o.imports[name] || o.p.names[name].generated || name == w.obj.Name() ||
				name == w.model.Receiver
		})
	}
	for _, t := range tags {
		t.paramNames(func(name string) bool { return o.imports[name] })
	}
}

// fill writes everything into the file.
func (o *output) fill() {
	caches, writers, wrappers, tags := o.own()
	for _, t := range tags {
		o.file.Tags = append(o.file.Tags, o.tag(t))
	}
	for _, w := range wrappers {
		o.file.Wrappers = append(o.file.Wrappers, o.wrapper(w))
	}
	for _, c := range caches {
		o.file.Caches = append(o.file.Caches, o.p.cacheModel(c, o))
	}
	for _, w := range writers {
		o.file.Writers = append(o.file.Writers, o.writer(w))
	}
	for _, b := range o.batches() {
		o.file.Batches = append(o.file.Batches, o.batchModel(b))
	}
}

// singular is what one of many is called: ids are made of id.
func singular(name string) string {
	switch {
	case strings.HasSuffix(name, "ies") && len(name) > 4:
		return name[:len(name)-3] + "y"
	case strings.HasSuffix(name, "s") && !strings.HasSuffix(name, "ss") && len(name) > 1:
		return name[:len(name)-1]
	}
	return "one"
}

// object writes the name of a package-level variable or constant.
func (o *output) object(v types.Object) templates.Type {
	if v.Pkg() == o.p.Types {
		return templates.Type{{Text: v.Name()}}
	}
	o.packages[v.Pkg().Path()] = v.Pkg().Name()
	return templates.Type{{Path: v.Pkg().Path(), Text: v.Name()}}
}

// allTypeParams are the type parameters that f's types may mention.
func (f *function) allTypeParams() []*types.TypeParam {
	if f.recv != nil {
		return f.recv.typeParams()
	}
	return f.typeParams
}

// skeleton is the model of a cache, which others may refer to before it is filled.
func (c *cache) skeleton() *templates.Cache {
	if c.model == nil {
		c.model = &templates.Cache{}
	}
	return c.model
}

func (t *tag) skeleton() *templates.Tag {
	if t.model == nil {
		t.model = &templates.Tag{}
	}
	return t.model
}

func (o *output) tag(t *tag) *templates.Tag {
	m := t.skeleton()
	m.Func, m.Segments = t.name, t.segments
	var text []string
	for _, s := range t.segments {
		part := s.Before
		if s.Field >= 0 {
			part += "{" + t.params[s.Field] + "}" + s.After
		}
		text = append(text, part)
	}
	m.Pattern = strings.Join(text, ":")
	for i, f := range t.forms {
		m.Params = append(m.Params, templates.TagParam{Name: t.params[i], Type: o.typ(t.types[i]), Form: f.Form, Basic: basicOf(t, i)})
	}
	return m
}

// basicOf is the predeclared type behind a constructor's parameter.
func basicOf(t *tag, i int) string {
	if t.forms[i].Form == templates.Text {
		return ""
	}
	for _, f := range integers {
		if name := t.types[i].Underlying().String(); f.basic == name {
			return name
		}
	}
	return t.forms[i].basic
}

func (o *output) wrapper(w *wrapped) *templates.Wrapper {
	for _, c := range w.caches {
		w.model.Caches = append(w.model.Caches, c.skeleton())
	}
	for _, f := range w.foreign {
		w.model.Foreign = append(w.model.Foreign, templates.ForeignCache{Field: f.field, Cache: o.cacheOf(f.cache)})
	}
	for _, c := range w.promoted {
		w.model.Promoted = append(w.model.Promoted, o.p.cacheModel(c, o))
	}
	w.model.TypeParams = o.typeParams(w.typeParams())
	return w.model
}
