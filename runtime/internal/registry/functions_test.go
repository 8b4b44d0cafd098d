package registry

import (
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

func TestOverridesApplyInTheirOrder(t *testing.T) {
	fs := &Functions{Overrides: []Override{
		{"Load", policy.Options{TTL: policy.Some(time.Hour), Grace: policy.Some(time.Minute)}},
		{"other.Load", policy.Options{TTL: policy.Some(time.Second)}},
		{"user.Load", policy.Options{TTL: policy.Some(2 * time.Hour)}},
	}}
	_, p := fs.Open("user.Load", policy.Policy{TTL: 1, GraceBackoff: 3})
	if p.TTL != 2*time.Hour || p.Grace != time.Minute || p.GraceBackoff != 3 {
		t.Errorf("%+v", p)
	}
	if _, p := fs.Open("", policy.Policy{TTL: 1}); p.TTL != 1 {
		t.Error("an ad-hoc cache was overridden:", p.TTL)
	}
}

func TestTheCachesOfAFunctionShareIt(t *testing.T) {
	var fs Functions
	var wg sync.WaitGroup
	opened := make([]*Function, 8)
	for i := range opened {
		wg.Go(func() { opened[i], _ = fs.Open("a.Load", policy.Policy{}) })
	}
	wg.Wait()
	other, _ := fs.Open("b.Load", policy.Policy{})
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

func TestCachesWithoutANameOrARegistryAreNotRemembered(t *testing.T) {
	var fs Functions
	one, _ := fs.Open("", policy.Policy{})
	two, p := (*Functions)(nil).Open("a.Load", policy.Policy{TTL: 1})
	if one == nil || one != two || p.TTL != 1 || one.Disabled.Load() || len(fs.Names()) != 0 || fs.Matching("") != nil {
		t.Error(one, two, p, fs.Names())
	}
}

func TestTwoFunctionsCannotWriteTheSameKeys(t *testing.T) {
	var owners patterns
	claim := func(prefix, pattern, name string) error { return owners.claim(nil, prefix, pattern, name, nil, true) }
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
