package facts

import (
	"go/parser"
	"go/token"
	"testing"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

func TestBuildConstraint(t *testing.T) {
	for _, test := range []struct{ name, source, want string }{
		{"repo.go", "package p", ""},
		{"linux.go", "package p", ""},
		{"repo_linux.go", "package p", "linux"},
		{"repo_unix.go", "package p", ""},
		{"repo_arm64.go", "package p", "arm64"},
		{"user_repo_windows_amd64.go", "package p", "windows && amd64"},
		{"repo_amd64_linux.go", "package p", "linux"},
		{"repo.go", "//go:build a || b\n\npackage p", "a || b"},
		{"repo_linux.go", "// Licence.\n\n//go:build a || b\n\n// Package p\npackage p", "(a || b) && linux"},
		{"repo.go", "package p\n\n//go:build ignored", ""},
		{"repo.go", "package p\n\nimport \"C\"", "cgo"},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), test.name, test.source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := BuildConstraint(&load.File{Name: "/dir/" + test.name, AST: file}); got != test.want {
			t.Errorf("%s, %q: got %q, want %q", test.name, test.source, got, test.want)
		}
	}
}

// A file sees another if whatever includes the first includes the second.
func TestSees(t *testing.T) {
	file := func(name, source string) *load.File {
		f, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		return &load.File{Name: "/dir/" + name, AST: f}
	}
	always := file("repo.go", "package p")
	linux := file("repo_linux.go", "package p")
	both := file("repo_linux.go", "//go:build a\n\npackage p")
	either := file("repo.go", "//go:build a || linux\n\npackage p")
	for _, test := range []struct {
		name     string
		from, to *load.File
		want     bool
	}{
		{"a file without constraints", linux, always, true},
		{"a file with one from one without", always, linux, false},
		{"a file with one of two", both, linux, true},
		{"a file with two from one with one", linux, both, false},
		{"a disjunction", linux, either, false}, // which would have to be proved
		{"itself", either, either, true},
	} {
		if got := Sees(test.from, test.to); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}
