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
