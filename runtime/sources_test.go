package runtime_test

import (
	"context"
	"errors"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
)

// A tenantRepo is a type with a method findUser that is cached.
type tenantRepo struct {
	tenant string
	loads  int
}

// A cachedTenantRepo is its wrapper, as generated code has it.
type cachedTenantRepo struct {
	repo *tenantRepo
	user *runtime.Cache[int, string]
}

// tenantUser is the cache of findUser.
func tenantUser() *gen.Definition {
	return &gen.Definition{Name: "example.com/app.Repo.FindUser", Pattern: "user:{id}", Namespace: "users"}
}

func newCachedTenantRepo(repo *tenantRepo, stores runtime.Stores, within ...runtime.Within) (*cachedTenantRepo, error) {
	c := &cachedTenantRepo{repo: repo}
	return c, gen.OpenAll(stores, within, gen.Source(&c.user, tenantUser(), repo))
}

func (c *cachedTenantRepo) findUser(ctx context.Context, id int) (string, error) {
	return c.user.GetOrSet(ctx, id, func(context.Context) (string, error) {
		c.repo.loads++
		return c.repo.tenant, nil
	})
}

func inStores(t testing.TB, options ...runtime.StoreOption) runtime.Stores {
	t.Helper()
	stores, err := runtime.NewStores(newNamed(t, "main", options...))
	if err != nil {
		t.Fatal(err)
	}
	return stores
}

// opens opens a cache of a definition around a source.
func opens(stores runtime.Stores, d *gen.Definition, source any, within ...runtime.Within) error {
	var c *runtime.Cache[int, string]
	return gen.OpenAll(stores, within, gen.Source(&c, d, source))
}

func TestTwoSourcesCannotHaveOneCache(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		stores := inStores(t, in.tiers())
		a := &tenantRepo{tenant: "a"}
		first, err := newCachedTenantRepo(a, stores)
		if err != nil {
			t.Fatal(err)
		}
		_, err = newCachedTenantRepo(&tenantRepo{tenant: "b"}, stores)
		const wanted = "cachegen: open example.com/app.Repo.FindUser in store main: another *runtime_test.tenantRepo is its source already, " +
			`and the two would get each other's values: give one of them a runtime.Within("NAME") of its own, ` +
			"tell them apart in the key with {recv.Field}, or write instances=shared in the directive if both read the same data"
		if err == nil || err.Error() != wanted {
			t.Errorf("got  %v\nwant %s", err, wanted)
		}
		again, err := newCachedTenantRepo(a, stores)
		if err != nil {
			t.Fatal("the same source:", err)
		}
		for _, c := range []*cachedTenantRepo{first, again} {
			user, err := c.findUser(t.Context(), 1)
			want(t, user, err, "a")
		}
		if a.loads != 1 {
			t.Errorf("%d loads, want 1: the two have one cache", a.loads)
		}
	})
}

func TestTenantsHaveEntriesOfTheirOwn(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		ctx, stores := t.Context(), inStores(t, in.tiers())
		paths := [][]runtime.Within{nil, {"a"}, {"b"}, {"a", "b"}, {"b", "a"}, {"a:b"}, {"@a"}, {"users"}}
		var repos []*cachedTenantRepo
		for _, path := range paths {
			var tenant strings.Builder
			for _, name := range path {
				tenant.WriteString("/" + string(name))
			}
			repo, err := newCachedTenantRepo(&tenantRepo{tenant: tenant.String()}, stores, path...)
			if err != nil {
				t.Fatal(path, err)
			}
			repos = append(repos, repo)
		}
		read := func() {
			t.Helper()
			for _, c := range repos {
				user, err := c.findUser(ctx, 1)
				want(t, user, err, c.repo.tenant)
			}
		}
		loads := func(wanted ...int) {
			t.Helper()
			for i, c := range repos {
				if c.repo.loads != wanted[i] {
					t.Errorf("%v: %d loads, want %d", paths[i], c.repo.loads, wanted[i])
				}
				c.repo.loads = 0
			}
		}
		read()
		read()
		loads(1, 1, 1, 1, 1, 1, 1, 1)

		// A tenant's cache is cleared by itself, and its namespace with what is inside.
		if err := repos[1].user.Clear(ctx); err != nil {
			t.Fatal(err)
		}
		read()
		loads(0, 1, 0, 0, 0, 0, 0, 0)
		users := stores.Default().Namespace("users")
		if err := users.Namespace("a").Clear(ctx); err != nil {
			t.Fatal(err)
		}
		read()
		loads(0, 1, 0, 1, 0, 0, 0, 0)
		if err := users.Clear(ctx); err != nil {
			t.Fatal(err)
		}
		read()
		loads(1, 1, 1, 1, 1, 1, 1, 1)
	})
}

func TestATenantIsTheSameInEveryProcess(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		if !in.l2 {
			return
		}
		tiers := in.team()
		var repos []*cachedTenantRepo
		for range 2 {
			repo, err := newCachedTenantRepo(&tenantRepo{tenant: "a"}, inStores(t, tiers()), "a")
			if err != nil {
				t.Fatal(err)
			}
			user, err := repo.findUser(t.Context(), 1)
			want(t, user, err, "a")
			repos = append(repos, repo)
		}
		if n := repos[0].repo.loads + repos[1].repo.loads; n != 1 {
			t.Errorf("%d loads, want 1", n)
		}
	})
}

func TestAWithinHasAName(t *testing.T) {
	stores := inStores(t, memoryTier())
	for _, within := range [][]runtime.Within{{""}, {"a", ""}} {
		err := opens(stores, tenantUser(), &tenantRepo{}, within...)
		if err == nil || err.Error() != "cachegen: open example.com/app.Repo.FindUser: the name of a Within is empty" {
			t.Errorf("%q: %v", within, err)
		}
	}
	if _, err := gen.Open[int, string](stores, tenantUser(), ""); err == nil {
		t.Error("a handle within a namespace without a name was opened")
	}
	if err := opens(stores, tenantUser(), &tenantRepo{}); err != nil {
		t.Error("what failed has claimed something:", err)
	}
}

func TestWhichSourcesAreTheSame(t *testing.T) {
	type value struct {
		name string
		in   *tenantRepo
	}
	type list struct{ names []string }
	type empty struct{}
	repo, names := &tenantRepo{}, []string{"a"}
	for name, c := range map[string]struct {
		first, second any
		same          bool
	}{
		"one pointer":                     {repo, repo, true},
		"two pointers to equal values":    {&tenantRepo{}, &tenantRepo{}, false},
		"nil, without a size":             {(*empty)(nil), new(empty), true},
		"equal values":                    {value{"a", repo}, value{"a", repo}, true},
		"values that differ":              {value{"a", repo}, value{"a", &tenantRepo{}}, false},
		"interfaces of equal values":      {[1]any{value{"a", repo}}, [1]any{value{"a", repo}}, true},
		"values that cannot be compared":  {list{names}, list{names}, false},
		"interfaces of such values":       {[1]any{list{names}}, [1]any{list{names}}, false},
		"functions":                       {strings.ToUpper, strings.ToUpper, false},
		"values without a size":           {empty{}, empty{}, true},
		"pointers to values without one":  {new(empty), new(empty), true},
		"arrays without elements":         {[0]func(){}, [0]func(){}, true},
		"an interface of such a value":    {[1]any{1}, [1]any{list{names}}, false},
		"a value and a pointer to such a": {value{}, &value{}, false},
	} {
		stores := inStores(t, memoryTier())
		if err := opens(stores, tenantUser(), c.first); err != nil {
			t.Fatal(name, err)
		}
		err := opens(stores, tenantUser(), c.second)
		if (err == nil) != c.same {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheErrorOfAnotherSourceSaysWhy(t *testing.T) {
	type value []string
	for text, sources := range map[string][2]any{
		"a *runtime_test.tenantRepo, and not this runtime_test.tenantRepo, is its source already":                           {&tenantRepo{}, tenantRepo{}},
		"another runtime_test.value (values of this type cannot be compared: each counts as another) is its source already": {value{}, value{}},
	} {
		stores := inStores(t, memoryTier())
		if err := opens(stores, tenantUser(), sources[0]); err != nil {
			t.Fatal(err)
		}
		if err := opens(stores, tenantUser(), sources[1]); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %s", err, text)
		}
	}
}

// Otherwise the first load would panic.
func TestANilSourceIsRefused(t *testing.T) {
	stores, many := inStores(t, memoryTier()), tenantUser()
	many.ManySources = true
	for _, d := range []*gen.Definition{tenantUser(), many} {
		err := opens(stores, d, (*tenantRepo)(nil))
		if err == nil || err.Error() != "cachegen: open example.com/app.Repo.FindUser in store main: the *runtime_test.tenantRepo to be wrapped is nil" {
			t.Error(err)
		}
	}
	if err := opens(stores, tenantUser(), &tenantRepo{}); err != nil {
		t.Error("the one that was refused is remembered:", err)
	}
}

func TestWhatMayHaveManySourcesDoes(t *testing.T) {
	stores, many := inStores(t, memoryTier()), tenantUser()
	many.ManySources = true
	for range 3 {
		if err := opens(stores, many, &tenantRepo{}); err != nil {
			t.Fatal(err)
		}
	}
	// A program where one package has been generated again, and another has not.
	if err := opens(stores, tenantUser(), &tenantRepo{}); err != nil {
		t.Fatal("sources that are not remembered are no obstacle:", err)
	}
}

func TestAHandleIsNoSource(t *testing.T) {
	stores := inStores(t, memoryTier())
	handle := func() {
		t.Helper()
		if _, err := gen.Open[int, string](stores, tenantUser()); err != nil {
			t.Fatal(err)
		}
		var c *runtime.Cache[int, string]
		if err := gen.OpenAll(stores, nil, gen.Handle(&c, tenantUser())); err != nil {
			t.Fatal(err)
		}
		if err := gen.Bind(stores, gen.Declare[int, string](tenantUser()).Untyped()); err != nil {
			t.Fatal(err)
		}
	}
	handle()
	if err := opens(stores, tenantUser(), &tenantRepo{}); err != nil {
		t.Fatal(err)
	}
	handle()
}

func TestAHandleReachesTheEntriesOfItsTenant(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		ctx, stores := t.Context(), inStores(t, in.tiers())
		for _, tenant := range []runtime.Within{"a", "b"} {
			repo, err := newCachedTenantRepo(&tenantRepo{tenant: string(tenant)}, stores, tenant)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := repo.findUser(ctx, 1); err != nil {
				t.Fatal(err)
			}
		}
		var handle *runtime.Cache[int, string]
		if err := gen.OpenAll(stores, []runtime.Within{"a"}, gen.Handle(&handle, tenantUser())); err != nil {
			t.Fatal(err)
		}
		if err := handle.Delete(ctx, 1); err != nil {
			t.Fatal(err)
		}
		for tenant, cached := range map[runtime.Within]bool{"a": false, "b": true} {
			c, err := gen.Open[int, string](stores, tenantUser(), tenant)
			if err != nil {
				t.Fatal(err)
			}
			has, err := c.Has(ctx, 1)
			want(t, has, err, cached)
		}
	})
}

func TestTheSameSourceIsAskedForInEachPlace(t *testing.T) {
	main, other := newNamed(t, "main", memoryTier()), newNamed(t, "other", memoryTier())
	stores, err := runtime.NewStores(main, other)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, ints, texts := tenantUser(), tenantUser(), tenantUser()
	elsewhere.Store = "other"
	ints.Instance, texts.Instance = "int", "string"
	for i, d := range []*gen.Definition{tenantUser(), elsewhere, ints, texts} {
		if err := opens(stores, d, &tenantRepo{}); err != nil {
			t.Error(i, err)
		}
		if err := opens(stores, d, &tenantRepo{}); err == nil {
			t.Error(i, "a second source was taken")
		}
		if err := opens(stores, d, &tenantRepo{}, "a"); err != nil {
			t.Error(i, err)
		}
	}
	if err := opens(inStores(t, memoryTier()), tenantUser(), &tenantRepo{}); err != nil {
		t.Error("in other stores:", err)
	}
}

func TestAConstructorThatFailsHasClaimedNothing(t *testing.T) {
	stores := inStores(t, memoryTier())
	page := &gen.Definition{Name: "example.com/app.Repo.FindPage", Pattern: "page:{n}", Namespace: "users"}
	lost := &gen.Definition{Name: "example.com/app.Repo.FindLost", Pattern: "lost:{n}", Store: "lost"}
	failing := &tenantRepo{}
	var user, pages, losts *runtime.Cache[int, string]
	err := gen.OpenAll(stores, nil, gen.Source(&user, tenantUser(), failing), gen.Source(&pages, page, failing), gen.Handle(&losts, lost))
	if !errors.Is(err, runtime.ErrUnknownStore) {
		t.Fatal(err)
	}
	for _, c := range []*runtime.Cache[int, string]{user, pages, losts} {
		if _, err := c.Has(t.Context(), 1); !errors.Is(err, runtime.ErrNotBound) {
			t.Error("a cache is open:", err)
		}
	}
	if names := stores.Functions(); len(names) != 0 {
		t.Errorf("there are functions: %q", names)
	}
	if err := stores.SetDefaults(runtime.TTL(time.Hour)); err != nil {
		t.Error("a cache counts as opened:", err)
	}
	// Neither its source nor the form of its keys is taken.
	if err := opens(stores, tenantUser(), &tenantRepo{}); err != nil {
		t.Error(err)
	}
	other := *page
	other.Name = "example.com/app.Other.FindPage"
	if err := opens(stores, &other, &tenantRepo{}); err != nil {
		t.Error(err)
	}

	// What was claimed before stays.
	kept := &tenantRepo{}
	third := tenantUser()
	third.Name, third.Pattern = "example.com/app.Repo.FindThird", "third:{n}"
	if err := opens(stores, third, kept); err != nil {
		t.Fatal(err)
	}
	if err := gen.OpenAll(stores, nil, gen.Source(&user, third, kept), gen.Handle(&losts, lost)); err == nil {
		t.Fatal("a lost store was found")
	}
	if err := opens(stores, third, &tenantRepo{}); err == nil {
		t.Error("the failure of another constructor has taken a claim away")
	}
}

// The options of a cache that was never open contradict nothing.
func TestAConstructorThatFailsLeavesItsOptionsNowhere(t *testing.T) {
	stores := inStores(t, memoryTier())
	with := func(d *gen.Definition) *gen.Definition {
		d.Options = []gen.Option{gen.TTL(time.Hour), gen.L1TTL(time.Minute)}
		return d
	}
	lost := &gen.Definition{Name: "example.com/app.Repo.FindLost", Pattern: "lost:{n}", Store: "lost"}
	other := tenantUser()
	other.Name, other.Pattern = "example.com/app.Repo.FindOther", "other:{n}"
	if err := opens(stores, other, &tenantRepo{}, "a"); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*gen.Definition{tenantUser(), other} {
		var c, losts *runtime.Cache[int, string]
		if err := gen.OpenAll(stores, nil, gen.Source(&c, with(d), &tenantRepo{}), gen.Handle(&losts, lost)); err == nil {
			t.Fatal("a lost store was found")
		}
		if err := stores.SetOptions(d.Name, runtime.TTL(time.Second)); err != nil {
			t.Error(err)
		}
	}
}

func TestACacheThatFailsToOpenHasClaimedNoType(t *testing.T) {
	s := newStore(t, memoryTier())
	if _, err := runtime.NewCache[string, chan int](s.Namespace("n"), "c"); err == nil {
		t.Fatal("a cache of channels was made")
	}
	if _, err := runtime.NewCache[string, int](s.Namespace("n"), "c"); err != nil {
		t.Error(err)
	}
}

// Of many that exclude each other one is opened, in whatever order their caches are.
func TestSourcesAtOnce(t *testing.T) {
	stores := inStores(t, memoryTier())
	page := &gen.Definition{Name: "example.com/app.Repo.FindPage", Pattern: "page:{n}"}
	var wg sync.WaitGroup
	var mu sync.Mutex
	opened := 0
	for i := range 16 {
		wg.Go(func() {
			var user, pages *runtime.Cache[int, string]
			repo := &tenantRepo{}
			all := []gen.Opening{gen.Source(&user, tenantUser(), repo), gen.Source(&pages, page, repo)}
			if i%2 == 0 {
				all[0], all[1] = all[1], all[0]
			}
			for range 2 { // the same again
				if gen.OpenAll(stores, nil, all...) == nil {
					mu.Lock()
					opened++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if opened != 2 {
		t.Errorf("%d were opened, want one, twice", opened)
	}
}

// What a source was is not forgotten with the source.
func TestTheCollectorDoesNotDecideWhichSourcesAreTheSame(t *testing.T) {
	stores := inStores(t, memoryTier())
	if err := opens(stores, tenantUser(), &tenantRepo{tenant: strings.Repeat("a", 1<<10)}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		goruntime.GC()
		if err := opens(stores, tenantUser(), &tenantRepo{tenant: strings.Repeat("b", 1<<10)}); err == nil {
			t.Fatal("another source was taken for the first")
		}
	}
}
