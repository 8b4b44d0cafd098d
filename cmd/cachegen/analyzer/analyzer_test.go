package analyzer

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"
)

// What is misspelt is mended as the hints say, and nothing else is touched.
func TestFixes(t *testing.T) {
	analysistest.RunWithSuggestedFixes(t, analysistest.TestData(), Analyzer, "fix")
}
