package drivers_test

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/compress"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/seal"
)

// queries returns the names of the functions of package drivers that ask a driver of a
// role, or of any, for a capability: func …Of(role) (capability, bool).
func queries(t *testing.T, roles ...string) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, entry.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(fset, files, "drivers")
	if err != nil {
		t.Fatal(err)
	}
	functions := pkg.Funcs
	for _, declared := range pkg.Types { // go doc lists a function with the type that it returns
		functions = append(functions, declared.Funcs...)
	}
	var names []string
	for _, f := range functions {
		role, ok := f.Decl.Type.Params.List[0].Type.(*ast.Ident)
		if strings.HasSuffix(f.Name, "Of") && ok && slices.Contains(roles, role.Name) {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return names
}

// has adapts a query of any capability to a question.
func has[D, C any](query func(D) (C, bool)) func(D) bool {
	return func(driver D) bool {
		_, ok := query(driver)
		return ok
	}
}

type ready struct{}

func (ready) Ready(context.Context) error { return nil }

// everything is an L2 with all capabilities. What it lacks fails
// TestTheTestsKnowEveryCapability.
type everything struct {
	*memory.L2
	ready
}

func newEverything() everything {
	return everything{L2: memory.NewL2(memory.L2Options{MaxSize: "64mb"})}
}

// l2Capabilities has each capability of an L2: how to ask for it, and a tier with this
// capability and no other.
var l2Capabilities = map[string]struct {
	has  func(drivers.L2) bool
	only func(all everything) drivers.L2
}{
	"AdderOf": {has(drivers.AdderOf), func(all everything) drivers.L2 {
		return struct {
			drivers.L2
			drivers.Adder
		}{all, all}
	}},
	"SwapperOf": {has(drivers.SwapperOf), func(all everything) drivers.L2 {
		return struct {
			drivers.L2
			drivers.Swapper
		}{all, all}
	}},
	"LeaserOf": {has(drivers.LeaserOf), func(all everything) drivers.L2 {
		return struct {
			drivers.L2
			drivers.Leaser
		}{all, all}
	}},
	"HistorianOf": {has(drivers.HistorianOf), func(all everything) drivers.L2 {
		return struct {
			drivers.L2
			drivers.Historian
		}{all, all}
	}},
	"ScannerOf": {has(drivers.ScannerOf), func(all everything) drivers.L2 {
		return struct {
			drivers.L2
			drivers.Scanner
		}{all, all}
	}},
	"PrefixDeleterOf": {has(drivers.PrefixDeleterOf), func(all everything) drivers.L2 {
		return struct {
			drivers.L2
			drivers.PrefixDeleter
		}{all, all}
	}},
	"PrunerOf": {has(drivers.PrunerOf), func(all everything) drivers.L2 {
		return struct {
			drivers.L2
			drivers.Pruner
		}{all, all}
	}},
	"CheckerOf": {has(func(l2 drivers.L2) (drivers.Checker, bool) { return drivers.CheckerOf(l2) }), func(all everything) drivers.L2 {
		return struct {
			drivers.L2
			drivers.Checker
		}{all, all}
	}},
	"ReadyCheckerOf": {has(func(l2 drivers.L2) (drivers.ReadyChecker, bool) { return drivers.ReadyCheckerOf(l2) }), func(all everything) drivers.L2 {
		return struct {
			drivers.L2
			drivers.ReadyChecker
		}{all, all}
	}},
}

// A capability that is added to package drivers is added above, and so to every wrapper.
func TestTheTestsKnowEveryCapability(t *testing.T) {
	if got, want := slices.Sorted(maps.Keys(l2Capabilities)), queries(t, "L2", "any"); !slices.Equal(got, want) {
		t.Errorf("tested are %v, package drivers has %v", got, want)
	}
	for name, capability := range l2Capabilities {
		if !capability.has(newEverything()) {
			t.Errorf("%s finds nothing in the tier that should have everything", name)
		}
		if drivertest.Of(capability.only(newEverything())) == 0 && name != "CheckerOf" {
			t.Errorf("the conformance suite does not know the capability of %s", name)
		}
	}
	if got, want := queries(t, "L1"), []string{"RangerOf"}; !slices.Equal(got, want) {
		t.Errorf("capabilities of an L1: tested are %v, package drivers has %v", want, got)
	}
	if got, want := queries(t, "Listener"), []string{"KeyListenerOf", "LossListenerOf"}; !slices.Equal(got, want) {
		t.Errorf("capabilities of a Listener: tested are %v, package drivers has %v", want, got)
	}
	if got, want := queries(t, "Outbox"), []string{"OutboxNotifierOf"}; !slices.Equal(got, want) {
		t.Errorf("capabilities of an Outbox: tested are %v, package drivers has %v", want, got)
	}
	if got, want := queries(t, "Bus"), []string{"MessageLimiterOf"}; !slices.Equal(got, want) {
		t.Errorf("capabilities of a Bus: tested are %v, package drivers has %v", want, got)
	}
}

func compressed(l2 drivers.L2) drivers.L2 { return compress.New(l2, compress.Options{Threshold: 1}) }

func sealed(l2 drivers.L2) drivers.L2 {
	return seal.New(l2, seal.Options{Keys: [][]byte{bytes.Repeat([]byte{1}, 32)}})
}

var wrappers = map[string]func(drivers.L2) drivers.L2{
	"compress":                compressed,
	"seal":                    sealed,
	"compress of seal":        func(l2 drivers.L2) drivers.L2 { return compressed(sealed(l2)) },
	"seal of compress":        func(l2 drivers.L2) drivers.L2 { return sealed(compressed(l2)) },
	"PassThrough":             func(l2 drivers.L2) drivers.L2 { return drivers.PassThrough{L2: l2} },
	"PassThrough of compress": func(l2 drivers.L2) drivers.L2 { return drivers.PassThrough{L2: compressed(l2)} },
}

func TestWrappersHaveTheCapabilitiesOfWhatTheyWrap(t *testing.T) {
	for wrapper, wrap := range wrappers {
		for name, capability := range l2Capabilities {
			if !capability.has(wrap(newEverything())) {
				t.Errorf("%s of a tier with everything: %s finds nothing", wrapper, name)
			}
			one := wrap(capability.only(newEverything()))
			for other, asked := range l2Capabilities {
				// compress and seal have options of their own to check.
				own := other == "CheckerOf" && wrapper != "PassThrough"
				if got, want := asked.has(one), other == name || own; got != want {
					t.Errorf("%s of a tier that has only what %s finds: %s finds something: %v, want %v", wrapper, name, other, got, want)
				}
			}
		}
	}
}

// The tier behind never sees what a caller writes, whichever capability stores it.
func TestWrappersTransformWhatEveryCapabilityStores(t *testing.T) {
	value := bytes.Repeat([]byte("a value that must not be seen"), 100)
	item := []drivers.Item{{Key: "a", Value: value}}
	for name, store := range map[string]func(l2 drivers.L2) error{
		"SetMany": func(l2 drivers.L2) error { return l2.SetMany(t.Context(), item) },
		"AddMany": func(l2 drivers.L2) error {
			adder, _ := drivers.AdderOf(l2)
			_, err := adder.AddMany(t.Context(), item)
			return err
		},
		"SwapMany": func(l2 drivers.L2) error {
			swapper, _ := drivers.SwapperOf(l2)
			_, err := swapper.SwapMany(t.Context(), []drivers.Swap{{Key: "a", New: value}})
			return err
		},
		"FillMany": func(l2 drivers.L2) error {
			leaser, _ := drivers.LeaserOf(l2)
			_, err := leaser.LeaseMany(t.Context(), []string{"a"}, drivers.LeaseRequest{Token: "token", TTL: time.Minute})
			_, fill := leaser.FillMany(t.Context(), item, "token")
			return errors.Join(err, fill)
		},
	} {
		for wrapper, wrap := range wrappers {
			tier := newEverything()
			l2 := wrap(tier)
			if err := store(l2); err != nil {
				t.Fatalf("%s of %s: %v", name, wrapper, err)
			}
			stored, err := tier.GetMany(t.Context(), []string{"a"})
			if err != nil || stored[0] == nil || wrapper != "PassThrough" && bytes.Contains(stored[0], value) {
				t.Errorf("%s of %s: the tier has %.60q, %v", name, wrapper, stored, err)
			}
			read, err := l2.GetMany(t.Context(), []string{"a"})
			if err != nil || !bytes.Equal(read[0], value) {
				t.Errorf("%s of %s: reads %.60q, %v", name, wrapper, read, err)
			}
		}
	}
}

func TestNestedWrappersConform(t *testing.T) {
	const all = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans | drivertest.DeletesPrefixes | drivertest.Prunes
	for _, wrapper := range []string{"compress of seal", "seal of compress", "PassThrough of compress"} {
		t.Run(wrapper, func(t *testing.T) {
			drivertest.L2(t, func(t *testing.T) drivers.L2 {
				return wrappers[wrapper](memory.NewL2(memory.L2Options{MaxSize: "64mb"}))
			}, all, drivertest.Limits{LargestValue: 1 << 20})
		})
	}
}
