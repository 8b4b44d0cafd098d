package templates

import (
	"maps"
	"strconv"
	"unicode"
)

// A scope is the set of names that a generated function uses already. The names of
// parameters come from the user's source; the function's own variables go around them.
type scope map[string]bool

// scope begins a function with the names of the file's imports.
func (e *emitter) scope() scope {
	if e.imported == nil {
		e.imported = scope{}
		for _, i := range e.file.Imports {
			e.imported[i.Name] = true
		}
		for _, path := range Packages {
			e.imported[packageName(e.file, path)] = true
		}
	}
	return maps.Clone(e.imported)
}

// packageName is the name under which the file imports path.
func packageName(f *File, path string) string {
	for _, i := range f.Imports {
		if i.Path == path {
			return i.Name
		}
	}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

// use marks names as taken.
func (s scope) use(names ...string) scope {
	for _, name := range names {
		s[name] = true
	}
	return s
}

// mention marks the identifiers of types and expressions as taken: a variable of
// that name would hide what they mean.
func (s scope) mention(types ...Type) scope {
	for _, t := range types {
		for _, part := range t {
			s.expr(part.Text)
		}
	}
	return s
}

func (s scope) expr(exprs ...string) scope {
	for _, x := range exprs {
		start := -1 // of the identifier that the rune before belongs to
		for i, r := range x {
			switch {
			case r == '_' || unicode.IsLetter(r):
				if start < 0 {
					start = i
				}
			case start >= 0 && !unicode.IsNumber(r):
				s[x[start:i]] = true
				start = -1
			}
		}
		if start >= 0 {
			s[x[start:]] = true
		}
	}
	return s
}

// params marks the names and types of parameters as taken.
func (s scope) params(params []Param) scope {
	for _, p := range params {
		s.use(p.Name).mention(p.Type)
	}
	return s
}

// local takes the first name that is free; if none is, the last one with a number.
func (s scope) local(names ...string) string {
	for _, name := range names {
		if !s[name] {
			s[name] = true
			return name
		}
	}
	last := names[len(names)-1]
	for i := 2; ; i++ {
		if name := last + strconv.Itoa(i); !s[name] {
			s[name] = true
			return name
		}
	}
}
