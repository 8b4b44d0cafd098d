package registry

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/policy"
)

func TestANameMatchesFromASlashOrADotOn(t *testing.T) {
	const full = "example.com/shop/user.Repo.Load"
	for name, want := range map[string]bool{
		full: true, "Load": true, "Repo.Load": true, "user.Repo.Load": true, "shop/user.Repo.Load": true,
		"": false, "oad": false, "ser.Repo.Load": false, "Repo": false, "load": false, "x" + full: false,
	} {
		if Match(name, full) != want {
			t.Errorf("%q: not %v", name, want)
		}
	}
}

func TestOptionsApplyInTheOrderInWhichTheyWereGiven(t *testing.T) {
	var fs Functions
	open, err := fs.Open(new(Transaction), "user.Load", policy.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	fs.setOptions("Load", policy.Options{TTL: policy.Some(time.Hour), Grace: policy.Some(time.Minute)})
	fs.setOptions("other.Load", policy.Options{TTL: policy.Some(time.Second)})
	fs.setOptions("user.Load", policy.Options{TTL: policy.Some(2 * time.Hour)})
	again, err := fs.Open(new(Transaction), "user.Load", policy.Policy{TTL: 1})
	if err != nil || again != open {
		t.Fatal("another function of the same name", err)
	}
	var fresh Functions
	fresh.overrides = fs.overrides
	later, err := fresh.Open(new(Transaction), "user.Load", policy.Policy{TTL: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, fn := range map[string]*Function{"open": open, "opened later": later} {
		if p := fn.Policy(policy.Policy{TTL: 1, GraceBackoff: 3}); p.TTL != 2*time.Hour || p.Grace != time.Minute || p.GraceBackoff != 3 {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestOptionsThatContradictACacheAreRefused(t *testing.T) {
	var fs Functions
	long, short := policy.Policy{TTL: time.Hour, L1TTL: time.Minute}, policy.Policy{TTL: time.Minute}
	for range 2 { // each policy is remembered once
		for _, p := range []policy.Policy{long, short} {
			if _, err := fs.Open(new(Transaction), "a.Load", p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(fs.byName["a.Load"].bases); n != 2 {
		t.Errorf("%d policies, want 2", n)
	}
	ttl := policy.Options{TTL: policy.Some(time.Second)}
	if err := fs.checkOptions("Load", ttl); err == nil || !strings.HasPrefix(err.Error(), "a.Load: ") {
		t.Error(err)
	}
	if err := fs.checkOptions("b.Load", ttl); err != nil {
		t.Error(err)
	}
	fs.setOptions("b.Load", ttl)
	if _, err := fs.Open(new(Transaction), "b.Load", long); err == nil || len(fs.Names()) != 1 {
		t.Error(err, fs.Names())
	}
}

func TestTheCachesOfAFunctionShareIt(t *testing.T) {
	var fs Functions
	var wg sync.WaitGroup
	opened := make([]*Function, 8)
	for i := range opened {
		wg.Go(func() { opened[i], _ = fs.Open(new(Transaction), "a.Load", policy.Policy{}) })
	}
	wg.Wait()
	other, _ := fs.Open(new(Transaction), "b.Load", policy.Policy{})
	for _, f := range opened {
		if f != opened[0] || f == other {
			t.Fatal("they do not share one, or share one with another function")
		}
	}
	if names := fs.Names(); !slices.Equal(names, []string{"a.Load", "b.Load"}) {
		t.Error(names)
	}
	if fns := fs.Matching("Load"); len(fns) != 2 {
		t.Error(fns)
	}
	if fns := fs.Matching("a.Load"); len(fns) != 1 || fns[0] != opened[0] {
		t.Error(fns)
	}
	if fns := fs.Matching("c.Load"); fns != nil {
		t.Error(fns)
	}
}

// A program chooses the names of ad-hoc caches, and may do so for each of its users.
func TestFewFunctionsAreRemembered(t *testing.T) {
	var fs Functions
	fs.setOptions("Load", policy.Options{TTL: policy.Some(time.Hour)})
	first, _ := fs.Open(new(Transaction), "a.Load", policy.Policy{})
	for i := range 2 * maxFunctions {
		if f, err := fs.Open(new(Transaction), fmt.Sprintf("%d.Load", i), policy.Policy{}); err != nil || f.Policy(policy.Policy{}).TTL != time.Hour {
			t.Fatal(i, f, err)
		}
	}
	if again, _ := fs.Open(new(Transaction), "a.Load", policy.Policy{}); len(fs.Names()) != maxFunctions || again != first {
		t.Error(len(fs.Names()), "are remembered, or the first is not")
	}
}

func TestTwoFunctionsCannotWriteTheSameKeys(t *testing.T) {
	var owners Patterns
	claim := func(prefix, pattern, name string) error {
		return owners.Claim(new(Transaction), prefix, pattern, name, true)
	}
	if err := claim("", "user:{id}", "a.Load"); err != nil {
		t.Fatal(err)
	}
	err := claim("", "user:{name}", "b.Load")
	if err == nil || !strings.Contains(err.Error(), "user:{name}") || !strings.Contains(err.Error(), "user:{id} of a.Load") {
		t.Error("the error does not name both:", err)
	}
	for _, c := range [][3]string{
		{"", "user:{other}", "a.Load"},   // itself
		{"@eu:", "user:{id}", "b.Load"},  // another namespace
		{"", "user:{id}:{n}", "b.Load"},  // another form
		{"", "", "b.Load"},               // no pattern
		{"", "user:{id}", ""},            // no name
		{"", "user:{unclosed", "b.Load"}, // read as if it were closed: that is refused below
	} {
		err := claim(c[0], c[1], c[2])
		if refused := strings.HasSuffix(c[1], "{unclosed"); (err != nil) != refused {
			t.Errorf("%q: %v", c, err)
		}
	}
}

func TestTheFunctionsOfAllStoresAreGivenOptionsOrNone(t *testing.T) {
	var main, other Functions
	all := All{Stores: []*Functions{&main, &other}}
	open := func(f *Functions, name string, p policy.Policy) *Function {
		t.Helper()
		fn, err := f.Open(new(Transaction), name, p)
		if err != nil {
			t.Fatal(err)
		}
		return fn
	}
	a := open(&main, "x.Load", policy.Policy{TTL: time.Hour})
	b := open(&other, "y.Load", policy.Policy{TTL: time.Minute})
	long := policy.Options{L1TTL: policy.Some(30 * time.Minute)}
	if err := all.SetOptions("Load", long); err == nil || !strings.Contains(err.Error(), "y.Load") {
		t.Error("it contradicts that of one store:", err)
	}
	if a.Policy(policy.Policy{}).L1TTL != 0 || all.Unmatched() != nil {
		t.Error("another store has been given it, or the name is remembered")
	}
	if err := all.SetOptions("x.Load", long); err != nil || a.Policy(policy.Policy{}).L1TTL != 30*time.Minute || b.Policy(policy.Policy{}).L1TTL != 0 {
		t.Error(err)
	}
	for _, name := range []string{"z.Load", "prices"} {
		if err := all.SetOptions(name, long); err != nil {
			t.Error(err)
		}
	}
	open(&other, "x.Load", policy.Policy{TTL: time.Hour})
	if got := all.Names(); !slices.Equal(got, []string{"x.Load", "y.Load"}) || len(all.Matching("x.Load")) != 2 {
		t.Error(got)
	}
	if got := all.Unmatched(); !slices.Equal(got, []string{"prices", "z.Load"}) {
		t.Error(got)
	}
}

// Options are compared with every cache: also with one that is opened at the same time. One of the
// two is refused.
func TestOptionsAndACacheThatIsOpenedMeanwhileDoNotContradictEachOther(t *testing.T) {
	base, long := policy.Policy{TTL: time.Minute}, policy.Options{L1TTL: policy.Some(time.Hour)}
	var other Functions // which takes a while to compare with
	for i := range 300 {
		if _, err := other.Open(new(Transaction), fmt.Sprintf("f%d.Load", i), policy.Policy{TTL: 2 * time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		var f Functions
		all := All{Stores: []*Functions{&f, &other}}
		var both sync.WaitGroup
		var errOpen, errSet error
		both.Go(func() { _, errOpen = f.Open(new(Transaction), "Load", base) })
		both.Go(func() { errSet = all.SetOptions("Load", long) })
		both.Wait()
		if (errOpen == nil) == (errSet == nil) {
			t.Fatal(errOpen, errSet)
		}
	}
}
