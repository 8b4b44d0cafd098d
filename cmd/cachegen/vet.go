package main

import (
	"path/filepath"
	"slices"

	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/cachegen/cachegen/cmd/cachegen/analyzer"
)

// isVet reports whether the go command runs this program as a vet tool: to ask for its
// version or its flags, or with a file that describes a package.
func isVet(args []string) bool {
	if slices.Equal(args, []string{"-V=full"}) || slices.Equal(args, []string{"-flags"}) {
		return true
	}
	return len(args) > 0 && filepath.IsAbs(args[len(args)-1]) && filepath.Ext(args[len(args)-1]) == ".cfg"
}

// vet checks one package for the go command. It does not return.
func vet() { unitchecker.Main(analyzer.Analyzer) }
