package check

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
)

// defaultsRule looks at what the wrap directive of a type says for its cached functions.
type defaultsRule struct{ *pass }

func (p defaultsRule) check() {
	for _, w := range p.Wrappers {
		if w.Directive == nil || w.Refused {
			continue
		}
		for _, arg := range w.Directive.Args {
			name := arg.Key
			if arg.Flag {
				name = arg.Text
			}
			switch {
			case name == "" || name == "allow" || name == "namespace" && clearsOwn(w):
			case len(w.Caches) == 0:
				p.reachesNothing(w, arg)
			case !slices.ContainsFunc(w.Caches, func(c *facts.Cache) bool { return reaches(name, arg, c) }):
				p.warnf(arg.Pos, []*directive.Directive{w.Directive}, diag.Effect, "%s has no effect: it holds for no cached function of %s", arg.Text, w.Object.Name()).
					Hintf("remove it, or write allow=%s to keep it", diag.Effect)
			}
		}
	}
}

// reachesNothing reports a default of a type that has no cached function of its own. What its type
// embeds has the options of where it is declared: the entries are the same.
func (p defaultsRule) reachesNothing(w *facts.Wrapper, arg directive.Arg) {
	for _, c := range p.Caches {
		if p.Promotes(w, c.Function) {
			from := c.Recv.Object.Name()
			p.addf(arg.Pos, diag.Option, "%s holds for no function: the cached ones of %s are promoted from %s, and have the options of %s",
				arg.Text, w.Object.Name(), from, from).
				Relatedf(p.Position(c.Recv.Object.Pos()), "%s", from).
				Hintf("write it in a //cache:wrap of %s, or remove it", from)
			return
		}
	}
	p.addf(arg.Pos, diag.Option, "%s holds for no function: %s has no cached one", arg.Text, w.Object.Name()).
		Hintf("remove it, or annotate a method with //cache:getorset")
}

// reaches reports whether an option of c's type is one that c has no other for, and can use.
func reaches(name string, arg directive.Arg, c *facts.Cache) bool {
	switch name {
	case "tag", "shared":
		return true
	case "instances":
		return !c.ReceiverInKey()
	case "notfound":
		if c.HasOK() || arg.Value == "nil" && !gotype.CanBeNil(c.Value()) {
			return false
		}
	}
	_, given := c.Directive.Option(name)
	return !given
}

// clearsOwn reports whether a method of w's type clears the namespace of the type.
func clearsOwn(w *facts.Wrapper) bool {
	return slices.ContainsFunc(w.Writers, func(x *facts.Writer) bool {
		return slices.ContainsFunc(x.Directives, func(d *directive.Directive) bool {
			return d.Verb == directive.Clear && len(d.Positional()) == 0
		})
	})
}
