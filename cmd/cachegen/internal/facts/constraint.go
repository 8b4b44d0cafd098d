package facts

import (
	"go/ast"
	"go/build/constraint"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

// BuildConstraint is the condition under which a source file is compiled: its
// //go:build line, what its name implies (_linux, _amd64), which the generated file's
// name does not, and cgo if it imports C. It is empty if there is none.
func BuildConstraint(file *load.File) string {
	var expr constraint.Expr
	and := func(x constraint.Expr) {
		if expr == nil {
			expr = x
		} else {
			expr = &constraint.AndExpr{X: expr, Y: x}
		}
	}
	for _, group := range file.AST.Comments {
		for _, c := range group.List {
			if c.Slash < file.AST.Package && constraint.IsGoBuild(c.Text) {
				if x, err := constraint.Parse(c.Text); err == nil {
					and(x)
				}
			}
		}
	}
	for _, tag := range nameTags(file.Name) {
		and(&constraint.TagExpr{Tag: tag})
	}
	if file.Cgo || slices.ContainsFunc(file.AST.Imports, func(s *ast.ImportSpec) bool { return s.Path.Value == `"C"` }) {
		and(&constraint.TagExpr{Tag: "cgo"})
	}
	if expr == nil {
		return ""
	}
	return expr.String()
}

// nameTags are the build tags that a file name implies: *_GOOS, *_GOARCH or
// *_GOOS_GOARCH.
func nameTags(name string) []string {
	name = strings.TrimSuffix(filepath.Base(name), ".go")
	parts := strings.Split(name, "_")[1:] // a name that is only a tag implies nothing
	n := len(parts)
	switch {
	case n >= 2 && slices.Contains(systems, parts[n-2]) && slices.Contains(architectures, parts[n-1]):
		return parts[n-2:]
	case n >= 1 && (slices.Contains(systems, parts[n-1]) || slices.Contains(architectures, parts[n-1])):
		return parts[n-1:]
	}
	return nil
}

// What the go command knows as GOOS and GOARCH in file names, past and future ones
// included; the lists never shrink.
var (
	systems = strings.Fields("aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd " +
		"openbsd plan9 solaris wasip1 windows zos")
	architectures = strings.Fields("386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le " +
		"mips64p32 mips64p32le ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm")
)

// Conjuncts are the conditions that all have to hold for a source file to be compiled.
func Conjuncts(file *load.File) []string {
	text := BuildConstraint(file)
	if text == "" {
		return nil
	}
	expr, err := constraint.Parse("//go:build " + text)
	if err != nil {
		return []string{text}
	}
	var list []string
	var split func(constraint.Expr)
	split = func(x constraint.Expr) {
		if and, ok := x.(*constraint.AndExpr); ok {
			split(and.X)
			split(and.Y)
			return
		}
		list = append(list, x.String())
	}
	split(expr)
	return list
}

// Sees reports whether one file is compiled wherever another is.
func Sees(from, to *load.File) bool {
	if from == to {
		return true
	}
	have := Conjuncts(from)
	return !slices.ContainsFunc(Conjuncts(to), func(c string) bool { return !slices.Contains(have, c) })
}
