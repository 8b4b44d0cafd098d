package load

import (
	"context"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
)

// elsewhere matches what may be a target in another package, users.FindUser(id), on a
// directive's line.
var elsewhere = regexp.MustCompile(`(?m)^//cache:[a-z]+ .*?\b\p{L}[\pL\pN_]*\.`)

var qualifier = regexp.MustCompile(`\b(\p{L}[\pL\pN_]*)\.`)

// related are the candidates that directives of others may name functions of and that no
// pattern matches. Their directives have to be known, but nothing is generated for them.
func related(ctx context.Context, cfg Config, candidates []*candidate) ([]*candidate, error) {
	var paths []string
	for _, c := range candidates {
		for _, name := range c.mention {
			for _, p := range mentioned(name) {
				known := slices.ContainsFunc(candidates, func(c *candidate) bool { return c.path == p })
				if !known && !slices.Contains(paths, p) {
					paths = append(paths, p)
				}
			}
		}
	}
	if len(paths) == 0 {
		return nil, nil
	}
	cfg.Patterns = paths
	found, err := scan(ctx, cfg)
	if err != nil {
		return nil, nil // the type checker says what is wrong with an import
	}
	for _, c := range found {
		c.context = true
	}
	return found, nil
}

// mentioned are the imports of a file that its directives may mean.
func mentioned(name string) []string {
	src, err := os.ReadFile(name)
	if err != nil || !elsewhere.Match(src) {
		return nil
	}
	words := map[string]bool{}
	for _, line := range elsewhere.FindAllIndex(src, -1) {
		end := line[1]
		for end < len(src) && src[end] != '\n' {
			end++
		}
		for _, m := range qualifier.FindAllSubmatch(src[line[0]:end], -1) {
			words[string(m[1])] = true
		}
	}
	f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
	if f == nil || err != nil {
		return nil
	}
	var sure, possible []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil || p == "C" {
			continue
		}
		switch {
		case spec.Name != nil && spec.Name.Name != "_" && spec.Name.Name != ".":
			if words[spec.Name.Name] {
				sure = append(sure, p)
			}
		case words[path.Base(p)]:
			sure = append(sure, p)
		default:
			possible = append(possible, p) // its package may have another name than its directory
		}
	}
	if len(sure) > 0 {
		return sure
	}
	return slices.DeleteFunc(possible, standard)
}

// standard guesses whether an import path is one of the standard library.
func standard(p string) bool {
	for i := range len(p) {
		if p[i] == '/' {
			break
		}
		if p[i] == '.' {
			return false
		}
	}
	return true
}
