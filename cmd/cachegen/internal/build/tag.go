package build

import (
	"go/types"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/templates"
)

// convertTag makes an argument fit the constructor's parameter.
func convertTag(u *facts.TagUse, i int, arg templates.TagArg) templates.TagArg {
	if want := u.Tag.Types[i]; !types.Identical(u.Operands[i].Type, want) {
		arg.Expr = want.String() + "(" + arg.Expr + ")"
	}
	return arg
}

func (o *output) tag(t *facts.Tag) *templates.Tag {
	m, params := o.tagModel(t), o.tagParams[t]
	m.Func, m.Segments = t.Constructor, t.Segments
	var text []string
	for _, s := range t.Segments {
		part := s.Before
		if s.Field >= 0 {
			part += "{" + params[s.Field] + "}" + s.After
		}
		text = append(text, part)
	}
	m.Pattern = strings.Join(text, ":")
	for i, f := range t.Forms {
		m.Params = append(m.Params, templates.TagParam{Name: params[i], Type: o.typ(t.Types[i]), Form: f.Form, Basic: basicOf(t, i)})
	}
	return m
}

// basicOf is the predeclared type behind a constructor's parameter.
func basicOf(t *facts.Tag, i int) string {
	if t.Forms[i].Form == templates.Text {
		return ""
	}
	for _, f := range facts.Basics {
		if name := t.Types[i].Underlying().String(); f.Basic == name {
			return name
		}
	}
	return t.Forms[i].Basic
}
