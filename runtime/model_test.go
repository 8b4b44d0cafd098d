package runtime_test

import (
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// modelOps is how many random operations the model runs, at least, in a few rounds
// at a time. CACHEGEN_MODEL_OPS changes it.
func modelOps(t *testing.T) int64 {
	const usual, rounds = 1_500, "20"
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		if err := checks.Value.Set(rounds); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = checks.Value.Set(checks.DefValue) })
	}
	given := os.Getenv("CACHEGEN_MODEL_OPS")
	if given == "" {
		return usual
	}
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil || n <= 0 {
		t.Fatalf("CACHEGEN_MODEL_OPS is %q, want a number of operations", given)
	}
	return n
}

// What a user may rely on, under random operations in random interleavings, on tiers
// that fail: nothing stale after an invalidation, no value beyond its deadlines, one
// load of a key at a time.
func TestModelOfManyCallers(t *testing.T) {
	wanted := modelOps(t)
	var ops, reads, rounds int64
	began := time.Now()
	for ops < wanted {
		rapid.Check(t, func(rt *rapid.T) {
			s := drawScene(rt)
			rapid.SyncTest(rt, func(rt *rapid.T) {
				r, broken := playScene(rt, s)
				ops, reads, rounds = ops+r.ops.Load(), reads+int64(len(r.reads)), rounds+1
				if len(broken) > 0 {
					rt.Fatalf("%+v\n%s", s, strings.Join(broken[max(len(broken)-6, 0):], "\n"))
				}
			})
		})
	}
	t.Logf("%d operations in %d rounds, %d answers checked, %v", ops, rounds, reads, time.Since(began).Round(time.Millisecond))
}
