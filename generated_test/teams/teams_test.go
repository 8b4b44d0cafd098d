package teams

import (
	"database/sql"
	"errors"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("the database is down")

func someUsers() *UserRepo {
	return NewUserRepo(
		User{ID: 1, TeamID: 10, Name: "Ada", Email: "ada@example.com"},
		User{ID: 2, TeamID: 10, Name: "Bob", Email: "bob@example.com"},
		User{ID: 3, TeamID: 20, Name: "Eve", Email: "eve@example.com"},
	)
}

func wrap(t *testing.T, repo *UserRepo, stores runtime.Stores) *CachedUserRepo {
	t.Helper()
	cached, err := NewCachedUserRepo(repo, stores)
	if err != nil {
		t.Fatal(err)
	}
	return cached
}

// alone runs f on a repository in front of which is the memory of one process.
func alone(t *testing.T, f func(t *testing.T, repo *UserRepo, cached *CachedUserRepo)) {
	t.Helper()
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		repo := someUsers()
		f(t, repo, wrap(t, repo, stores))
	})
}

// wantQueries checks how many queries f makes.
func (r *UserRepo) wantQueries(t *testing.T, want int64, f func()) {
	t.Helper()
	before := r.Queries.Load()
	f()
	if n := r.Queries.Load() - before; n != want {
		t.Errorf("%d queries, want %d", n, want)
	}
}

func (c *CachedUserRepo) wantName(t *testing.T, id int64, want string) {
	t.Helper()
	u, err := c.FindUser(t.Context(), id)
	if err != nil {
		t.Fatalf("user %d: %v, want %s", id, err, want)
	}
	if u.Name != want {
		t.Fatalf("user %d is %s, want %s", id, u.Name, want)
	}
}

func (c *CachedUserRepo) wantNobody(t *testing.T, id int64) {
	t.Helper()
	if u, err := c.FindUser(t.Context(), id); u != nil || !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("user %d: %v, %v, want sql.ErrNoRows", id, u, err)
	}
}

func names(t *testing.T, c *CachedUserRepo, teamID int64) []string {
	t.Helper()
	members, err := c.ListMembers(t.Context(), teamID)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]string, len(members))
	for i, u := range members {
		all[i] = u.Name
	}
	return all
}

func TestThatAUserDoesNotExistIsRemembered(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		repo.wantQueries(t, 1, func() {
			cached.wantNobody(t, 9)
			time.Sleep(29 * time.Second)
			cached.wantNobody(t, 9)
		})
		time.Sleep(2 * time.Second) // notfoundttl=30s
		repo.wantQueries(t, 1, func() { cached.wantNobody(t, 9) })
		if ok, err := cached.HasCachedUser(t.Context(), 9); ok || err != nil {
			t.Errorf("there is an entry of nobody: %v, %v", ok, err)
		}
	})
}

func TestCreatingAUserForgetsThatThereWasNone(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		ctx := t.Context()
		cached.wantNobody(t, 4)
		if _, err := cached.FindByEmail(ctx, "new@example.com", ""); !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		if _, err := cached.Create(ctx, 10, "Dan", "new@example.com"); err != nil {
			t.Fatal(err)
		}
		repo.wantQueries(t, 0, func() {
			cached.wantName(t, 4, "Dan")
			if u, err := cached.FindByEmail(ctx, "new@example.com", ""); err != nil || u.ID != 4 {
				t.Errorf("by email: %v, %v", u, err)
			}
		})
	})
}

func TestAGraceValueDoesNotHideThatAUserIsGone(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		cached.wantName(t, 1, "Ada")
		if _, err := repo.Remove(t.Context(), 1); err != nil { // past the cache
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute) // ttl=5m
		cached.wantNobody(t, 1)
	})
}

func TestAGraceValueIsServedWhenTheDatabaseIsDown(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		cached.wantName(t, 1, "Ada")
		repo.Fail(errDown)
		time.Sleep(6 * time.Minute)
		cached.wantName(t, 1, "Ada")
		time.Sleep(6 * time.Hour) // grace=6h
		if _, err := cached.FindUser(t.Context(), 1); !errors.Is(err, errDown) {
			t.Errorf("after the grace: %v, want %v", err, errDown)
		}
	})
}

func TestWhatIsIgnoredSharesAnEntry(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		repo.wantQueries(t, 1, func() {
			for _, reason := range []string{"login", "support"} {
				if u, err := cached.FindByEmail(t.Context(), "ada@example.com", reason); err != nil || u.ID != 1 {
					t.Fatal(u, err)
				}
			}
		})
	})
}

func TestABatchLoadsOnlyWhatIsNotCached(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		ctx := t.Context()
		cached.wantName(t, 1, "Ada")
		users, err := cached.FindUsers(ctx, []int64{3, 1, 9, 3, 2})
		if err != nil {
			t.Fatal(err)
		}
		if len(users) != 3 || users[1].Name != "Ada" || users[2].Name != "Bob" || users[3].Name != "Eve" {
			t.Errorf("got %v, want users 1, 2 and 3", users)
		}
		if want := [][]int64{{2, 3, 9}}; !reflect.DeepEqual(repo.Batches(), want) {
			t.Errorf("the loader was asked for %v, want %v", repo.Batches(), want)
		}
		repo.wantQueries(t, 0, func() {
			cached.wantName(t, 2, "Bob")
			cached.wantName(t, 3, "Eve")
			cached.wantNobody(t, 9) // the batch has told, too
			if users, err := cached.FindUsers(ctx, []int64{1, 2, 3, 9}); err != nil || len(users) != 3 {
				t.Errorf("the second time: %v, %v", users, err)
			}
		})
		if _, err := cached.FindUsers(ctx, nil); err != nil {
			t.Errorf("of nobody: %v", err)
		}
	})
}

func TestABatchReturnsWhatItFoundWithItsError(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		cached.wantName(t, 1, "Ada")
		repo.Fail(errDown)
		users, err := cached.FindUsers(t.Context(), []int64{1, 2})
		if !errors.Is(err, errDown) {
			t.Errorf("got %v, want %v", err, errDown)
		}
		if len(users) != 1 || users[1] == nil {
			t.Errorf("got %v, want user 1", users)
		}
	})
}

func TestRenameDeletesEveryEntryOfTheUser(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		ctx := t.Context()
		byEmail := func() string {
			u, err := cached.FindByEmail(ctx, "ada@example.com", "")
			if err != nil {
				t.Fatal(err)
			}
			return u.Name
		}
		cached.wantName(t, 1, "Ada")
		byEmail()
		names(t, cached, 10)
		if old, err := cached.Rename(ctx, 1, "Ann"); err != nil || old.Name != "Ada" {
			t.Fatal(old, err)
		}
		cached.wantName(t, 1, "Ann")
		if name := byEmail(); name != "Ann" {
			t.Errorf("by email: %s", name)
		}
		if got := names(t, cached, 10); !reflect.DeepEqual(got, []string{"Ann", "Bob"}) {
			t.Errorf("the team is %v", got)
		}
		if _, err := cached.Rename(ctx, 9, "Nobody"); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("rename of nobody: %v", err)
		}
	})
}

func TestAWriteThatFailsInvalidatesNothing(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		cached.wantName(t, 1, "Ada")
		repo.Fail(errDown)
		if _, err := cached.Rename(t.Context(), 1, "Ann"); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		repo.wantQueries(t, 0, func() { cached.wantName(t, 1, "Ada") })
	})
}

func TestMovingATeamReachesAllOfBothTeamsAndNobodyElse(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		ctx := t.Context()
		if _, err := cached.Create(ctx, 30, "Zoe", ""); err != nil {
			t.Fatal(err)
		}
		for id := int64(1); id <= 4; id++ {
			if _, err := cached.FindUser(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		names(t, cached, 10)
		names(t, cached, 20)
		if err := cached.MoveTeam(ctx, 10, 20); err != nil {
			t.Fatal(err)
		}
		repo.wantQueries(t, 3, func() {
			for id := int64(1); id <= 4; id++ {
				if _, err := cached.FindUser(ctx, id); err != nil {
					t.Fatal(err)
				}
			}
		})
		if got := names(t, cached, 10); len(got) != 0 {
			t.Errorf("still in the old team: %v", got)
		}
		if got := names(t, cached, 20); len(got) != 3 {
			t.Errorf("in the new team: %v", got)
		}
	})
}

func TestAnExpiredUserIsShownUntilTheNewOneIsThere(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		cached.wantName(t, 1, "Ada")
		if err := cached.Touch(t.Context(), 1, "Ann"); err != nil {
			t.Fatal(err)
		}
		// timeout=200ms: the load is quicker than that.
		cached.wantName(t, 1, "Ann")
		if err := cached.Touch(t.Context(), 1, "Amy"); err != nil {
			t.Fatal(err)
		}
		repo.Fail(errDown)
		cached.wantName(t, 1, "Ann")
	})
}

func TestRemovingUsersDeletesTheEntryOfEach(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		for id, name := range map[int64]string{1: "Ada", 2: "Bob", 3: "Eve"} {
			cached.wantName(t, id, name)
		}
		if n, err := cached.Remove(t.Context(), 1, 3, 9); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		cached.wantNobody(t, 1)
		cached.wantNobody(t, 3)
		repo.wantQueries(t, 0, func() { cached.wantName(t, 2, "Bob") })
	})
}

func TestAListBelongsToItsCaller(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		members, err := cached.ListMembers(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		members[0].Name = "changed"
		repo.wantQueries(t, 0, func() {
			if got := names(t, cached, 10); !reflect.DeepEqual(got, []string{"Ada", "Bob"}) {
				t.Errorf("another caller gets %v", got)
			}
		})
	})
}

func TestAnEmptyTeamIsCachedToo(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		repo.wantQueries(t, 1, func() {
			for range 2 {
				if members, err := cached.ListMembers(t.Context(), 99); members != nil || err != nil {
					t.Fatal(members, err)
				}
			}
		})
	})
}

func TestAnImportClearsAllUsers(t *testing.T) {
	alone(t, func(t *testing.T, repo *UserRepo, cached *CachedUserRepo) {
		cached.wantName(t, 1, "Ada")
		cached.wantNobody(t, 9)
		names(t, cached, 10)
		if err := cached.Import(t.Context(), []User{{ID: 9, TeamID: 10, Name: "Nik"}}); err != nil {
			t.Fatal(err)
		}
		cached.wantNobody(t, 1)
		cached.wantName(t, 9, "Nik")
		if got := names(t, cached, 10); !reflect.DeepEqual(got, []string{"Nik"}) {
			t.Errorf("the team is %v", got)
		}
	})
}
