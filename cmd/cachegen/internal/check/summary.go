package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
	"github.com/cachegen/cachegen/templates"
)

// A Function says what is known of a cached function, for people and for programs that
// read the JSON form, whose names are stable.
type Function struct {
	Place
	Entity      string `json:"entity"`                // what generated names are made of
	Key         string `json:"key"`                   // the pattern
	Value       string `json:"value"`                 // the type, as the package's sources write it
	Fingerprint string `json:"fingerprint,omitempty"` // of the value's type, as stored with entries, in hexadecimal
	Store       string `json:"store,omitempty"`       // empty for the first one
	Namespace   string `json:"namespace,omitempty"`
	Options
	Shared  bool     `json:"shared,omitempty"`
	Tags    []string `json:"tags,omitempty"`    // patterns, those of the type included
	Ignored []string `json:"ignored,omitempty"` // parameters and fields that are not in the key on purpose
	Batch   *Place   `json:"batch,omitempty"`   // the loader of many keys

	// InvalidatedBy are the functions of all packages of the run that change or delete
	// entries, in the order of packages and of sources.
	InvalidatedBy []Invalidation `json:"invalidatedBy,omitempty"`
}

// A Place is a function, and where it is.
type Place struct {
	Package  string `json:"package"`            // the import path
	Receiver string `json:"receiver,omitempty"` // the type's name; empty for a plain function
	Name     string `json:"name"`
	File     string `json:"file"` // absolute
	Line     int    `json:"line"` // of the name
}

// Label is the function as messages call it, without its package: UserRepo.FindUser.
func (p Place) Label() string {
	if p.Receiver == "" {
		return p.Name
	}
	return p.Receiver + "." + p.Name
}

// Options are those of a cached function, its own or its type's, as the directive has
// them: 1w2d, forever or 80%. What is empty is left to the store.
type Options struct {
	TTL          string `json:"ttl,omitempty"`
	L1TTL        string `json:"l1ttl,omitempty"`
	Jitter       string `json:"jitter,omitempty"`
	Refresh      string `json:"refresh,omitempty"`
	Grace        string `json:"grace,omitempty"`
	GraceBackoff string `json:"gracebackoff,omitempty"`
	Timeout      string `json:"timeout,omitempty"`
	HardTimeout  string `json:"hardtimeout,omitempty"`
	LockTimeout  string `json:"locktimeout,omitempty"`
	NotFound     string `json:"notfound,omitempty"`
	NotFoundTTL  string `json:"notfoundttl,omitempty"`
	ErrorTTL     string `json:"errorttl,omitempty"`
}

// An Invalidation is something that a function does to entries of another.
type Invalidation struct {
	Place
	Verb   string `json:"verb"`   // of the directive
	Target string `json:"target"` // as written in it: FindUser(id) or tag=team:{id}; of a clear the namespace
}

// Functions checks loaded packages as [Packages] does, and returns the cached functions
// that nothing was reported of, in the order of packages and of sources.
func Functions(loaded []*load.Package, list *diag.List) []Function {
	_, all := packages(loaded, list, false)
	var functions []Function
	for _, p := range all {
		if p.Context {
			continue
		}
		caches := slices.Clone(p.caches)
		slices.SortStableFunc(caches, func(a, b *cache) int {
			return cmp.Or(strings.Compare(a.file.Name, b.file.Name), cmp.Compare(a.pos(), b.pos()))
		})
		for _, c := range caches {
			if !c.broken && !c.reported(list) {
				functions = append(functions, c.summary(all))
			}
		}
	}
	return functions
}

// reported reports whether a diagnostic is about f: its doc comment or its signature.
func (f *function) reported(list *diag.List) bool {
	start, end := f.decl.Pos(), f.decl.Type.End()
	if f.decl.Doc != nil {
		start = f.decl.Doc.Pos()
	}
	return slices.ContainsFunc(list.All(), func(d *diag.Diagnostic) bool { return start <= d.At && d.At < end })
}

func (c *cache) summary(all []*pack) Function {
	s := Function{
		Place: c.p.place(c.function), Entity: c.names.entity, Key: c.pattern.Text, Value: c.p.name(c.value()),
		Fingerprint: fingerprint(c), Store: c.store, Namespace: c.namespace, Shared: c.shared,
	}
	for name, value := range map[string]*string{
		"ttl": &s.TTL, "l1ttl": &s.L1TTL, "jitter": &s.Jitter, "refresh": &s.Refresh,
		"grace": &s.Grace, "gracebackoff": &s.GraceBackoff,
		"timeout": &s.Timeout, "hardtimeout": &s.HardTimeout, "locktimeout": &s.LockTimeout,
		"notfound": &s.NotFound, "notfoundttl": &s.NotFoundTTL, "errorttl": &s.ErrorTTL,
	} {
		*value = text(c.levels(), name)
	}
	for _, use := range c.tagUses() {
		s.Tags = append(s.Tags, use.pattern.Text)
	}
	for _, arg := range c.d.Options("ignore") {
		s.Ignored = append(s.Ignored, arg.Value)
	}
	if c.batch != nil {
		at := c.p.place(c.batch.function)
		s.Batch = &at
	}
	for _, p := range all {
		for _, w := range p.writers {
			s.InvalidatedBy = append(s.InvalidatedBy, w.invalidations(c)...)
		}
	}
	return s
}

// fingerprint is that of the value's type; empty if that is known at run time only.
func fingerprint(c *cache) string {
	if c.cached == nil {
		return ""
	}
	return fmt.Sprintf("%016x", c.cached.model.Fingerprint)
}

func (p *pack) place(f *function) Place {
	pos := p.position(f.pos())
	at := Place{Package: p.Path, Name: f.name(), File: pos.Filename, Line: pos.Line}
	if f.recv != nil {
		at.Receiver = f.recv.obj.Name()
	}
	return at
}

// tagUses are the tags of c in the order in which they are written, those of its type last.
func (c *cache) tagUses() []*tagUse {
	uses := append(slices.Clone(c.keyTags), c.resultTags...)
	slices.SortStableFunc(uses, func(a, b *tagUse) int {
		if a.inherited != b.inherited {
			if b.inherited {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.pos, b.pos)
	})
	return uses
}

// invalidations are what w does to entries of c.
func (w *writer) invalidations(c *cache) []Invalidation {
	var list []Invalidation
	for _, t := range w.targets {
		text := t.text
		switch {
		case t.tag != nil && t.reaches(c):
			text = "tag=" + text
		case t.verb == templates.Clear:
			if t.namespace != c.namespace || t.handle.store != c.store {
				continue
			}
		case t.tag != nil || t.cache != c:
			continue
		}
		list = append(list, Invalidation{Place: w.p.place(w.function), Verb: verbOf(t.verb), Target: text})
	}
	return list
}

// reaches reports whether a tag that is a target can be one of c's. In another package it
// is another constructor that makes the same text.
func (t *target) reaches(c *cache) bool {
	return t.handle.store == c.store && slices.ContainsFunc(c.tagUses(), func(use *tagUse) bool {
		return use.tag == t.tag.tag || slices.Equal(use.segments, t.tag.segments) && slices.EqualFunc(use.forms, t.tag.forms, sameText)
	})
}

func sameText(a, b form) bool { return a.Form == b.Form }

func verbOf(verb templates.Verb) string {
	for name, v := range targetVerbs {
		if v == verb {
			return name
		}
	}
	return ""
}
