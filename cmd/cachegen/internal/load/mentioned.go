package load

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"

	"golang.org/x/tools/go/packages"
)

// namesOther matches what may be a target in another package, users.FindUser(id), on a
// directive's line.
var namesOther = regexp.MustCompile(`^//cache:[a-z]+ .*?\b\p{L}[\pL\pN_]*\.`)

var qualifier = regexp.MustCompile(`\b(\p{L}[\pL\pN_]*)\.`)

// mentionedPackages are the candidates that directives of others may name functions of and that no
// pattern matches. Their directives have to be known, but nothing is generated for them.
func (r *Result) mentionedPackages() []*candidate {
	var found []*packages.Package
	for _, c := range r.candidates {
		listed := r.listed[c.path]
		if listed == nil {
			continue
		}
		for _, path := range mentionedImports(c.mention, listed.GoFiles) {
			// If it is not there, the type checker says what is wrong with the import.
			p := listed.Imports[path]
			if p == nil || slices.Contains(found, p) {
				continue
			}
			if !slices.ContainsFunc(r.candidates, func(c *candidate) bool { return c.path == p.PkgPath }) {
				found = append(found, p)
			}
		}
	}
	others, _ := candidates(found) // nor does it matter if one cannot be read
	for _, c := range others {
		c.context = true
	}
	for _, p := range found {
		r.listed[p.PkgPath] = p
	}
	return others
}

// mentionedImports are the imports of a package that its directives may mean. mention are the files that
// may have some, and files are all: a directive may mean what another file imports.
func mentionedImports(mention, files []string) []string {
	words := map[string]bool{}
	for _, name := range mention {
		src, _ := os.ReadFile(name) // what cannot be read is reported elsewhere
		for line := range bytes.Lines(src) {
			if !bytes.HasPrefix(line, []byte("//cache:")) || !namesOther.Match(line) {
				continue
			}
			for _, m := range qualifier.FindAllSubmatch(line, -1) {
				words[string(m[1])] = true
			}
		}
	}
	if len(words) == 0 {
		return nil
	}
	var sure, possible []string
	for _, name := range files {
		if !hasOutputName(name) {
			s, p := importsNamed(name, words)
			sure, possible = append(sure, s...), append(possible, p...)
		}
	}
	if len(sure) > 0 {
		return sure
	}
	return slices.DeleteFunc(possible, standard)
}

// importsNamed are the imports of a file that have one of the words as their name, as far as that can be
// told, and those that may have.
func importsNamed(name string, words map[string]bool) (sure, possible []string) {
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if f == nil || err != nil {
		return nil, nil
	}
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
	return sure, possible
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
