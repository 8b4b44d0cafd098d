package billing

import (
	"database/sql"
	"errors"
	"testing"
	"testing/quick"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/generated_test/teams"
	"github.com/cachegen/cachegen/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk runs f on a desk, and on the repository whose caches it invalidates.
func desk(t *testing.T, f func(t *testing.T, desk *CachedDesk, users *teams.CachedUserRepo)) {
	t.Helper()
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		repo := teams.NewUserRepo(
			teams.User{ID: 1, TeamID: 10, Name: "Ada"},
			teams.User{ID: 2, TeamID: 10, Name: "Bob"},
			teams.User{ID: 3, TeamID: 20, Name: "Eve"},
		)
		users, err := teams.NewCachedUserRepo(repo, stores)
		if err != nil {
			t.Fatal(err)
		}
		desk, err := NewCachedDesk(&Desk{Repo: repo, Seats: 900}, stores)
		if err != nil {
			t.Fatal(err)
		}
		if err := teams.BindCaches(stores); err != nil {
			t.Fatal(err)
		}
		for id := int64(1); id <= 3; id++ {
			if _, err := users.FindUser(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		f(t, desk, users)
	})
}

func wantCached(t *testing.T, users *teams.CachedUserRepo, id int64, want bool) {
	t.Helper()
	if ok, err := users.HasCachedUser(t.Context(), id); ok != want || err != nil {
		t.Errorf("user %d is cached: %v, %v, want %v", id, ok, err, want)
	}
}

func TestAnEntryOfAnotherPackageIsDeleted(t *testing.T) {
	desk(t, func(t *testing.T, desk *CachedDesk, users *teams.CachedUserRepo) {
		ctx := t.Context()
		if members, err := users.ListMembers(ctx, 10); err != nil || len(members) != 2 {
			t.Fatal(members, err)
		}
		if err := desk.CloseAccount(ctx, 1, 10); err != nil {
			t.Fatal(err)
		}
		wantCached(t, users, 1, false)
		wantCached(t, users, 2, true)
		if _, err := users.FindUser(ctx, 1); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("the user is still found: %v", err)
		}
		if members, err := users.ListMembers(ctx, 10); err != nil || len(members) != 1 {
			t.Errorf("the team still has %v, %v", members, err)
		}
	})
}

func TestManyEntriesOfAnotherPackageAreDeleted(t *testing.T) {
	desk(t, func(t *testing.T, desk *CachedDesk, users *teams.CachedUserRepo) {
		if n, err := desk.CloseAccounts(t.Context(), 10, []int64{1, 2, 99}); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		wantCached(t, users, 1, false)
		wantCached(t, users, 2, false)
		wantCached(t, users, 3, true)
	})
}

func TestManyEntriesOfAnotherPackageExpire(t *testing.T) {
	desk(t, func(t *testing.T, desk *CachedDesk, users *teams.CachedUserRepo) {
		if err := desk.Suspend(1, 2); err != nil {
			t.Fatal(err)
		}
		wantCached(t, users, 1, false)
		wantCached(t, users, 2, false)
		wantCached(t, users, 3, true)
		users.Fail(errors.New("down"))
		if u, err := users.FindUser(t.Context(), 1); err != nil || u.Name != "Ada" {
			t.Errorf("the grace value is gone: %v, %v", u, err)
		}
	})
}

func TestWhatFailsExpiresNothing(t *testing.T) {
	desk(t, func(t *testing.T, desk *CachedDesk, users *teams.CachedUserRepo) {
		if err := desk.Suspend(); !errors.Is(err, ErrUnpaid) {
			t.Fatal(err)
		}
		wantCached(t, users, 1, true)
	})
}

func TestAResultBecomesAnEntryOfAnotherPackage(t *testing.T) {
	desk(t, func(t *testing.T, _ *CachedDesk, _ *teams.CachedUserRepo) {
		ctx := t.Context()
		for id := int64(10); id <= 20; id += 10 {
			if _, err := teams.CachedSaveQuota(ctx, id, 5, 7); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := CachedUpgrade(ctx, 10, 3); err != nil {
			t.Fatal(err)
		}
		q, ok, err := teams.GetCachedQuota(ctx, 10)
		if want := (teams.Quota{Seats: 8, Storage: 7}); q != want || !ok || err != nil {
			t.Fatalf("cached is %v, %v, %v, want %v", q, ok, err, want)
		}
		if err := CachedDowngrade(ctx, 1, 10, 20); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[int64]int{10: 7, 20: 4} {
			if ok, err := teams.HasCachedQuota(ctx, id); ok || err != nil {
				t.Errorf("the quota of team %d is still cached: %v", id, err)
			}
			if q, err := teams.GetOrSetQuota(ctx, id); err != nil || q.Seats != want {
				t.Errorf("team %d has %d seats, %v, want %d", id, q.Seats, err, want)
			}
		}
	})
}

func TestTheOptionsOfNobodyAreTheStores(t *testing.T) {
	desk(t, func(t *testing.T, desk *CachedDesk, _ *teams.CachedUserRepo) {
		ctx := t.Context()
		if _, err := teams.SaveQuota(ctx, 10, 2, 0); err != nil {
			t.Fatal(err)
		}
		want := Invoice{TeamID: 10, Seats: 2, Cents: 1800}
		for range 2 {
			if invoice, err := desk.LoadInvoice(ctx, 10); invoice != want || err != nil {
				t.Fatal(invoice, err)
			}
		}
		time.Sleep(31 * time.Minute) // runtime.DefaultTTL
		if ok, err := desk.HasCachedInvoice(ctx, 10); ok || err != nil {
			t.Errorf("the invoice is cached for longer than the store says: %v", err)
		}
	})
}

func TestKeysReadBack(t *testing.T) {
	if err := quick.Check(func(a, b int64) bool {
		one, two := InvoiceKey{a}, InvoiceKey{b}
		back, err := ParseInvoiceKey(one.String())
		return err == nil && back == one && (one == two) == (one.String() == two.String())
	}, nil); err != nil {
		t.Error(err)
	}
}
