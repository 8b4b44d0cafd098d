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
	if got, want := queries(t, "Listener"), []string{"KeyListenerOf"}; !slices.Equal(got, want) {
		t.Errorf("capabilities of a Listener: tested are %v, package drivers has %v", want, got)
	}
	if got := queries(t, "Bus"); got != nil {
		t.Errorf("capabilities of a Bus: %v are not tested", got)
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
			_, err := leaser.LeaseMany(t.Context(), []string{"a"}, "token", time.Minute)
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

// halfway is a wrapper by hand, which knows of one capability.
type halfway struct{ inner drivers.L2 }

func (h halfway) Unwrap() drivers.L2 { return h.inner }
func (h halfway) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	return h.inner.GetMany(ctx, keys)
}
func (h halfway) SetMany(ctx context.Context, items []drivers.Item) error {
	return h.inner.SetMany(ctx, items)
}
func (h halfway) DeleteMany(ctx context.Context, keys []string) error {
	return h.inner.DeleteMany(ctx, keys)
}
func (h halfway) Close() error { return h.inner.Close() }
func (h halfway) Prune(ctx context.Context) (int64, error) {
	pruner, _ := drivers.PrunerOf(h.inner)
	return pruner.Prune(ctx)
}

func TestAWrapperHasNoCapabilityThatItDoesNotDeclare(t *testing.T) {
	for name, capability := range l2Capabilities {
		// Nothing is stored with these: they are about the drivers themselves.
		want := name == "PrunerOf" || name == "CheckerOf" || name == "ReadyCheckerOf"
		if got := capability.has(halfway{newEverything()}); got != want {
			t.Errorf("%s finds something: %v, want %v", name, got, want)
		}
		if capability.has(halfway{struct{ drivers.L2 }{newEverything()}}) {
			t.Errorf("%s finds something in front of a tier without capabilities", name)
		}
		if capability.has(nil) {
			t.Errorf("%s finds something in nil", name)
		}
	}
}

type unusable struct {
	drivers.L2
	err error
}

func (u unusable) Err() error                  { return u.err }
func (u unusable) Ready(context.Context) error { return u.err }

func TestEveryDriverOfAChainIsChecked(t *testing.T) {
	broken := errors.New("broken")
	for name, l2 := range map[string]drivers.L2{
		"itself":                 unusable{nil, broken},
		"behind a wrapper":       halfway{unusable{nil, broken}},
		"behind two":             halfway{halfway{unusable{nil, broken}}},
		"behind a PassThrough":   drivers.PassThrough{L2: halfway{unusable{nil, broken}}},
		"behind a usable one":    compressed(unusable{nil, broken}),
		"behind what is wrapped": sealed(compressed(unusable{nil, broken})),
	} {
		checker, ok := drivers.CheckerOf(l2)
		if !ok || !errors.Is(checker.Err(), broken) {
			t.Errorf("%s: the error of its options is not found", name)
		}
		readiness, ok := drivers.ReadyCheckerOf(l2)
		if !ok || !errors.Is(readiness.Ready(t.Context()), broken) {
			t.Errorf("%s: that it is not ready is not found", name)
		}
	}
	for role, driver := range map[string]any{"L1": wrappedL1{failingL1{err: broken}}, "Bus": wrappedBus{failingBus{err: broken}}} {
		if checker, ok := drivers.CheckerOf(driver); !ok || !errors.Is(checker.Err(), broken) {
			t.Errorf("%s: the error of its options is not found", role)
		}
	}
	for _, nothing := range []any{nil, 1, halfway{}} {
		if checker, ok := drivers.CheckerOf(nothing); ok || checker != nil {
			t.Errorf("%v is checked by %v", nothing, checker)
		}
		if checker, ok := drivers.ReadyCheckerOf(nothing); ok || checker != nil {
			t.Errorf("%v is asked by %v", nothing, checker)
		}
	}
}

type failingL1 struct {
	drivers.L1
	err error
}

func (f failingL1) Err() error { return f.err }

// wrappedL1 has the methods of every capability of an L1.
type wrappedL1 struct{ drivers.L1 }

func (w wrappedL1) Unwrap() drivers.L1 { return w.L1 }
func (w wrappedL1) Range(f func(item any) bool) {
	ranger, _ := drivers.RangerOf(w.L1)
	ranger.Range(f)
}

type failingBus struct {
	drivers.Bus
	err error
}

func (f failingBus) Err() error { return f.err }

type wrappedBus struct{ drivers.Bus }

func (w wrappedBus) Unwrap() drivers.Bus { return w.Bus }

func TestCapabilitiesOfAnL1(t *testing.T) {
	tier := memory.New(memory.Options{})
	defer tier.Close()
	tier.Set(1, "one", 1)
	ranger, ok := drivers.RangerOf(wrappedL1{wrappedL1{tier}})
	if !ok {
		t.Fatal("a wrapper of a tier that can list its items cannot")
	}
	var items []any
	ranger.Range(func(item any) bool { items = append(items, item); return true })
	if !slices.Equal(items, []any{"one"}) {
		t.Errorf("items %v", items)
	}
	if _, ok := drivers.RangerOf(wrappedL1{struct{ drivers.L1 }{tier}}); ok {
		t.Error("a wrapper of a tier that cannot list its items can")
	}
}

type listener struct{}

func (listener) Up()            {}
func (listener) Down(error)     {}
func (listener) Message([]byte) {}

type keyListener struct{ listener }

func (keyListener) KeyPrefix() string { return "app:" }
func (keyListener) Changed([]string)  {}

// wrappedListener is what a bus in front of another one subscribes.
type wrappedListener struct{ drivers.Listener }

func (w wrappedListener) Unwrap() drivers.Listener { return w.Listener }
func (w wrappedListener) KeyPrefix() string {
	keys, _ := drivers.KeyListenerOf(w.Listener)
	return keys.KeyPrefix()
}
func (w wrappedListener) Changed(changed []string) {
	keys, _ := drivers.KeyListenerOf(w.Listener)
	keys.Changed(changed)
}

func TestCapabilitiesOfAListener(t *testing.T) {
	if keys, ok := drivers.KeyListenerOf(wrappedListener{keyListener{}}); !ok || keys.KeyPrefix() != "app:" {
		t.Error("a wrapper of a listener that wants keys does not")
	}
	if _, ok := drivers.KeyListenerOf(wrappedListener{listener{}}); ok {
		t.Error("a wrapper of a listener that wants no keys does")
	}
}

func TestAPassThroughFailsForWhatTheTierBehindLacks(t *testing.T) {
	p := drivers.PassThrough{L2: struct{ drivers.L2 }{newEverything()}}
	ctx := t.Context()
	_, add := p.AddMany(ctx, nil)
	_, swap := p.SwapMany(ctx, nil)
	_, lease := p.LeaseMany(ctx, nil, "token", time.Minute)
	_, fill := p.FillMany(ctx, nil, "token")
	_, prefix := p.DeletePrefix(ctx, "")
	_, prune := p.Prune(ctx)
	for _, err := range []error{add, swap, lease, fill, p.ReleaseMany(ctx, nil, "token"), p.Scan(ctx, "", nil), prefix, prune} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
	}
}
