package drivertest_test

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const everything = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans | drivertest.DeletesPrefixes | drivertest.Prunes | drivertest.ReadyChecks | drivertest.TellsHistory

func TestTheExamplesConform(t *testing.T) {
	small := drivertest.Limits{LargestValue: 1 << 20}
	t.Run("Checked", func(t *testing.T) {
		drivertest.L2(t, func(t *testing.T) drivers.L2 { return Checked{memory.NewL2(memory.L2Options{})} }, small)
	})
	t.Run("Store", func(t *testing.T) {
		drivertest.L2(t, func(t *testing.T) drivers.L2 { return &Store{items: make(map[string]item)} }, small)
	})
}

// bugEnv is the environment variable with the bug of the reference, for a copy of this program.
const bugEnv = "CACHEGEN_DRIVERTEST_BUG"

func TestTheReferenceConforms(t *testing.T) {
	bug := os.Getenv(bugEnv)
	limits := drivertest.Limits{LargestValue: 8 << 20}
	switch bug {
	case "keys beyond the limit":
		limits.MaxKey = 1000
	case "values beyond the limit":
		limits.MaxValue = 1000
	case "an empty key":
		limits.NoEmptyKey = true
	}
	shared := newReference(bug)
	drivertest.L2(t, func(t *testing.T) drivers.L2 {
		if bug == "lacks a capability" {
			return struct{ drivers.L2 }{shared.another()}
		}
		return shared.another()
	}, everything, limits)
}

func TestHandlesNeedNotShareTheirData(t *testing.T) {
	drivertest.L2(t, func(t *testing.T) drivers.L2 { return newReference("") }, everything, drivertest.Limits{LargestValue: 1 << 20})
}

func TestSmallBatchesAreEnough(t *testing.T) {
	drivertest.L2(t, func(t *testing.T) drivers.L2 { return newReference("") }, everything, drivertest.Limits{LargestValue: 1, LargestBatch: 1})
}

// A store may have limits as low as those of memcached.
func TestLimitsAreKeptTo(t *testing.T) {
	limits := drivertest.Limits{MaxKey: 250, MaxValue: 1 << 20, NoEmptyKey: true}
	shared := newReference("")
	shared.limit = limits
	drivertest.L2(t, func(t *testing.T) drivers.L2 { return shared.another() }, everything, limits)
}

// Each bug fails the test of the promise that it breaks.
func TestBrokenStoresFail(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	slots := make(chan struct{}, 2)
	for bug, test := range map[string]string{
		"lacks a capability":              "Capabilities",
		"works after Close":               "CloseTwice",
		"errors without a name":           "ErrorsNameStoreAndOperation",
		"ignores case":                    "KeysAreBytes",
		"drops trailing spaces":           "KeysAreBytes",
		"repairs UTF-8":                   "KeysAreBytes",
		"takes negative TTLs":             "Refused/NegativeTTL",
		"keys beyond the limit":           "Refused/Key",
		"an empty key":                    "Refused/Key",
		"values beyond the limit":         "Refused/Value",
		"stores up to what it refuses":    "Refused/Batch",
		"keeps the caller's memory":       "CallerOwnsValues",
		"hands out a value twice":         "CallerOwnsValues",
		"shows others' writes late":       "WritesAreSeenByLaterReads",
		"writes in two steps":             "WritesAreWhole",
		"adds over what is there":         "Add/OnlyWhereAbsent",
		"swaps empty for absent":          "Swap/AbsentAndEmpty",
		"compares and swaps in two steps": "Swap/OneWinner",
		"swaps nothing without a lease":   "Swap/Unleased",
		"swaps under a lease":             "Lease/PreventsASwap",
		"swaps a value under a lease":     "Lease/PreventsASwap",
		"lends to everybody":              "Lease/OneWinner",
		"lends twice to its holder":       "Lease/OneHolder",
		"fills without a lease":           "Lease/OneHolder",
		"releases for anybody":            "Lease/Release",
		"prunes leases":                   "Lease/IsBesideTheValue",
		"leases do not end":               "Lease/Ends",
		"takes any token":                 "Lease/Refused",
		"leases over a value":             "Lease/IfAbsent",
		"an empty value is none":          "Lease/IfAbsent",
		"replaces nothing":                "Lease/Replace",
		"a lease tells no value":          "Lease/TellsWhatItFound",
		"tells another holder":            "Lease/TellsWhatItFound",
		"tells another time":              "Lease/TellsWhatItFound",
		"a replacement forgets who waits": "Lease/Await",
		"a renewal forgets who waits":     "Lease/Await",
		"a fill tells nobody":             "Lease/Await",
		"a release tells anybody":         "Lease/Await",
		"everybody waits":                 "Lease/Await",
		"renews nothing":                  "Lease/Renew",
		"renews what has ended":           "Lease/Renew",
		"renews in two steps":             "Lease/RenewAgainstChanges",
		"reads and replaces in two steps": "Lease/FillAgainstReplace",
		"a history of each handle":        "History/IsTheSameForAllHandles",
		"a new history each time":         "History/StaysWithoutAReason",
		"set keeps leases":                "Lease/EndedBy/SetMany",
		"a batch keeps leases":            "Lease/EndedBy/SetMany_of_several",
		"delete keeps leases":             "Lease/EndedBy/DeleteMany",
		"add keeps leases":                "Lease/EndedBy/DeleteMany_and_AddMany",
		"swap keeps leases":               "Lease/EndedBy/SwapMany",
		"fill keeps leases":               "Lease/OneHolder",
		"prefix keeps leases":             "Lease/EndedBy/DeletePrefix",
		"prefixes ignore case":            "Scan/PrefixesAreBytes",
		"prefixes are patterns":           "DeletePrefix/PrefixesAreBytes",
		"scans what has ended":            "Scan/NotWhatHasEnded",
		"swallows a callback's error":     "Scan/EndsWithAnError",

		"a lease that has ended prevents a swap": "Lease/PreventsNoSwapWhenItHasEnded",
		"looks for a lease before it swaps":      "Lease/AgainstUnleasedSwaps",

		"empties itself when asked whether it is ready": "ReadyChangesNothing",
	} {
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			pattern := "^TestTheReferenceConforms$/^" + strings.ReplaceAll(test, "/", "$/^") + "$"
			cmd := exec.Command(program, "-test.run", pattern, "-test.v")
			cmd.Env = append(os.Environ(), bugEnv+"="+bug)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestTheReferenceConforms/"+test) {
				t.Errorf("a store that %s passes %s: %v\n%s", bug, test, err, out)
			}
		})
	}
	running.Wait()
}
