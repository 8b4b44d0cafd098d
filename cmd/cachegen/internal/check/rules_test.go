package check

import (
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/tools/txtar"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load/loadtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rule reports only under the codes that the table gives it, and under each of them: the table
// is the reference. The sources are those of the command's scripts.
func TestRulesReportTheirCodes(t *testing.T) {
	scripts, err := filepath.Glob("../../testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	type pair struct {
		doc  string
		code diag.Code
	}
	met := map[pair]bool{}
	for _, script := range scripts {
		archive, err := txtar.ParseFile(script)
		if err != nil {
			t.Fatal(err)
		}
		var list diag.List
		loaded := loadtest.Packages(t, archive, &list)
		r := &run{audit: func(r *rule, reported []*diag.Diagnostic) {
			for _, d := range reported {
				met[pair{r.doc, d.Code}] = true
				if !slices.Contains(r.codes, d.Code) {
					t.Errorf("%s: the rule %q reports %s: %s", filepath.Base(script), r.doc, d.Code, d.Message)
				}
			}
		}}
		r.check(loaded, &list)
	}
	for _, r := range rules {
		for _, code := range r.codes {
			if !met[pair{r.doc, code}] {
				t.Errorf("no script makes the rule %q report %s", r.doc, code)
			}
		}
	}
}

// Each rule says what it asks for, in a sentence, and no two say the same.
func TestRulesAreDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules {
		if r.doc == "" || r.doc[len(r.doc)-1] != '.' || seen[r.doc] {
			t.Errorf("the rule for %v is documented as %q", r.codes, r.doc)
		}
		seen[r.doc] = true
	}
}

// What follows from a rule's findings is looked at after it: stages do not go back.
func TestRulesAreInTheOrderOfTheirStages(t *testing.T) {
	if !slices.IsSortedFunc(rules, func(a, b rule) int { return int(a.stage - b.stage) }) {
		t.Error("a rule of an earlier stage stands after one of a later stage")
	}
}
