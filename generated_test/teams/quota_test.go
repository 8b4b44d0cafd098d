package teams

import (
	"errors"
	"testing"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

// wantQuotaQueries checks how many queries of quotas f makes.
func wantQuotaQueries(t *testing.T, want int, f func()) {
	t.Helper()
	before := quotas.queries
	f()
	if n := quotas.queries - before; n != want {
		t.Errorf("%d queries, want %d", n, want)
	}
}

// bound runs f after BindCaches, and without quotas.
func bound(t *testing.T, f func(t *testing.T, stores runtime.Stores)) {
	t.Helper()
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		clear(quotas.rows)
		if err := BindCaches(stores); err != nil {
			t.Fatal(err)
		}
		f(t, stores)
	})
}

func TestASavedQuotaIsTheEntry(t *testing.T) {
	bound(t, func(t *testing.T, _ runtime.Stores) {
		ctx := t.Context()
		want := Quota{Seats: 5, Storage: 1 << 40}
		if q, err := CachedSaveQuota(ctx, 10, 5, 1<<40); err != nil || q != want {
			t.Fatal(q, err)
		}
		wantQuotaQueries(t, 0, func() {
			if q, err := GetOrSetQuota(ctx, 10); err != nil || q != want {
				t.Fatal(q, err)
			}
		})
	})
}

func TestThatATeamHasNoQuotaIsRemembered(t *testing.T) {
	bound(t, func(t *testing.T, _ runtime.Stores) {
		ctx := t.Context()
		wantQuotaQueries(t, 1, func() {
			for range 2 {
				if _, err := GetOrSetQuota(ctx, 10); !errors.Is(err, ErrNoTeam) {
					t.Fatal(err)
				}
			}
		})
		if _, err := CachedSaveQuota(ctx, 10, 5, 0); err != nil {
			t.Fatal(err)
		}
		if q, err := GetOrSetQuota(ctx, 10); err != nil || q.Seats != 5 {
			t.Error(q, err)
		}
	})
}

func TestAFunctionInvalidatesWhatMethodsHaveCached(t *testing.T) {
	bound(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		repo := someUsers()
		cached := wrap(t, repo, stores)
		cached.wantName(t, 1, "Ada")
		cached.wantName(t, 3, "Eve")
		if _, err := CachedSaveQuota(ctx, 10, 5, 0); err != nil {
			t.Fatal(err)
		}
		if err := CachedDissolve(ctx, 10); err != nil {
			t.Fatal(err)
		}
		repo.wantQueries(t, 1, func() {
			cached.wantName(t, 1, "Ada") // in team 10
			cached.wantName(t, 3, "Eve")
		})
		if _, err := GetOrSetQuota(ctx, 10); !errors.Is(err, ErrNoTeam) {
			t.Error(err)
		}
	})
}

func TestAFunctionClearsANamespaceThatMethodsUse(t *testing.T) {
	bound(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		repo := someUsers()
		cached := wrap(t, repo, stores)
		cached.wantName(t, 1, "Ada")
		if _, err := CachedSaveQuota(ctx, 10, 5, 0); err != nil {
			t.Fatal(err)
		}
		if err := cachedForget(); err != nil {
			t.Fatal(err)
		}
		repo.wantQueries(t, 1, func() { cached.wantName(t, 1, "Ada") })
		if _, err := GetOrSetQuota(ctx, 10); !errors.Is(err, ErrNoTeam) {
			t.Error(err)
		}
	})
}
