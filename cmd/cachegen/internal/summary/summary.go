// Package summary says what is known of cached functions, for the command list: for people, and for
// programs that read its JSON form.
//
// The names of the JSON form are stable. A function of which something was reported is left out,
// rather than described half. The package reads the facts that check has found, and nothing else.
package summary

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
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
	Shared    bool     `json:"shared,omitempty"`
	Instances string   `json:"instances,omitempty"` // shared if all values that have the method read the same data
	Tags      []string `json:"tags,omitempty"`      // patterns, those of the type included
	Ignored   []string `json:"ignored,omitempty"`   // parameters and fields that are not in the key on purpose
	Batch     *Place   `json:"batch,omitempty"`     // the loader of many keys
	// Transactions are the methods that bind the function's type to a database transaction.
	Transactions []Place `json:"transactions,omitempty"`

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

	InvalidationErrors string `json:"invalidationerrors,omitempty"`
}

// An Invalidation is something that a function does to entries of another.
type Invalidation struct {
	Place
	Verb   string `json:"verb"`   // of the directive
	Target string `json:"target"` // as written in it: FindUser(id) or tag=team:{id}; of a clear the namespace
	// Collect says that it is held until the commit of a transaction, or fails.
	Collect bool `json:"collect,omitempty"`
}

// Functions returns the cached functions of which list says nothing, in the order of packages and
// of sources.
func Functions(all []*facts.Package, list *diag.List) []Function {
	var functions []Function
	for _, p := range all {
		if p.Context {
			continue
		}
		caches := slices.Clone(p.Caches)
		slices.SortStableFunc(caches, func(a, b *facts.Cache) int {
			return cmp.Or(strings.Compare(a.File.Name, b.File.Name), cmp.Compare(a.Pos(), b.Pos()))
		})
		for _, c := range caches {
			if !c.Broken && !reported(c.Function, list) {
				functions = append(functions, summarize(c, all))
			}
		}
	}
	return functions
}

// reported reports whether a diagnostic is about f: its doc comment or its signature.
func reported(f *facts.Function, list *diag.List) bool {
	start, end := f.Decl.Pos(), f.Decl.Type.End()
	if f.Decl.Doc != nil {
		start = f.Decl.Doc.Pos()
	}
	return slices.ContainsFunc(list.All(), func(d *diag.Diagnostic) bool { return start <= d.At && d.At < end })
}

func summarize(c *facts.Cache, all []*facts.Package) Function {
	s := Function{
		Place: place(c.In, c.Function), Entity: c.Names.Entity, Key: c.Pattern.Text, Value: c.In.TypeName(c.Value()),
		Fingerprint: fingerprint(c), Store: c.Store, Namespace: c.Namespace, Shared: c.Shared,
	}
	for name, value := range map[string]*string{
		"ttl": &s.TTL, "l1ttl": &s.L1TTL, "jitter": &s.Jitter, "refresh": &s.Refresh,
		"grace": &s.Grace, "gracebackoff": &s.GraceBackoff,
		"timeout": &s.Timeout, "hardtimeout": &s.HardTimeout, "locktimeout": &s.LockTimeout,
		"notfound": &s.NotFound, "notfoundttl": &s.NotFoundTTL, "errorttl": &s.ErrorTTL,
		"invalidationerrors": &s.InvalidationErrors,
	} {
		*value = facts.OptionText(c.Levels(), name)
	}
	s.Instances = facts.OptionText(c.Levels(), "instances")
	for _, use := range c.TagUses() {
		s.Tags = append(s.Tags, use.Pattern.Text)
	}
	for _, arg := range c.Directive.Options("ignore") {
		s.Ignored = append(s.Ignored, arg.Value)
	}
	if c.Batch != nil {
		at := place(c.In, c.Batch.Function)
		s.Batch = &at
	}
	if c.Recv != nil {
		for _, m := range c.Recv.TxMethods {
			s.Transactions = append(s.Transactions, place(c.In, m.Function))
		}
	}
	for _, p := range all {
		for _, w := range p.Writers {
			s.InvalidatedBy = append(s.InvalidatedBy, invalidations(w, c)...)
		}
	}
	return s
}

// fingerprint is that of the value's type; empty if that is known at run time only.
func fingerprint(c *facts.Cache) string {
	if c.Cached == nil {
		return ""
	}
	return fmt.Sprintf("%016x", c.Cached.Model.Fingerprint)
}

func place(p *facts.Package, f *facts.Function) Place {
	pos := p.Position(f.Pos())
	at := Place{Package: p.Path, Name: f.Name(), File: pos.Filename, Line: pos.Line}
	if f.Recv != nil {
		at.Receiver = f.Recv.Object.Name()
	}
	return at
}

// invalidations are what w does to entries of c.
func invalidations(w *facts.Writer, c *facts.Cache) []Invalidation {
	var list []Invalidation
	for _, t := range w.Targets {
		text := t.Text
		switch {
		case t.Tag != nil && t.Reaches(c):
			text = "tag=" + text
		case t.Verb == templates.Clear:
			if t.Namespace != c.Namespace || t.Handle.Store != c.Store {
				continue
			}
		case t.Tag != nil || t.Cache != c:
			continue
		}
		list = append(list, Invalidation{Place: place(w.In, w.Function), Verb: facts.VerbName(t.Verb), Target: text, Collect: w.Collect})
	}
	return list
}
