package analyzer_test

import (
	"fmt"
	"path/filepath"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"

	"github.com/cachegen/cachegen/cmd/cachegen/analyzer"
)

// A linter runs the analyzer over packages that it has loaded, and prints what it reports. The
// package here has a placeholder that names no parameter.
func ExampleAnalyzer() {
	loaded, err := packages.Load(&packages.Config{Mode: packages.LoadSyntax | packages.NeedModule}, "./testdata/src/example")
	if err != nil {
		panic(err)
	}
	graph, err := checker.Analyze([]*analysis.Analyzer{analyzer.Analyzer}, loaded, nil)
	if err != nil {
		panic(err)
	}
	for _, act := range graph.Roots {
		for _, d := range act.Diagnostics {
			at := act.Package.Fset.Position(d.Pos)
			fmt.Printf("%s:%d:%d: %s\n", filepath.Base(at.Filename), at.Line, at.Column, d.Message)
			for _, fix := range d.SuggestedFixes {
				fmt.Println("fix:", fix.Message)
			}
		}
	}
	// Output:
	// users.go:8:24: no parameter "idd" in FindUser [placeholder]
	// 	did you mean "id"?
	// fix: Write id
}
