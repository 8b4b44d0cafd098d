package simulation

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	_ "github.com/cachegen/cachegen/runtime/internal/simulation/seeds" // flags
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// modelOperations is how many random operations a model runs, at least: those of as many
// times rapid's number of checks as that takes. CACHEGEN_MODEL_OPS changes it.
//
// Unless the command line says otherwise, rapid is given fewer checks than it does by
// itself.
func modelOperations(t *testing.T) int64 {
	const usual, checks = 1_500, "20"
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if !set {
		f := flag.Lookup("rapid.checks")
		before := f.Value.String()
		if err := f.Value.Set(checks); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Value.Set(before) })
	}
	given := os.Getenv("CACHEGEN_MODEL_OPS")
	if given == "" {
		return usual
	}
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil || n <= 0 {
		t.Fatalf("CACHEGEN_MODEL_OPS is %q, want a positive number of operations", given)
	}
	return n
}
