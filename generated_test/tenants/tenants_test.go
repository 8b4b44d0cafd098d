package tenants

import (
	"context"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

// must ends the test if a constructor has failed.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// accounts wraps those of a tenant in a namespace of its own.
func accounts(t *testing.T, stores runtime.Stores, tenant string) *CachedAccounts {
	t.Helper()
	a := &Accounts{Tenant: tenant, owners: map[int64]string{1: tenant}}
	return must[*CachedAccounts](t)(NewCachedAccounts(a, stores, runtime.Within(tenant)))
}

// wantOwner reads account 1.
func wantOwner(t *testing.T, c *CachedAccounts, owner string) {
	t.Helper()
	if a, err := c.FindAccount(t.Context(), 1); err != nil || a.Owner != owner {
		t.Errorf("tenant %s: got %v, %v, want %q", c.Tenant, a, err, owner)
	}
}

func TestTwoTenantsCannotShareACache(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		a := &Accounts{}
		must[*CachedAccounts](t)(NewCachedAccounts(a, stores))
		must[*CachedAccounts](t)(NewCachedAccounts(a, stores))
		c, err := NewCachedAccounts(&Accounts{}, stores)
		if err == nil || c != nil {
			t.Fatal("two tenants share a cache")
		}
		for _, way := range []string{"Accounts.FindAccount", `runtime.Within("NAME")`, "{recv.Field}", "instances=shared"} {
			if !strings.Contains(err.Error(), way) {
				t.Errorf("the error does not name %s: %v", way, err)
			}
		}
		must[*CachedAccounts](t)(NewCachedAccounts(&Accounts{}, stores, runtime.Within("b")))
	})
}

func TestTenantsSeeTheirOwn(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		a, b := accounts(t, stores, "a"), accounts(t, stores, "b")
		for range 2 {
			wantOwner(t, a, "a")
			wantOwner(t, b, "b")
			if list, err := b.FindAccounts(ctx, []int64{1}); err != nil || len(list) != 1 || list[0].Owner != "b" {
				t.Error(list, err)
			}
		}
		if a.loads != 1 || b.loads != 1 {
			t.Errorf("%d and %d loads, want 1 and 1", a.loads, b.loads)
		}
		if err := a.Rename(ctx, 1, "c"); err != nil {
			t.Fatal(err)
		}
		wantOwner(t, a, "c")
		wantOwner(t, b, "b")
		if b.loads != 1 {
			t.Error("a change of one tenant has removed the entry of another")
		}
	})
}

// What a namespace or a tag has is removed of all tenants.
func TestWhatIsOfManyTenantsIsRemovedOfAll(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		a, b := accounts(t, stores, "a"), accounts(t, stores, "b")
		changes := map[string]func() error{
			"the namespace": func() error { return stores.Default().Namespace("accounts").Clear(ctx) },
			"cache:clear":   func() error { return b.Import(ctx, map[int64]string{1: "b"}) },
			"a tag":         func() error { return stores.Default().DeleteByTag(ctx, OwnerTag("a"), OwnerTag("b")) },
		}
		for what, change := range changes {
			wantOwner(t, a, "a")
			wantOwner(t, b, "b")
			a.loads, b.loads = 0, 0
			if err := change(); err != nil {
				t.Fatal(err)
			}
			wantOwner(t, a, "a")
			wantOwner(t, b, "b")
			if a.loads != 1 || b.loads != 1 {
				t.Errorf("%s: %d and %d loads, want 1 and 1", what, a.loads, b.loads)
			}
		}
		// Of one tenant.
		if err := stores.Default().Namespace("accounts").Namespace("a").Clear(ctx); err != nil {
			t.Fatal(err)
		}
		wantOwner(t, a, "a")
		wantOwner(t, b, "b")
		if a.loads != 2 || b.loads != 1 {
			t.Errorf("%d and %d loads, want 2 and 1", a.loads, b.loads)
		}
	})
}

// A wrapper reaches the caches of other types in the namespace that it is in itself.
func TestAnotherTypeReachesTheSameTenant(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		a, b := accounts(t, stores, "a"), accounts(t, stores, "b")
		desk := must[*CachedDesk](t)(NewCachedDesk(&Desk{a.Accounts}, stores, "a"))
		must[*CachedDesk](t)(NewCachedDesk(&Desk{b.Accounts}, stores, "a")) // which loads nothing
		wantOwner(t, a, "a")
		wantOwner(t, b, "b")
		if err := desk.Close(ctx, 1); err != nil {
			t.Fatal(err)
		}
		wantOwner(t, a, "")
		if b.loads != 1 {
			t.Errorf("%d loads of the other tenant, want 1", b.loads)
		}
	})
}

// A function has no namespace of a tenant.
func TestAFunctionReachesWhatIsInNoTenant(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		if err := BindCaches(stores); err != nil {
			t.Fatal(err)
		}
		plain := must[*CachedAccounts](t)(NewCachedAccounts(&Accounts{owners: map[int64]string{1: "nobody"}}, stores))
		a := accounts(t, stores, "a")
		wantOwner(t, plain, "nobody")
		wantOwner(t, a, "a")
		if err := CachedAudit(ctx, plain.Accounts, 1); err != nil {
			t.Fatal(err)
		}
		wantOwner(t, plain, "")
		if wantOwner(t, a, "a"); a.loads != 1 {
			t.Errorf("%d loads of a tenant, want 1", a.loads)
		}
	})
}

func TestATenantIsOneInAllProcesses(t *testing.T) {
	one, two := process.Two(t)
	a, again := accounts(t, one, "a"), accounts(t, two, "a")
	wantOwner(t, a, "a")
	wantOwner(t, again, "a")
	if again.loads != 0 {
		t.Error("the other process has loaded what was in the shared tier")
	}
}

func TestAKeyThatNamesItsSourceHasMany(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		for number := range uint8(3) {
			c := must[*CachedShard](t)(NewCachedShard(&Shard{Number: number}, stores))
			for range 2 {
				if row, err := c.FindRow(7); err != nil || row != string('0'+rune(number))+"/7" {
					t.Error(number, row, err)
				}
			}
			if c.loads != 1 {
				t.Errorf("%d loads, want 1", c.loads)
			}
		}
	})
}

func TestInstancesThatReadTheSameDataShareTheirCache(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		data := &rows{texts: map[int64]string{1: "one"}}
		for range 3 {
			session := must[*CachedSession](t)(NewCachedSession(&Session{rows: data}, stores))
			if text, err := session.FindText(1); err != nil || text != "one" {
				t.Error(text, err)
			}
			visit := must[*CachedVisit](t)(NewCachedVisit(Visit{data}, stores))
			if text, err := visit.FindLine(1); err != nil || text != "one" {
				t.Error(text, err)
			}
		}
		if data.loads != 2 {
			t.Errorf("%d loads, want 1 of each", data.loads)
		}
	})
}

func TestInstancesOfAGenericTypeAreApart(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		texts := must[*CachedTable[string]](t)(NewCachedTable(&Table[string]{map[int64]string{1: "one"}}, stores))
		numbers := must[*CachedTable[int]](t)(NewCachedTable(&Table[int]{map[int64]int{1: 11}}, stores))
		other := must[*CachedTable[int]](t)(NewCachedTable(&Table[int]{map[int64]int{1: 12}}, stores, "b", "c"))
		for range 2 {
			text, errText := texts.FindEntry(1)
			number, errNumber := numbers.FindEntry(1)
			another, errOther := other.FindEntry(1)
			if text != "one" || number != 11 || another != 12 || errText != nil || errNumber != nil || errOther != nil {
				t.Error(text, number, another, errText, errNumber, errOther)
			}
		}
		if _, err := NewCachedTable(&Table[int]{}, stores); err == nil {
			t.Error("two tables of numbers share a cache")
		}
	})
}

func TestValuesAreComparedAsTheyAre(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		for range 2 {
			must[*CachedRates](t)(NewCachedRates(Rates{}, stores))
		}
		data := &rows{texts: map[int64]string{1: "!"}}
		for range 2 {
			must[*CachedRegion](t)(NewCachedRegion(Region{"north", data}, stores))
		}
		for _, other := range []Region{{"south", data}, {"north", &rows{}}} {
			if _, err := NewCachedRegion(other, stores); err == nil {
				t.Error("two regions share a cache:", other)
			}
		}
	})
}

// The methods that a type has from what it embeds read what is embedded: that is their source.
func TestTheSourceOfAPromotedMethodIsWhatIsEmbedded(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		north := Region{"north", &rows{texts: map[int64]string{1: "!"}}}
		hub := must[*CachedHub](t)(NewCachedHub(&Hub{inner{&north}, 1}, stores))
		must[*CachedHub](t)(NewCachedHub(&Hub{inner{&north}, 2}, stores)) // FindLabel has the number in its key
		region := must[*CachedRegion](t)(NewCachedRegion(north, stores))
		for _, find := range []func(int64) (string, error){hub.FindPlace, region.FindPlace} {
			if place, err := find(1); err != nil || place != "north!" {
				t.Error(place, err)
			}
		}
		if north.rows.loads != 1 {
			t.Errorf("%d loads, want 1", north.rows.loads)
		}

		south := Region{"south", north.rows}
		for what, err := range map[string]error{
			"a hub":    second(NewCachedHub(&Hub{inner{&south}, 3}, stores)),
			"a region": second(NewCachedRegion(south, stores)),
		} {
			if err == nil || !strings.Contains(err.Error(), "Region.FindPlace") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := second(NewCachedHub(nil, stores)); err == nil || !strings.HasSuffix(err.Error(), "the *tenants.Hub to be wrapped is nil") {
			t.Error("no hub:", err)
		}
		must[*CachedHub](t)(NewCachedHub(&Hub{inner{&south}, 3}, stores, "south"))
	})
}

func second[T any](_ T, err error) error { return err }

// A wrapper that could not be made leaves nothing behind.
func TestAConstructorThatFailsLeavesTheStoreAsItWas(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		must[*CachedRegion](t)(NewCachedRegion(Region{Name: "north"}, stores))
		if _, err := NewCachedHub(&Hub{Number: 1}, stores); err == nil {
			t.Fatal("a hub without a region shares a cache with one")
		}
		if _, err := NewCachedAccounts(&Accounts{}, stores, ""); err == nil {
			t.Fatal("a namespace without a name")
		}
		must[*CachedAccounts](t)(NewCachedAccounts(&Accounts{}, stores))
		if err := stores.Default().Clear(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}
