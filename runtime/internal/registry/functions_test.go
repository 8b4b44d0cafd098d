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
	fs.SetOptions("Load", policy.Options{TTL: policy.Some(time.Hour), Grace: policy.Some(time.Minute)})
	fs.SetOptions("other.Load", policy.Options{TTL: policy.Some(time.Second)})
	fs.SetOptions("user.Load", policy.Options{TTL: policy.Some(2 * time.Hour)})
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
	if err := fs.CheckOptions("Load", ttl); err == nil || !strings.HasPrefix(err.Error(), "a.Load: ") {
		t.Error(err)
	}
	if err := fs.CheckOptions("b.Load", ttl); err != nil {
		t.Error(err)
	}
	fs.SetOptions("b.Load", ttl)
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
	fs.SetOptions("Load", policy.Options{TTL: policy.Some(time.Hour)})
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
