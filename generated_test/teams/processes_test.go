package teams

import (
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/generated_test/internal/process"
)

// two runs f on a repository in front of which are two processes that share a tier.
func two(t *testing.T, f func(t *testing.T, repo *UserRepo, a, b *CachedUserRepo)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		repo := someUsers()
		one, other := process.Two(t)
		f(t, repo, wrap(t, repo, one), wrap(t, repo, other))
	})
}

func TestWhatOneProcessLoadsAnotherHas(t *testing.T) {
	two(t, func(t *testing.T, repo *UserRepo, a, b *CachedUserRepo) {
		a.wantName(t, 1, "Ada")
		want := names(t, a, 10)
		repo.wantQueries(t, 0, func() {
			b.wantName(t, 1, "Ada")
			if got := names(t, b, 10); !reflect.DeepEqual(got, want) {
				t.Errorf("the other process has %v, want %v", got, want)
			}
		})
	})
}

func TestThatAUserDoesNotExistIsKnownToAllProcesses(t *testing.T) {
	two(t, func(t *testing.T, repo *UserRepo, a, b *CachedUserRepo) {
		a.wantNobody(t, 9)
		repo.wantQueries(t, 0, func() { b.wantNobody(t, 9) })
	})
}

func TestABatchIsThereForAllProcesses(t *testing.T) {
	two(t, func(t *testing.T, repo *UserRepo, a, b *CachedUserRepo) {
		if users, err := a.FindUsers(t.Context(), []int64{1, 2}); err != nil || len(users) != 2 {
			t.Fatal(users, err)
		}
		users, err := b.FindUsers(t.Context(), []int64{1, 2, 3})
		if err != nil || len(users) != 3 {
			t.Fatal(users, err)
		}
		if want := [][]int64{{1, 2}, {3}}; !reflect.DeepEqual(repo.Batches(), want) {
			t.Errorf("the loader was asked for %v, want %v", repo.Batches(), want)
		}
	})
}

func TestAMovedTeamIsKnownToAllProcessesWithinTheirTrust(t *testing.T) {
	two(t, func(t *testing.T, repo *UserRepo, a, b *CachedUserRepo) {
		team := func(c *CachedUserRepo) int64 {
			u, err := c.FindUser(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			return u.TeamID
		}
		team(a)
		team(b)
		if err := a.MoveTeam(t.Context(), 10, 20); err != nil {
			t.Fatal(err)
		}
		if id := team(a); id != 20 {
			t.Errorf("where it was moved, the user is in team %d", id)
		}
		time.Sleep(2 * process.Trust)
		if id := team(b); id != 20 {
			t.Errorf("in the other process the user is in team %d", id)
		}
	})
}

func TestAnImportIsKnownToAllProcessesWithinTheirTrust(t *testing.T) {
	two(t, func(t *testing.T, repo *UserRepo, a, b *CachedUserRepo) {
		a.wantName(t, 1, "Ada")
		b.wantName(t, 1, "Ada")
		if err := a.Import(t.Context(), []User{{ID: 1, Name: "Nik"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * process.Trust)
		b.wantName(t, 1, "Nik")
	})
}

func TestAGraceValueOfAnotherProcessIsServed(t *testing.T) {
	two(t, func(t *testing.T, repo *UserRepo, a, b *CachedUserRepo) {
		a.wantName(t, 1, "Ada")
		repo.Fail(errDown)
		time.Sleep(time.Hour)
		b.wantName(t, 1, "Ada")
		if _, err := b.FindUser(t.Context(), 2); !errors.Is(err, errDown) {
			t.Error(err)
		}
	})
}
