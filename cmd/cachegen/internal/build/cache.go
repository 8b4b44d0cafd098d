package build

import (
	"go/types"
	"path/filepath"
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
	"github.com/cachegen/cachegen/templates"
)

// cache fills the model of a cache.
func (o *output) cache(c *facts.Cache) *templates.Cache {
	n, m, names := c.Names, o.cacheModel(c), o.functions[c.Function]
	*m = templates.Cache{
		Path: o.p.Path, TypeParams: o.typeParams(c.TypeParams),
		Func: c.Name(), Entity: n.Entity, Article: naming.Prose(n.Entity),
		Label: o.p.Path + "." + c.Label(), Pattern: c.Pattern.Text, Position: filepath.Base(c.File.Name),
		Variable: n.Variable, Caches: n.Caches, KeyType: n.KeyType, ParseKey: n.ParseKey,
		Context: names.context, NoContext: c.NoContext, Params: o.params(c.Params), KeyParams: o.params(c.KeyParams),
		Value: o.typ(c.Value()), ValueName: names.value, ValueNil: gotype.CanBeNil(c.Value()),
		ResultNames: names.results, Deprecated: c.Deprecated(), HasOK: c.HasOK(), OK: names.ok, NilNotFound: c.NotFound.NilValue,
		Store: c.Store, Namespace: c.Namespace, Shared: c.Shared, ManySources: c.SharedSource || c.ReceiverInKey(), Options: c.Options, ValueVar: valueVar(c), CopyFunc: copyFunc(c),
		GetOrSet: n.GetOrSet, Get: n.Get, Set: n.Set, Delete: n.Delete, Expire: n.Expire, Has: n.Has, Pull: n.Pull,
	}
	if c.Recv != nil {
		m.Wrapper, m.Field = o.wrappers[c.Recv], n.Field
	}
	if v := c.NotFound.Sentinel; v != nil {
		m.NotFound = o.object(v)
	}
	if c.Foreground && m.Options.Refresh == nil {
		m.Options.Refresh = &templates.Amount{} // overrides the refresh of the store
	}
	for _, ignored := range c.Ignored {
		m.Ignored = append(m.Ignored, ignored.Render(o.base(c.Function, ignored)).Expr)
	}
	m.Key = templates.Key{Segments: c.Segments}
	for _, f := range c.Fields {
		m.Key.Fields = append(m.Key.Fields, templates.Field{
			Name: f.Name, Source: convertField(f, f.Render(o.base(c.Function, f.Operand))).Expr, Type: o.typ(f.As),
			Form: f.Form, Basic: f.Basic, Bits: f.Bits,
		})
	}
	for _, t := range c.AllTypeParams() {
		if slices.ContainsFunc(c.Fields, func(f *facts.Field) bool { return gotype.Mentions(f.As, t) }) {
			m.KeyTypeParams = append(m.KeyTypeParams, t.Obj().Name())
		}
	}
	m.Key.IntPrefix, m.Key.HasIntPrefix = intPrefix(c)
	for _, use := range c.KeyTags {
		t := templates.TagUse{Tag: o.tagModel(use.Tag)}
		for i, f := range use.Fields {
			t.Args = append(t.Args, convertTag(use, i, templates.TagArg{Expr: "k." + f.Name}))
		}
		m.Tags = append(m.Tags, t)
	}
	for _, use := range c.ResultTags {
		t := templates.TagUse{Tag: o.tagModel(use.Tag)}
		for i, operand := range use.Operands {
			t.Args = append(t.Args, convertTag(use, i, operand.Render(names.value)))
		}
		m.ResultTags = append(m.ResultTags, t)
	}
	for _, use := range c.TagUses() {
		m.TagPatterns = append(m.TagPatterns, use.Pattern.Text)
	}
	slices.Sort(m.TagPatterns)
	return m
}

// intPrefix is the text before a key's only value, where that is a number that fits
// an int64 and ends the key.
func intPrefix(c *facts.Cache) (string, bool) {
	last := c.Pattern.Segments[len(c.Pattern.Segments)-1]
	if len(c.Fields) != 1 || last.Value == nil || last.Before != "" || last.After != "" {
		return "", false
	}
	f := c.Fields[0]
	if f.Form == templates.Int || f.Form == templates.Uint && f.Bits > 0 && f.Bits < 64 {
		return c.Pattern.Text[:last.Offset], true
	}
	return "", false
}

// convertField makes an expression of the operand's type fit the key.
func convertField(f *facts.Field, arg templates.TagArg) templates.TagArg {
	if !types.Identical(f.Type, f.As) {
		arg.Expr = f.As.String() + "(" + arg.Expr + ")"
	}
	return arg
}

// cacheOf is the model of a cache that this file refers to. That of a cache of another package has
// only its names and the types that this file writes.
func (o *output) cacheOf(c *facts.Cache) *templates.Cache {
	if c.In == o.p {
		return o.cacheModel(c)
	}
	m := &templates.Cache{
		Path: c.In.Path, Func: c.Name(), Variable: c.Names.Variable, KeyType: c.Names.KeyType, Value: o.typ(c.Value()),
		Label: c.In.Path + "." + c.Label(),
	}
	if c.Recv != nil {
		m.Wrapper = &templates.Wrapper{Type: c.Recv.Object.Name(), Name: c.Recv.Names.Type}
	}
	for _, f := range c.Fields {
		m.Key.Fields = append(m.Key.Fields, templates.Field{Name: f.Name})
	}
	return m
}

// valueVar is the variable that describes c's values; empty if there is none.
func valueVar(c *facts.Cache) string {
	if c.Cached == nil {
		return ""
	}
	return c.Cached.Model.Variable
}

// copyFunc is the function that copies c's values for callers that find them in memory;
// empty if there is none.
func copyFunc(c *facts.Cache) string {
	if c.Cached == nil || c.Shared {
		return ""
	}
	return c.Cached.Model.CopyFunc
}
